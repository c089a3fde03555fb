"""Files that belong together, torn lines, locks, limits: whole, or one sentence."""

import itertools
import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import filelock
import numpy as np
import pytest
import torch
from test_full_disk import report, room
from tiny_runs import model_for, parts, quick

from minivlm_cot import core
from minivlm_cot.core import (
    InputError,
    append_jsonl,
    atomic_files,
    atomic_path,
    file_lock,
    folder_lock,
    free_memory,
    load_json,
    read_jsonl,
    save_together,
    take_places,
    writing,
)
from minivlm_cot.evaluation import Report
from minivlm_cot.commands import save_ready
from minivlm_cot.commands.demo import _aligned
from minivlm_cot.commands.folders import check_run
from minivlm_cot.training import Recipe
from minivlm_cot.model import MiniVLM, load_minivlm, save_minivlm
from minivlm_cot.real import adopt_training, export_checkpoint, read_old_checkpoint
from minivlm_cot.training import (
    FeatureStore,
    History,
    newest_checkpoint,
    save_checkpoint,
    train_cot_vlm,
)

RENAMINGS = ("replace", "rename", "link")


def content(folder):
    "All files below a folder"
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()
    }


def killed(work, n):
    "Do the work in a process that is killed at its n-th renaming; was it?"
    if not (child := os.fork()):
        count = itertools.count(1)
        for name in RENAMINGS:

            def call(*args, real=getattr(os, name), **kwargs):
                if next(count) == n:
                    os._exit(9)
                return real(*args, **kwargs)

            setattr(os, name, call)
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@contextmanager
def refusing(monkeypatch, n=None, to=None):
    "The n-th renaming, or each onto a file of this name, is refused, as Windows does to open files"
    count = itertools.count(1)
    with monkeypatch.context() as patch:
        for name in RENAMINGS[:2]:

            def call(source, target, *args, real=getattr(os, name), **kwargs):
                if Path(target).name == to or next(count) == n:
                    raise PermissionError(13, "Permission denied", str(source), None, str(target))
                return real(source, target, *args, **kwargs)

            patch.setattr(os, name, call)
        yield


# ------------------------------------------------------------------ files that belong together


@pytest.mark.parametrize("there", ["both", "none", "the first", "the second"])
@pytest.mark.parametrize(
    "refusal", [dict(n=1), dict(n=2), dict(n=3), dict(to="a.json"), dict(to="b.json")]
)
@pytest.mark.parametrize("links", [True, False])
def test_a_refused_renaming_leaves_all_as_it_was(tmp_path, monkeypatch, there, refusal, links):
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    if there in ("both", "the first"):
        a.write_text('"old"')
    if there in ("both", "the second"):
        b.write_text('"old"')
    if not links:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(95, "no links")))
    before = content(tmp_path)
    try:
        with refusing(monkeypatch, **refusal):
            save_together({a: "new", b: "new"})
    except InputError as e:
        assert "Permission denied" in str(e) and "is kept" in str(e)
        assert content(tmp_path) == before
    else:
        assert (
            load_json(a) == load_json(b) == "new" and len(content(tmp_path)) == 2 and "n" in refusal
        )


def test_killed_between_two_renamings_a_report_is_never_of_two_kinds(tmp_path):
    old, new = report("old"), report("new")
    old.extra, new.extra = {"made": 1}, {"made": 2}
    for n in range(1, 99):
        folder = tmp_path / str(n)
        old.save(folder / "report.json")
        if not killed(lambda f=folder: new.save(f / "report.json"), n):
            break
        found = Report.load(folder / "report.json")
        try:
            summary = load_json(folder / "report.json")["made"]
        except InputError:
            summary = found.extra["made"]  # absent: nothing to be mistaken for
        assert found.extra["made"] == summary
        new.save(folder / "report.json")  # and it can be saved over
        assert Report.load(folder / "report.json").extra == {"made": 2}
    assert n > 3 and load_json(folder / "report.json")["made"] == 2


def test_a_summary_of_other_rows_is_refused_and_an_older_one_is_not(tmp_path):
    path, rows = tmp_path / "report.json", tmp_path / "report.rows.json"
    report("one").save(path)
    kept = rows.read_bytes()
    report("two").save(path)
    rows.write_bytes(kept)
    with pytest.raises(InputError, match="report.json is the summary of other rows.*delete it"):
        Report.load(path)
    path.unlink()
    assert Report.load(path).rows[0]["answers"]["cot"]["text"] == "one"
    summary = report("two").to_dict()
    core.save_json(summary, path)  # as it was saved before
    assert Report.load(path).rows[0]["answers"]["cot"]["text"] == "one"
    odd = report("one")
    odd.extra = {"by step": {2: 1, 10: 2}, "pair": (1, 2)}  # JSON turns these into other things
    odd.save(path)
    assert Report.load(path).extra["pair"] == [1, 2]


def test_take_places_and_what_goes(tmp_path, monkeypatch):
    for name in ("first", "second", "stale", "new first", "new second"):
        (tmp_path / name).write_text(name)
    new = {tmp_path / "first": tmp_path / "new first", tmp_path / "second": tmp_path / "new second"}
    before = content(tmp_path)
    for n in range(1, 5):
        with refusing(monkeypatch, n=n), pytest.raises(InputError):
            take_places(new, [tmp_path / "stale"])
        left = content(tmp_path)
        assert {k: left[k] for k in ("first", "second", "stale")} == {
            k: before[k] for k in ("first", "second", "stale")
        }
        for name in ("new first", "new second"):
            (tmp_path / name).write_text(name)
    take_places(new, [tmp_path / "stale"])
    assert content(tmp_path) == {"first": b"new first", "second": b"new second"}


def test_a_copy_that_finds_no_room_is_not_put_back(tmp_path, monkeypatch):
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    a.write_text("old"), b.write_text("old" * 99)
    before = content(tmp_path)

    def refuse(*_):
        raise OSError(95, "no links")

    def half(source, to):
        Path(to).write_bytes(Path(source).read_bytes()[:9])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(shutil, "copy2", half)
    with pytest.raises(InputError, match="No space left"):
        save_together({a: "new", b: "new"})
    assert content(tmp_path) == before


def test_what_cannot_be_put_back_is_named(tmp_path, monkeypatch):
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    save_together({a: "old", b: "old"})
    real = os.rename

    def refuse(*_):
        raise PermissionError(13, "no")

    def once(source, to):
        return real(source, to) if Path(source) == a else refuse()

    monkeypatch.setattr(os, "rename", once)
    monkeypatch.setattr(shutil, "copy2", refuse)
    with (
        refusing(monkeypatch, to="a.json"),
        pytest.raises(InputError, match=r"could not be put back: .*a.json \(it is (.*)\)") as e,
    ):
        save_together({a: "new", b: "new"})
    kept = str(e.value).split("(it is ")[1].split(")")[0]
    assert Path(kept).read_text() == '"old"\n'


@pytest.fixture(scope="module")
def made():
    return parts(8)


def test_a_model_folder_is_never_of_two_models(made, tmp_path):
    _, processor = made
    old, new = model_for(processor, seed=1), model_for(processor, seed=2, hidden_size=64)
    whole = {m.config.text_config.hidden_size: next(m.projector.parameters()) for m in (old, new)}
    save_minivlm(old, processor, tmp_path / "old")
    for n in (1, 2, 3, 5, 8, 11, 14, 17, 20, 23):
        folder = tmp_path / str(n)
        shutil.copytree(tmp_path / "old", folder)
        (folder / "notes.txt").write_text("mine")
        done = not killed(lambda f=folder: save_minivlm(new, processor, f), n)
        try:
            found, _ = load_minivlm(folder, "cpu")
        except InputError as e:
            assert "config.json is missing" in str(e) and not done
        else:
            assert torch.equal(
                next(found.projector.parameters()), whole[found.config.text_config.hidden_size]
            )
        assert (folder / "notes.txt").read_text() == "mine"
        save_minivlm(new, processor, folder)
        assert load_minivlm(folder, "cpu")[0].config.text_config.hidden_size == 64
        assert not list(folder.glob(".*.part"))
        if done:
            break
    assert done


def test_an_older_models_files_are_not_read_with_the_new(made, tmp_path):
    _, processor = made
    model = model_for(processor)
    save_minivlm(model_for(processor, seed=5), processor, tmp_path)
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # in parts, whose index an older single file would hide
        whole = MiniVLM.save_pretrained
        patch.setattr(
            MiniVLM, "save_pretrained", lambda m, f, **k: whole(m, f, max_shard_size="50KB", **k)
        )
        save_minivlm(model, processor, tmp_path)
    assert not (tmp_path / "model.safetensors").exists() and len(list(tmp_path.glob("model-*"))) > 1
    assert torch.equal(
        next(load_minivlm(tmp_path, "cpu")[0].projector.parameters()),
        next(model.projector.parameters()),
    )


# ------------------------------------------------------------------ full disks


def test_a_checkpoint_on_a_full_disk(made, tmp_path):
    rows, processor = made
    train_cot_vlm(
        model_for(processor), processor, rows, quick(tmp_path, save_every=1), progress=False
    )
    before = content(tmp_path)
    model = model_for(processor)
    for size in (100, 20_000, len(before["checkpoint.pt"]) // 4):
        with (
            room(size),
            pytest.raises(InputError, match="Cannot write .*checkpoint.pt: .*make room"),
        ):
            save_checkpoint(tmp_path / "checkpoint.pt", model, [], 1, {})
        assert content(tmp_path) == before
    assert newest_checkpoint(tmp_path / "checkpoint.pt")["step"] == len(History.load(tmp_path).rows)


def test_a_run_that_meets_a_full_disk_goes_on_later(made, tmp_path):
    rows, processor = made
    whole = train_cot_vlm(
        model_for(processor), processor, rows, quick(tmp_path / "whole"), progress=False
    )
    with room(20_000), pytest.raises(InputError, match="checkpoint.pt"):
        train_cot_vlm(
            model_for(processor), processor, rows, quick(tmp_path / "full"), progress=False
        )
    assert not list((tmp_path / "full").glob("*.part")) and not list(
        (tmp_path / "full").glob(".*.part")
    )
    again = train_cot_vlm(
        model_for(processor), processor, rows, quick(tmp_path / "full"), progress=False
    )
    assert again.losses == whole.losses


def test_models_and_weights_on_a_full_disk(made, tmp_path):
    _, processor = made
    model, folder = model_for(processor), tmp_path / "model"
    for size in (100, 20_000):  # the configuration, the weights
        with room(size), pytest.raises(InputError, match="Cannot write .*model: .*make room"):
            save_minivlm(model, processor, folder)
        assert not folder.exists()
    save_minivlm(model, processor, folder)
    before = content(folder)
    with room(20_000), pytest.raises(InputError, match="Cannot write"):
        save_minivlm(model_for(processor, seed=3), processor, folder)
    assert content(folder) == before
    with room(20_000), pytest.raises(InputError, match="aligned.pt"):
        _aligned(tmp_path, model, lambda: None)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    old = MiniVLM.from_components(
        model.config.vision_config, model.language_model, device="cpu", summary=False
    )
    for size in (100, 20_000):
        with room(size), pytest.raises(InputError, match="Cannot write"):
            export_checkpoint(old, processor, tmp_path / "old")
        assert not (tmp_path / "old").exists()
    export_checkpoint(old, processor, tmp_path / "old")
    assert not list((tmp_path / "old").glob(".*"))


def test_a_disk_that_is_really_full(made, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = (
        shutil.which("mount")
        and os.geteuid() == 0
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", disk], capture_output=True
        ).returncode
        == 0
    )
    if not mounted:
        pytest.skip("no small disk can be made here")
    try:
        model, processor = model_for(made[1]), made[1]
        append_jsonl({"a": 1}, disk / "log.jsonl")
        (disk / "filler").write_bytes(b"x" * 100_000)
        before = content(disk)
        big = {"x": torch.zeros(50_000)}
        with pytest.raises(InputError, match="Cannot write .*w.pt"):
            with atomic_path(disk / "w.pt") as temporary:
                torch.save(big, temporary)
        with pytest.raises(InputError, match="Cannot write"):
            save_minivlm(model, processor, disk / "model")
        with pytest.raises(InputError, match="Cannot write .*checkpoint.pt"):
            save_checkpoint(
                disk / "checkpoint.pt", model, [torch.optim.AdamW(model.parameters())], 1, {}
            )
        with pytest.raises(InputError, match="log.jsonl"):
            append_jsonl({"a": "x" * 200_000}, disk / "log.jsonl")
        assert content(disk) == before
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_writing_leaves_other_errors_alone(tmp_path):
    for other in (
        RuntimeError("CUDA error: out of memory"),
        KeyError("x"),
        InputError("a sentence (os error 28)"),
    ):
        with pytest.raises(type(other)) as e:
            with writing(tmp_path / "a"):
                raise other
        assert e.value is other
    copying = shutil.Error([("a", "b", "[Errno 28] No space left on device")])
    with pytest.raises(InputError, match="No space left"):
        with writing(tmp_path / "a"):
            raise copying


def test_the_ready_model_is_replaced_whole_or_not_at_all(made, tmp_path, monkeypatch):
    run, ready = tmp_path / "run", tmp_path / "ready"
    save_minivlm(model_for(made[1]), made[1], run / "model")
    ready.mkdir()
    for name in ("config.json", "other.txt"):
        (ready / name).write_text("old")
    monkeypatch.setattr("minivlm_cot.commands.ready._model_card", lambda results: "card" * 9999)
    arms = {arm: {"accuracy": 0.5} for arm in ("cot", "direct")}
    facts = dict.fromkeys(
        (
            "difference_ci",
            "p",
            "p_method",
            "mcnemar_p",
            "process_accuracy",
            "beside_rate",
            "false_rate",
            "chains_right",
            "chain_parse_rate",
            "train_seconds",
            "train_steps",
            "train_sequences",
            "base_sequences",
            "encoder_accuracy",
            "trainable_parameters",
            "frozen_parameters",
            "recipe",
        ),
        1,
    ) | dict(chain_rule="asked")
    core.save_json(
        facts | dict(n=1, arms=arms, groups={}, families={}, splits={}), run / "report.json"
    )
    before = content(ready)
    for size in (100, 20_000):
        with room(size), pytest.raises(InputError, match="Cannot write"):
            save_ready(run, ready)
        assert content(ready) == before and len(list(tmp_path.iterdir())) == 2
    assert killed(lambda: save_ready(run, ready), 5)
    assert not (ready / "config.json").exists()
    save_ready(run, ready)
    assert content(ready).keys() == content(run / "model").keys() | {"results.json", "README.md"}


def test_a_demo_that_starts_over_keeps_no_rows_of_the_older(tmp_path):
    check_run(tmp_path, Recipe.short(), False)
    report("old").save(tmp_path / "report.json")
    check_run(tmp_path, Recipe.short(), True)
    assert not list(tmp_path.glob("report*"))


def test_atomic_files_clears_what_a_killed_process_left(tmp_path):
    (tmp_path / ".config.json.part").mkdir()
    (tmp_path / ".config.json.part" / "half").write_text("x")
    with atomic_files(tmp_path) as part:
        (part / "sub").mkdir()
        (part / "sub" / "a").write_text("1")
    assert content(tmp_path) == {"sub/a": b"1"}
    with pytest.raises(KeyError):
        with atomic_files(tmp_path / "new") as part:
            (part / "a").write_text("1")
            raise KeyError
    assert not (tmp_path / "new").exists()


# ------------------------------------------------------------------ lines


@pytest.mark.parametrize(
    "torn, kept",
    [
        ('{"b": 2, "c', []),
        ("{", []),
        ('{"b": "é'.encode()[:-1], []),
        ('{"b": 2}', [{"b": 2}]),
        ("", []),
        ("\n\n", []),
        ("x" * 9999, []),
    ],
)
@pytest.mark.parametrize("before", [[], [{"a": 1}], [{"a": "x" * 5000}]])
def test_a_torn_line_does_not_swallow_the_next(tmp_path, before, torn, kept):
    path = tmp_path / "a.jsonl"
    for row in before:
        append_jsonl(row, path)
    with open(path, "ab") as f:
        f.write(torn if isinstance(torn, bytes) else torn.encode())
    for k in (3, 4):
        append_jsonl({"c": k}, path)
    assert read_jsonl(path) == [*before, *kept, {"c": 3}, {"c": 4}]


def test_a_line_that_finds_no_room_leaves_nothing(tmp_path):
    path = tmp_path / "a.jsonl"
    append_jsonl({"a": 1}, path)
    before = path.read_bytes()
    with room(50), pytest.raises(InputError, match="Cannot write .*a.jsonl: .*make room"):
        append_jsonl({"b": "x" * 99}, path)
    assert path.read_bytes() == before
    append_jsonl({"c": 3}, path)
    assert read_jsonl(path) == [{"a": 1}, {"c": 3}]


def test_a_line_of_an_older_file_that_is_two_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"b": 2, "c{"d": 3}\n')
    with pytest.raises(InputError, match="a.jsonl, line 2, is not JSON.*delete that line"):
        read_jsonl(tmp_path / "a.jsonl")


# ------------------------------------------------------------------ locks

UNSUPPORTED = [
    NotImplementedError("FileSystem does not appear to support flock; use SoftFileLock instead"),
    OSError(95, "Operation not supported"),
    OSError(37, "No locks available"),
]


@pytest.fixture(params=UNSUPPORTED, ids=["not implemented", "not supported", "no locks"])
def lockless(request, monkeypatch):
    def refuse(self):
        raise request.param

    monkeypatch.setattr(filelock.FileLock, "_acquire", refuse)


def test_a_store_on_a_disk_without_locks(lockless, made, tmp_path):
    rows, processor = made
    pictures = [np.full((20, 20, 3), k, np.uint8) for k in range(3)]
    stores = [
        FeatureStore(tmp_path, model_for(processor), processor, precision="fp32") for _ in range(2)
    ]
    assert stores[0].rows(pictures[:2]) == [0, 1] and stores[1].rows(pictures) == [0, 1, 2]
    assert not list(tmp_path.rglob("*.held"))


def test_a_store_whose_lock_was_left_behind_says_which_file(lockless, made, tmp_path, monkeypatch):
    store = FeatureStore(tmp_path, model_for(made[1]), made[1], precision="fp32")
    monkeypatch.setattr(
        "minivlm_cot.training.features.file_lock", lambda path: file_lock(path, soft_wait=0.1)
    )
    with filelock.SoftFileLock(store.folder / "lock.held"):
        with pytest.raises(InputError, match="lock.held.*delete that file"):
            store.rows([np.zeros((20, 20, 3), np.uint8)])


def test_a_folder_on_a_disk_without_locks_is_still_one_runs(lockless, tmp_path):
    with folder_lock(tmp_path):
        with pytest.raises(InputError, match=r"Another process is working in .*\.lock\.held"):
            with folder_lock(tmp_path):
                pass
    with folder_lock(tmp_path):
        pass  # free again


def test_a_folder_that_cannot_be_locked_at_all(lockless, tmp_path, monkeypatch, capsys):
    def refuse(self):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(filelock.SoftFileLock, "_acquire", refuse)
    with folder_lock(tmp_path):
        pass
    assert "cannot be locked" in capsys.readouterr().out


# ------------------------------------------------------------------ limits of memory


def group(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


@pytest.mark.parametrize(
    "line", ["5:memory:/box/inner", "7:cpu,memory:/box/inner", "0::/x\n5:memory:/box/inner"]
)
@pytest.mark.parametrize("where", ["", "box", "box/inner"])
def test_nested_groups_of_the_older_kind(tmp_path, line, where):
    base = tmp_path / "sys/fs/cgroup/memory"
    for folder in ("", "box", "box/inner"):
        group(
            base / folder,
            memory__limit_in_bytes=9223372036854771712,
            memory__usage_in_bytes=1_000_000,
        )
    group(tmp_path / "proc/self", cgroup=f"4:cpu:/other\n{line}")
    group(base / "other", memory__limit_in_bytes=10, memory__usage_in_bytes=0)
    assert free_memory(tmp_path) > 100e6
    group(
        base / where,
        memory__limit_in_bytes=5_000_000,
        memory__stat="inactive_file 5\ntotal_inactive_file 300000",
    )
    assert free_memory(tmp_path) == 4_300_000


def test_the_least_over_a_group_and_its_parents_counts(tmp_path):
    base = tmp_path / "sys/fs/cgroup"
    group(tmp_path / "proc/self", cgroup="0::/a/b/c")
    for folder, most, now in (
        ("a", 9_000_000, 8_000_000),
        ("a/b", "max", 1),
        ("a/b/c", 5_000_000, 1_000_000),
    ):
        group(base / folder, memory__max=most, memory__current=now)
    assert free_memory(tmp_path) == 1_000_000
    group(base / "a", memory__max="max")
    assert free_memory(tmp_path) == 4_000_000


# ------------------------------------------------------------------ runs of the older kind


def old_kind(processor, **changes):
    like = model_for(processor, **changes)
    return MiniVLM.from_components(
        like.config.vision_config, like.language_model, device="cpu", summary=False
    )


@pytest.fixture
def exported(made, tmp_path):
    rows, processor = made
    model = old_kind(processor)
    history = train_cot_vlm(
        model, processor, rows, quick(tmp_path / "run", epochs=2), progress=False
    )
    path = export_checkpoint(model, processor, tmp_path / "old", run=tmp_path / "run")
    return path, model, history, np.reshape(history.losses, (2, -1)).mean(1)


@pytest.mark.parametrize("held", ["checkpoint.pt", "checkpoint.previous.pt", "metrics.jsonl"])
def test_a_run_is_not_adopted_over_another(made, exported, tmp_path, held):
    path, model, *_ = exported
    out = tmp_path / "busy"
    out.mkdir()
    (out / held).write_text("somebody's")
    with pytest.raises(InputError, match=f"already holds a run .{held}.*choose another folder"):
        adopt_training(path, model, len(made[0]), quick(out, epochs=4))
    assert content(out) == {held: b"somebody's"} | {
        k: v for k, v in content(out).items() if k == ".lock"
    }
    with pytest.raises(InputError, match="already holds a run"):
        adopt_training(path, model, len(made[0]), quick(tmp_path / "run", epochs=4))


def adopted(made, path, model, out, **changes):
    adopt_training(path, model, len(made[0]), quick(out, epochs=4), **changes)
    history = train_cot_vlm(model, made[1], made[0], quick(out, epochs=4), progress=False)
    again = export_checkpoint(model, made[1], Path(out) / "exported", run=out)
    return read_old_checkpoint(again), np.reshape(history.losses, (2, -1)).mean(1)


def test_an_adopted_runs_losses_go_on_with_it(made, exported, tmp_path):
    path, model, _, means = exported
    state, more = adopted(made, path, model, tmp_path / "on")
    assert state["epoch"] == 4
    np.testing.assert_allclose(state["losses"], [*means, *more])


@pytest.mark.parametrize(
    "told, known", [(None, 0), ([], 0), ([float("nan"), 5.0], 1), ([5.0], 1), ([9.0, 7.0, 5.0], 2)]
)
def test_losses_that_are_not_known_are_left_out(made, exported, tmp_path, told, known):
    path, model, *_ = exported
    state = torch.load(path, weights_only=True)
    if told is None:
        del state["losses"]
    else:
        state["losses"] = told
    torch.save(state, path)
    found, more = adopted(made, path, model, tmp_path / "on", epochs_done=2)
    np.testing.assert_allclose(found["losses"], [*(told or [])[len(told or []) - known :], *more])
    adopt_training(
        tmp_path / "on/exported/mini_vlm_cot.pt",
        model,
        len(made[0]),
        quick(tmp_path / "third", epochs=6),
    )
    kept = json.loads((tmp_path / "third/adopted.json").read_text())["losses"]
    assert list(kept) == [str(e) for e in range(4 - len(found["losses"]), 4)]
