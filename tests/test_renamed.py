"""Names of the library: older addresses lead to today's, and rooms offer what their modules do."""

import csv
import importlib
from pathlib import Path

import pytest

import minivlm_cot

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(minivlm_cot.__file__).parent
with open(ROOT / "docs" / "renamed.csv", encoding="utf-8", newline="") as f:
    LINES = [(line["old"], line["new"]) for line in csv.DictReader(f)]
OLD = (Path(__file__).parent / "data" / "old_names.txt").read_text(encoding="utf-8").split()
MODULES = [
    ".".join(("minivlm_cot", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in sorted(PACKAGE.glob("*/*.py"))
    if path.name != "__init__.py"
]


def short(address):
    return address.removeprefix("minivlm_cot.")


def found(address):
    "What stands at an address such as minivlm_cot.model.vlm.MiniVLM"
    module, _, name = address.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("old, new", LINES, ids=short)
def test_the_new_address_exists_and_its_room_offers_it(old, new):
    room, _, name = short(new).partition(".")
    assert found(new) is found(f"minivlm_cot.{room}.{name.rpartition('.')[2]}")


def test_every_older_name_has_one_line():
    olds = [old for old, _ in LINES]
    assert sorted(set(OLD) - set(olds)) == []
    assert len(olds) == len(set(olds))


@pytest.mark.parametrize("module", MODULES, ids=short)
def test_a_room_offers_what_its_modules_do(module):
    room = importlib.import_module(module.rpartition(".")[0])
    here = importlib.import_module(module)
    offered = [n for n in here.__all__ if getattr(room, n, None) is getattr(here, n)]
    assert offered == here.__all__
