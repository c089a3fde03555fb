"""Run each notebook as JupyterLab does: a kernel of its own, in its own folder, top to bottom.

python tools/jupyter.py               all notebooks; each room's share of the time
python tools/jupyter.py 05_training/03    those whose places begin so

`nbdev_test` runs many notebooks in one process; here a cell that leans on another notebook, on the
folder or on something that is not IPython's fails. Nothing is written into the notebooks.
"""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbdev.config import get_config
from tqdm import tqdm

from figures import skipped
from site_checks import notebooks_in

NBS = Path(__file__).resolve().parent.parent / "nbs"
AT_ONCE = 2  # kernels; each computes on one thread
LONGEST = 600  # seconds for one cell


def executed(path):
    "Seconds that one notebook took, and what went wrong (None if nothing)"
    notebook = nbformat.read(path, as_version=4)
    flags = get_config().tst_flags.split()
    for cell in notebook.cells:
        if cell.cell_type == "code" and skipped(cell.source, flags):
            cell.metadata["tags"] = ["skip-execution"]
    where = {"metadata": {"path": str(path.parent)}}
    quiet = ["--log-level=ERROR"]  # of its warning that it talks over TCP
    client = NotebookClient(
        notebook, timeout=LONGEST, kernel_name="python3", resources=where, extra_arguments=quiet
    )
    began, fault = time.perf_counter(), None
    try:
        client.execute()
    except (CellExecutionError, DeadKernelError, TimeoutError) as error:
        fault = str(error)[-3000:]
    return time.perf_counter() - began, fault


def main(wanted=()):
    "Run them all; the whole time, and each room's share of it"
    # what nbdev_test sets too: the longest trainings are short
    os.environ |= {"IN_TEST": "1", "OMP_NUM_THREADS": "1"}
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    paths = [
        p for p in notebooks_in(NBS) if str(p.relative_to(NBS)).startswith(tuple(wanted) or "")
    ]
    rooms, faults = {}, []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = zip(paths, pool.map(executed, paths))
        for path, (seconds, fault) in tqdm(found, "notebooks", len(paths), disable=None):
            rooms[path.parent.name] = rooms.get(path.parent.name, 0) + seconds
            if fault:
                faults.append(f"{path.relative_to(NBS)}:\n{fault}")
    whole = sum(rooms.values())
    shares = sorted(rooms.items(), key=lambda item: -item[1])
    print(", ".join(f"{room} {100 * s / whole:.0f}%" for room, s in shares))
    if faults:
        sys.exit("\n\n".join(faults) + f"\n{len(faults)} of {len(paths)} notebooks failed")


if __name__ == "__main__":
    main(sys.argv[1:])
