"""Fetch what the thinking page takes from npm, pinned: nbs/thinking/vendor.

Each file is known by its checksum, so what was fetched once is not fetched again, and what came
from elsewhere is refused. Nothing of it is in the repository; `make docs` copies it to the site.
"""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PLACE = Path(__file__).resolve().parent.parent / "nbs" / "thinking"
NAME, VERSION = "onnxruntime-web", "1.22.0"  # of those tried, the smallest with this interface
FILES = {  # file of the package's dist → sha256
    "ort.wasm.min.mjs": "6ef726f355b791129f7ddf3f62e7877a16b9b777abe87004b8ab306e6b9cf265",
    "ort-wasm-simd-threaded.mjs": (
        "30dd851d9c00622940500f71ddd2ff8820c5cb65270816080175b958705385a8"
    ),
    "ort-wasm-simd-threaded.wasm": (
        "71aef04959c5c1b6de461b6538e2058e306610034a85aad2742d0c7fd4533fe4"
    ),
}
LICENSE = f"""{NAME} {VERSION}, ONNX Runtime in WebAssembly: Copyright (c) Microsoft Corporation,
under the MIT license, https://github.com/microsoft/onnxruntime/blob/main/LICENSE
"""


def checksum(raw):
    "As `FILES` has it"
    return hashlib.sha256(raw).hexdigest()


def is_there(folder):
    "Does the folder hold every file, unchanged?"
    return (folder / "files.json").exists() and all(
        (folder / name).exists() and checksum((folder / name).read_bytes()) == known
        for name, known in FILES.items()
    )


def packed():
    "The package's archive, by npm"
    if not shutil.which("npm"):
        sys.exit(f"error: npm is needed to fetch {NAME} {VERSION}: install Node.js.")
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            ["npm", "pack", "--silent", f"{NAME}@{VERSION}"],
            cwd=folder,
            capture_output=True,
            text=True,
        )
        found = list(Path(folder).glob("*.tgz"))
        if run.returncode or not found:
            said = (run.stderr.strip().splitlines() or ["nothing"])[-1]
            sys.exit(f"error: npm could not fetch {NAME} {VERSION} ({said}).")
        return found[0].read_bytes()


def fetch(folder):
    "Put the files there, if they are not there yet"
    pinned = json.loads((PLACE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    if pinned.get(NAME) != VERSION:
        sys.exit(f"error: package.json pins {NAME} {pinned.get(NAME)}, tools/vendor.py {VERSION}.")
    if is_there(folder):
        return
    with tarfile.open(fileobj=io.BytesIO(packed())) as archive:
        files = {name: archive.extractfile(f"package/dist/{name}").read() for name in FILES}
    for name, raw in files.items():
        if checksum(raw) != FILES[name]:
            sys.exit(f"error: {name} of {NAME} {VERSION} is not the file that was tried.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    facts = {name: dict(bytes=len(raw), sha256=FILES[name]) for name, raw in files.items()}
    (folder / "files.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    (folder / "LICENSE.txt").write_text(LICENSE, encoding="utf-8")


if __name__ == "__main__":
    fetch(Path(sys.argv[1]) if len(sys.argv) > 1 else PLACE / "vendor")
