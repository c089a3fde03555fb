"""A full disk and a poor console end in one sentence, and what was there before stays."""

import errno
import os
import resource
import subprocess
import sys
from contextlib import contextmanager

import pytest

from minivlm_cot.core import (
    InputError,
    append_jsonl,
    atomic_path,
    cli_errors,
    load_json,
    save_json,
    save_together,
)
from minivlm_cot.evaluation import Report, make_row
from minivlm_cot.generation import Answer


@contextmanager
def room(n_bytes):
    "No file may grow beyond this"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_json_file_is_whole_or_as_before(tmp_path):
    save_json("old", tmp_path / "a.json")
    with room(999), pytest.raises(InputError, match="Cannot write .*a.json"):
        save_json("new" * 999, tmp_path / "a.json")
    assert load_json(tmp_path / "a.json") == "old" and os.listdir(tmp_path) == ["a.json"]


def test_several_files_are_written_together_or_not_at_all(tmp_path):
    save_together({tmp_path / "a.json": "old", tmp_path / "b.json": "old"})
    with room(999), pytest.raises(InputError, match="b.json"):
        save_together({tmp_path / "a.json": "new", tmp_path / "b.json": "new" * 999})
    (tmp_path / "c.json").mkdir()
    with pytest.raises(InputError, match="c.json is a folder"):
        save_together({tmp_path / "c.json": "new", tmp_path / "a.json": "new"})
    assert load_json(tmp_path / "a.json") == load_json(tmp_path / "b.json") == "old"
    assert sorted(os.listdir(tmp_path)) == ["a.json", "b.json", "c.json"]


def report(text):
    example = dict(
        question_id="a",
        image_id=1,
        question="What?",
        choices=["a", "b"],
        correct_choice_idx=0,
        direct_answers=None,
    )
    cot, direct = (Answer("What?", arm, text, "a", "It is so.", 3) for arm in ("cot", "direct"))
    return Report([make_row(example, dict(cot=cot, direct=direct))])


@pytest.mark.parametrize("bad", ["too long", "not JSON"])
def test_a_report_is_whole_or_as_before(tmp_path, bad):
    report("old").save(tmp_path / "report.json")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    new = report("new" * 9999)
    if bad == "not JSON":
        new.rows[0]["answers"]["cot"]["text"] = object()
    with room(9999), pytest.raises((InputError, TypeError)):
        new.save(tmp_path / "report.json")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_line_that_finds_no_room_is_one_sentence(tmp_path):
    with room(99), pytest.raises(InputError, match="Cannot write .*a.jsonl"):
        append_jsonl("x" * 999, tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="Cannot write"):
        append_jsonl("x", tmp_path)


def test_another_files_trouble_is_not_this_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        with atomic_path(tmp_path / "a"):
            open(tmp_path / "lost")


def test_a_command_on_a_full_disk_ends_with_a_sentence(capsys):
    def full():
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(SystemExit, match="2"):
        cli_errors(full)()
    assert "error: Nothing more can be written (No space left on device)" in capsys.readouterr().err


@pytest.mark.parametrize("console", ["cp437", "ascii"])
def test_a_console_that_lacks_letters_shows_question_marks(console):
    code = (
        "from minivlm_cot.core import cli_errors, InputError\n"
        "@cli_errors\n"
        "def run():\n"
        "    print('“right” − 5 → 日本')\n"
        "    raise InputError('no “picture” ✗')\n"
        "run()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env=os.environ | dict(PYTHONIOENCODING=console),
    )
    assert (
        done.returncode == 2 and b"right" in done.stdout and b"error: no ?picture? ?" in done.stderr
    )
