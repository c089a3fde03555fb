"""Everything that must hold before a change lands: `make test`.

python tools/check.py            all checks
python tools/check.py notebooks  only those named: lines sources readme …
"""

import ast
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from configparser import ConfigParser
from pathlib import Path

import rhythm
import rules
import sizes
import tidy
from sidebar import PATH
from site_checks import cells_of, notebooks_in

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "minivlm_cot"
BIN = Path(sys.executable).parent
CONFIG = ConfigParser(delimiters=["="])
CONFIG.read(ROOT / "settings.ini", encoding="utf-8")
CONFIG = CONFIG["DEFAULT"]
FLAGS = CONFIG["tst_flags"].split()
ASSERTS = re.compile(r"^\s*(assert\b|test_\w+\(|with expect_fail)", re.M)


def run(*command, **kwargs):
    "A command that must succeed; what it said is shown only if it did not"
    done = subprocess.run(
        [str(c) for c in command],
        cwd=kwargs.pop("cwd", ROOT),
        capture_output=True,
        text=True,
        **kwargs,
    )
    if done.returncode:
        sys.exit(
            f"{' '.join(map(str, command))}\nfailed:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        )
    return done.stdout


def notebooks():
    "Name and code cells of each notebook, as (source, is it executed?, is it exported?)"
    for path in notebooks_in(ROOT / "nbs"):
        cells = [source for kind, source, _ in cells_of(path) if kind == "code"]
        words = [dict(re.findall(r"^#\|\s*(\S+)[ \t]*(\S*)", s, re.M)) for s in cells]
        yield (
            path.relative_to(ROOT / "nbs").as_posix(),
            [
                (
                    s,
                    w.get("eval:") != "false" and not set(FLAGS) & set(w),
                    bool({"export", "exports"} & set(w)),
                )
                for s, w in zip(cells, words)
            ],
        )


def lines():
    "Lines, cells, functions and modules are short, and imports point downward"
    run(BIN / "ruff", "check", "--no-cache", "--quiet", ".")
    if found := rules.faults():
        sys.exit("\n".join(found) + f"\n{len(found)} faults")


def chapters():
    "Each chapter asks its question, breathes between cells of code, and ends in a summary"
    if found := list(rhythm.faults()):
        sys.exit("\n".join(found) + f"\n{len(found)} faults: see tools/rhythm.py")


def weights():
    "The repository and what its notebooks store are small"
    if found := list(sizes.faults()):
        sys.exit("\n".join(found))


def sources():
    "nbdev_export, nbdev_clean and tools/tidy.py change nothing"

    def state():
        files = [*PACKAGE.rglob("*.py"), *notebooks_in(ROOT / "nbs")]
        return {str(p.relative_to(ROOT)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    before = state()
    run(BIN / "nbdev_export")
    run(BIN / "nbdev_clean")
    changed = sorted(
        name for name in before.keys() | state().keys() if before.get(name) != state().get(name)
    )
    if changed:
        sys.exit(f"nbdev_export or nbdev_clean changed {', '.join(changed)}: run both and commit.")
    if found := list(tidy.faults()):
        sys.exit("\n".join(found))


def readme():
    "README.md is what the index notebook says"
    run(sys.executable, "tools/readme.py", "--check")


def site():
    "The site can be rendered, and nothing that a visitor needs is lost on the way"
    run(sys.executable, "tools/docs.py")


def skips():
    "No notebook skips more than a quarter of its assertion cells"
    for name, cells in notebooks():
        asserting = [executed for source, executed, _ in cells if ASSERTS.search(source)]
        if asserting and asserting.count(False) > len(asserting) / 4:
            sys.exit(
                f"{name} skips {asserting.count(False)} of its {len(asserting)} assertion cells; "
                "a quarter is allowed."
            )


def names_in(tree):
    "All names and attributes that a piece of code mentions"
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} | {
        n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)
    }


def exercised():
    "Every public function can be reached from a cell or a test that is executed"
    calls, public = {}, {}
    for path in sorted(PACKAGE.rglob("[!_]*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                calls.setdefault(node.name, set()).update(names_in(node))
                if not node.name.startswith("_"):
                    public[node.name] = path.stem
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        calls.setdefault(target.id, set()).update(names_in(node.value))
    calls["MiniVLM"].add("forward")  # torch calls it when the model is called
    todo = set()
    for _, cells in notebooks():
        for source, executed, exported in cells:
            if executed and not exported:
                plain = "\n".join(
                    "" if line.lstrip().startswith(("%", "!")) else line
                    for line in source.splitlines()
                )
                tree = ast.parse(plain)
                todo |= names_in(tree)
                todo |= {
                    w
                    for n in ast.walk(tree)
                    if isinstance(n, ast.Constant) and isinstance(n.value, str)
                    for w in re.findall(r"\bminivlm_\w+", n.value)
                }
    for path in (ROOT / "tests").glob("*.py"):
        todo |= names_in(ast.parse(path.read_text(encoding="utf-8")))
    reached = set()
    while todo:
        name = todo.pop()
        reached.add(name)
        todo |= calls.get(name, set()) - reached
    missed = sorted(f"{module}.{name}" for name, module in public.items() if name not in reached)
    if missed:
        sys.exit(f"No executed cell exercises {', '.join(missed)}: write a test beside each.")


def test_notebooks():
    "nbdev_test passes on every notebook"
    env = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "MPLBACKEND": "agg",
    }
    said = run(BIN / "nbdev_test", "--n_workers", "2", "--timing", env=env)
    room_of = {path.name: path.parent.name for path in notebooks_in(ROOT / "nbs")}
    seconds = {}
    for name, taken in re.findall(r"^(\S+\.ipynb): (\d+) secs", said, re.M):
        seconds[room_of[name]] = seconds.get(room_of[name], 0) + int(taken)
    whole = max(1, sum(seconds.values()))
    print(
        ", ".join(f"{room} {100 * s / whole:.0f}%" for room, s in sorted(seconds.items())),
        end=" … ",
    )


def test_jupyter():
    "The reading path runs as in JupyterLab, a kernel for each chapter (`make jupyter`: all)"
    print(run(sys.executable, "tools/jupyter.py", *PATH).splitlines()[-1], end=" … ")


def rough_tests():
    "The tests in tests/ pass"
    env = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "MPLBACKEND": "agg",
    }
    options = ["-q", "-rs", "-p", "no:cacheprovider"]
    said = run(sys.executable, "-m", "pytest", *options, "tests", env=env)
    for line in (line for line in said.splitlines() if line.startswith("SKIPPED")):
        print(f"\n  {line}", end="")


FOUR_CALLS = """
import matplotlib.pyplot as plt
import minivlm_cot as mv
from minivlm_cot.scenes import make_example

plt.style.use("minivlm_cot.styles.minivlm")
vlm, row = mv.load(), make_example(3, "test", "walk_colour")
answers = mv.ask(vlm, row)
assert row["question"] in mv.show(row, answers)
assert mv.examine(vlm, [row]).names == list(answers)
"""


def wheel():
    "A wheel builds, installs into an empty environment, and its commands work there"
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", place, ".")
        venv.create(place / "env", with_pip=True)
        python = place / "env/bin/python"
        run(
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "-c",
            ROOT / "constraints.txt",
            next(place.glob("*.whl")),
        )
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        for line in CONFIG["console_scripts"].split():
            run(place / "env/bin" / line.split("=")[0], "--help", cwd=place, env=env)
        run(python, "-c", FOUR_CALLS, cwd=place, env=env)
        run(place / "env/bin/minivlm_draw", "scene.png", cwd=place, env=env)
        answer = run(
            place / "env/bin/minivlm_ask",
            "scene.png",
            "What colour is the ball?",
            cwd=place,
            env=env,
        )
        if "Answer:" not in answer:
            sys.exit(f"The installed minivlm_ask gave no answer: {answer}")


CHECKS = dict(
    lines=lines,
    chapters=chapters,
    weights=weights,
    sources=sources,
    readme=readme,
    site=site,
    skips=skips,
    exercised=exercised,
    notebooks=test_notebooks,
    jupyter=test_jupyter,
    tests=rough_tests,
    wheel=wheel,
)

if __name__ == "__main__":
    for word in sys.argv[1:]:
        if word not in CHECKS:
            sys.exit(f"There is no check {word!r}: take one of {', '.join(CHECKS)}.")
    for name, check in CHECKS.items():
        if not sys.argv[1:] or name in sys.argv[1:]:
            started = time.time()
            print(f"{check.__doc__} …", end=" ", flush=True)
            check()
            print(f"yes ({time.time() - started:.0f} s)", flush=True)
