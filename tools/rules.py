"""What ruff cannot see: how long cells, notebooks and functions are, and where imports point.

Exceptions are named here, at most eight in all, each with its reason.
"""

import ast
import re
from pathlib import Path

from site_checks import cells_of, notebooks_in

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "minivlm_cot"
CELL, CELL_OF_ONE, DEFINITIONS, CELLS = 30, 40, 3, 50  # lines, lines, definitions, cells
MODULE, FUNCTION = 300, 40  # lines
DEFINED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
LIBRARIES = ("transformers", "torch", "tqdm", "Pillow", "accelerate", "JSON")
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp)
MANY_PARAMETERS = {  # functions that may take more than seven, each marked where it stands
    "MiniVLMConfig.__init__": "transformers builds a configuration from keywords",
    "MiniVLM.forward": "transformers calls it with these keywords",
    "MiniVLM.from_components": "the call by which readers build a model",
    "CoTReasoningDataset.__init__": "each dial of what is learned, by name",
    "generate_answers": "the call by which readers ask, each dial by name",
    "generate_both": "the same for both arms",
    "evaluate_cot": "the whole exam in one call, each dial by name",
    "load_examples": "one call for every source of rows",
}


def parse(source):
    "Python of a cell without IPython's own lines; None where it is not Python"
    lines = ("pass" if re.match(r"\s*[%!]", line) else line for line in source.splitlines())
    try:
        return ast.parse("\n".join(lines))
    except SyntaxError:
        return None


def long_cells(path, cells):
    "Cells that are too long or define too much"
    for source in cells:
        tree = parse(source)
        if tree is None:
            continue
        lines = [line for line in source.splitlines() if not line.startswith("#|")]
        defined = [n.name for n in tree.body if isinstance(n, DEFINED)]
        limit = CELL_OF_ONE if len(defined) == 1 else CELL
        what = f"{path}: the cell that begins “{next(iter(lines), '')}”"
        if len(lines) > limit:
            yield f"{what} has {len(lines)} lines; {limit} are allowed"
        if len(defined) > DEFINITIONS:
            yield f"{what} defines {', '.join(defined)}; {DEFINITIONS} a cell are allowed"
        yield from (f"{what} {fault}" for fault in hidden_effects(tree))


def hidden_effects(tree):
    "Comprehensions whose result nobody takes"
    for node in ast.walk(tree):
        bodies = [getattr(node, name, None) for name in ("body", "orelse", "finalbody")]
        for statement in (s for body in bodies if isinstance(body, list) for s in body):
            shown = isinstance(node, ast.Module) and statement is node.body[-1]
            if isinstance(statement, ast.Expr) and isinstance(statement.value, COMPREHENSIONS):
                if not shown:
                    yield "has a comprehension for its effect: write a loop"


def hidden_parameters(path, text, tree):
    "Functions that take `**` without saying which library takes it from them"
    lines = text.splitlines()
    inner = {
        f
        for g in ast.walk(tree)
        if isinstance(g, ast.FunctionDef)
        for f in ast.walk(g)
        if f is not g
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef) or not node.args.kwarg or node in inner:
            continue
        said = lines[node.args.kwarg.lineno - 1].partition("#")[2]
        if "→" not in said and not any(library in said for library in LIBRARIES):
            yield (
                f"{path}: {node.name} hides parameters in **{node.args.kwarg.arg}: name them, or "
                "say behind it which library takes them, or what maps to what (“name → number”)"
            )


def long_functions(path, tree):
    "Functions that do not fit on a screen"
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION:
                yield f"{path}: {node.name} has {lines} lines; {FUNCTION} are allowed"


def ends_in_export(path, cells):
    "nbdev cannot prepare a page whose last visible cell is exported"
    words = [set(re.findall(r"^#\|\s*(\w+)", source, re.M)) for source in cells]
    seen = [w for w in words if "hide" not in w]
    if seen and seen[-1] & {"export", "exports"}:
        yield f"{path} ends in an exported cell: close with a summary"


def leaves_gradients_off(path, cells):
    "Notebooks are tested in one process: what is switched off is switched on again"
    whole = "\n".join(cells)
    if "set_grad_enabled(False)" in whole and "set_grad_enabled(True)" not in whole:
        yield f"{path} leaves gradients off for the notebooks after it: switch them on at its end"


def of_notebooks():
    "Faults of the notebooks"
    paths, stems = notebooks_in(ROOT / "nbs"), {}
    for path in paths:
        place, cells = path.relative_to(ROOT / "nbs"), list(cells_of(path))
        if len(cells) > CELLS:
            yield f"{place} has {len(cells)} cells; {CELLS} are allowed"
        if path.stem in stems:
            yield f"{place} and {stems[path.stem]} have one name: a page is found by its name"
        stems[path.stem] = place
        sources = [source for _, source, _ in cells]
        yield from ends_in_export(place, sources)
        yield from leaves_gradients_off(place, sources)
        yield from long_cells(place, [source for kind, source, _ in cells if kind == "code"])


def rooms_in_order():
    "Modules in the order of their notebooks"
    order = {}
    for path in notebooks_in(ROOT / "nbs"):
        found = re.search(r'"#\| default_exp ([\w.]+)', path.read_text(encoding="utf-8"))
        if found:
            order[found[1]] = len(order)
    return order


def imports_of(module):
    "The project's modules that a module imports, as room.module"
    tree = ast.parse((PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = module.split(".")[: -node.level]
            yield ".".join(base + (node.module or "").split("."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minivlm_cot."):
            yield node.module.removeprefix("minivlm_cot.")


def upward_imports():
    "Imports that point to a later room or chapter"
    order = rooms_in_order()
    for module in order:
        for target in imports_of(module):
            if target not in order:
                yield f"{module} imports {target}: name the module, not the room"
            elif order[target] >= order[module]:
                yield f"{module} imports {target}, which comes later"


def of_modules():
    "Faults of the modules"
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        place = path.relative_to(ROOT)
        if path.name == "_modidx.py":
            continue
        if len(text.splitlines()) > MODULE:
            yield f"{place} has {len(text.splitlines())} lines; {MODULE} are allowed"
        yield from long_functions(place, ast.parse(text))
        yield from hidden_parameters(place, text, ast.parse(text))


def exceptions():
    "Only what is named above may be marked as an exception"
    marked = set()
    for path in [*sorted(PACKAGE.rglob("*.py")), *sorted((ROOT / "tools").glob("*.py"))]:
        for line in path.read_text(encoding="utf-8").splitlines():
            if re.search(r"#\s*noqa", line) and path.name != "rules.py":
                found = re.search(r"def (\w+)\(.*#\s*noqa: PLR0913( \([^)]*\))?$", line)
                marked.add(found[1] if found else f"{path.name}: {line.strip()}")
    allowed = {name.split(".")[-1] for name in MANY_PARAMETERS}
    yield from (f"{name} is no agreed exception" for name in sorted(marked - allowed))
    if len(MANY_PARAMETERS) > 8:
        yield f"{len(MANY_PARAMETERS)} exceptions are named; eight are allowed"


def faults():
    "All of them"
    return [*of_notebooks(), *of_modules(), *upward_imports(), *exceptions()]


if __name__ == "__main__":
    print("\n".join(faults()) or "no fault")
