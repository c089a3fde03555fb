"""The thinking page's asking in JavaScript: held against Python where node is there."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests" / "thinking" / "ask.test.mjs"


def missing():
    "What the tests need and do not find, or nothing"
    if not shutil.which("node"):
        return "node is not installed"
    if not (ROOT / "nbs" / "thinking" / "vendor" / "ort.wasm.min.mjs").exists():
        return "ONNX Runtime for pages is not fetched: python tools/vendor.py"
    if any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime")):
        return "onnx and onnxruntime are not installed"
    return ""


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    "What Python says, and the model in both forms"
    if why := missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("golden")
    here = os.environ | dict(PYTHONPATH=f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    run = [sys.executable, ROOT / "tools" / "golden_ask.py", folder, "60"]
    subprocess.run(run, check=True, env=here)
    return folder


@pytest.mark.parametrize("weights", ["fp16", "fp32"])
def test_page_says_what_python_says(golden, weights):
    "Tokenizer, pixels, answers and words"
    env = os.environ | dict(MINIVLM_GOLDEN=str(golden), MINIVLM_WEIGHTS=weights)
    run = subprocess.run(["node", "--test", TESTS], env=env, capture_output=True, text=True)
    told = (" texts", " ms")  # what was counted and measured
    print("\n".join(line for line in run.stdout.splitlines() if any(t in line for t in told)))
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
