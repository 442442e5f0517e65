"""Checkpoints: what they bring back, and that nothing that may happen takes a good one away."""

import errno
import math
import os
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import optim
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError
from rtfunc.io import Checkpointer, FileFormatError, files, safetensors
from tests.io.interrupted_training import Training

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=[False, True], ids=["at once", "background"])
def make(request, tmp_path):
    """Makes a Checkpointer of one folder."""
    return lambda **options: Checkpointer(tmp_path / "c", background=request.param, **options)


def content(step, size=4):
    return {"w": rnp.full(size, float(step)), "n": step}


def save_and_wait(checkpointer, *args):
    checkpointer.save(*args)
    checkpointer.wait()


def test_what_was_saved_comes_back(make):
    checkpointer = make()
    assert checkpointer.restore() is None
    assert checkpointer.steps() == []
    tree = {"moments": optim.adam(0.1).init({"w": rnp.ones(3)}), "key": rf.random.key(3)}
    checkpointer.save(7, tree, metric=rnp.asarray(0.25), metadata={"names": ["a", "b"], "seed": 3})
    checkpointer.close()
    checkpoint = make().restore(like=tree)
    assert (checkpoint.step, checkpoint.metric) == (7, 0.25)
    assert checkpoint.metadata == {"names": ["a", "b"], "seed": 3}
    assert checkpoint.loader is None
    assert checkpoint.path.name == "step-00000007.safetensors"
    assert rf.tree.structure(checkpoint.tree) == rf.tree.structure(tree)
    assert np.array_equal(checkpoint.tree["key"], tree["key"])


def test_rotation_keeps_the_last_and_the_best(make):
    losses = [5.0, 1.0, 4.0, math.nan, 3.0, 6.0, 0.5, 7.0, 8.0]
    with make(keep=2, keep_best=2) as checkpointer:
        for step, loss in enumerate(losses):
            checkpointer.save(step, content(step), metric=loss)
    assert checkpointer.steps() == [1, 6, 7, 8]
    assert checkpointer.best_step() == 6
    assert checkpointer.restore(step=1).tree["n"] == 1
    with make(keep=1, keep_best=1, mode="max") as other:  # reads the metrics from the files
        assert other.best_step() == 8
        other.save(9, content(9), metric=7.5)
    assert other.steps() == [8, 9]
    with make(keep=None) as all_of_them:
        for step in range(10, 15):
            all_of_them.save(step, content(step))
    assert all_of_them.steps() == [8, *range(9, 15)]


def test_an_earlier_step_can_be_saved_again(make):
    """As after going back to a checkpoint: the new file stays, though its number is not the last."""
    with make(keep=2) as checkpointer:
        for step in (10, 20, 5):
            checkpointer.save(step, content(step))
        assert checkpointer.restore(step=5).tree["n"] == 5
        checkpointer.save(20, {"again": 1})
    assert checkpointer.restore().tree == {"again": 1}


def test_the_arrays_are_those_of_the_call(make):
    """Whatever happens to them while the thread writes: updates, donation, writing."""
    grow = rf.jit(lambda tree: rf.tree.map(lambda x: x + 1, tree), donate_argnums=0)
    with make(keep=None) as checkpointer:
        tree, array = {"w": rnp.zeros(100_000)}, np.zeros(100_000)
        for step in range(3):
            checkpointer.save(step, {"tree": tree, "array": array})
            tree = grow(tree)
            array += 1
        for step in range(3):
            saved = checkpointer.restore(step=step).tree
            assert (np.asarray(saved["tree"]["w"]) == step).all()
            assert (np.asarray(saved["array"]) == step).all()


def test_saving_does_not_wait_for_the_disk(tmp_path, monkeypatch):
    may_write = threading.Event()
    write = safetensors.write

    def slow(*args, **options):
        assert may_write.wait(20)
        write(*args, **options)

    monkeypatch.setattr(safetensors, "write", slow)
    checkpointer = Checkpointer(tmp_path)
    checkpointer.save(1, content(1))
    assert checkpointer.steps() == []
    may_write.set()
    checkpointer.save(2, content(2))  # waits for the first
    assert 1 in checkpointer.steps()
    checkpointer.close()
    assert checkpointer.steps() == [1, 2]
    assert not any(t.name == "rtfunc-checkpoint" for t in threading.enumerate())


# Damage.


def test_every_changed_byte_is_noticed(tmp_path):
    checkpointer = Checkpointer(tmp_path, background=False)
    checkpointer.save(1, content(1, 2), metric=0.5, metadata={'"checksum":"': 1})
    path = checkpointer.path(1)
    data = path.read_bytes()
    assert checkpointer.restore().step == 1
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(FileFormatError):
            checkpointer.restore()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(FileFormatError, match="holds no checkpoint that can be read"):
            checkpointer.restore()


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(make):
    with make() as checkpointer:
        for step in (1, 2, 3):
            checkpointer.save(step, content(step))
    data = bytearray(checkpointer.path(3).read_bytes())
    data[-1] ^= 1
    checkpointer.path(3).write_bytes(data)
    checkpointer.path(2).write_bytes(b"")
    with pytest.warns(UserWarning, match="passed over.*step 1 is used") as caught:
        checkpoint = checkpointer.restore()
    assert len(caught) == 2
    assert "00003.safetensors: the checksum does not match" in str(caught[0].message)
    assert "00002.safetensors: not a safetensors file" in str(caught[1].message)
    assert checkpoint.step == 1
    with pytest.raises(FileFormatError, match="checksum"):
        checkpointer.restore(step=3)


def test_other_files_are_no_checkpoints(tmp_path):
    checkpointer = Checkpointer(tmp_path)
    rf.io.save({"w": rnp.ones(2)}, checkpointer.path(4))
    (tmp_path / "notes.txt").write_text("step-00000009.safetensors")
    with pytest.raises(FileFormatError, match="has no checksum"):
        checkpointer.restore()
    safetensors.write({}, checkpointer.path(4), {"rtfunc.tree": "null"}, checksum=True)
    with pytest.raises(FileFormatError, match=r"00004.safetensors: the file is not a checkpoint"):
        checkpointer.restore()
    assert checkpointer.steps() == [4]


# Failures while writing.


def test_a_full_disk_leaves_what_is_there(make, monkeypatch):
    checkpointer = make(keep=1)
    checkpointer.save(1, content(1))
    checkpointer.wait()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        full_disk = r"step 2: No space left on device.*steps \[1\]"
        with pytest.raises(OSError, match=full_disk) as caught:
            save_and_wait(checkpointer, 2, content(2))
        assert caught.value.errno == errno.ENOSPC
    assert os.listdir(checkpointer.folder) == ["step-00000001.safetensors"]
    assert checkpointer.restore().step == 1
    checkpointer.save(2, content(2))
    assert checkpointer.restore().step == 2


def test_a_file_that_the_system_stops(make):
    """A limit on the size of files, met in the middle of a real write."""
    resource = pytest.importorskip("resource")
    checkpointer = make()
    checkpointer.save(1, content(1))
    checkpointer.wait()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
        with pytest.raises(OSError, match="cannot write the checkpoint of step 2"):
            save_and_wait(checkpointer, 2, content(2, 100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(checkpointer.folder) == ["step-00000001.safetensors"]
    assert checkpointer.restore().step == 1


def test_a_failure_that_nobody_asked_for_is_told(tmp_path, monkeypatch):
    def broken(*args, **options):
        raise OSError(errno.EIO, "Input/output error")

    checkpointer = Checkpointer(tmp_path)
    monkeypatch.setattr(safetensors, "write", broken)
    checkpointer.save(1, content(1))
    checkpointer._writing.join()
    with pytest.warns(RuntimeWarning, match="checkpoint was lost: .*Input/output error"):
        del checkpointer  # which also drops the last reference


@pytest.mark.parametrize("kind", ["background", "at once"])
def test_kill_at_any_moment_leaves_the_last_good_checkpoint(tmp_path, kind):
    """Real processes, real kills: what was reported as saved is there, and all files are whole."""
    program = f"""
        import sys
        import rtfunc.numpy as rnp
        from rtfunc.io import Checkpointer

        checkpointer = Checkpointer(sys.argv[1], keep=3, background={kind == "background"})
        first = (checkpointer.steps() or [-1])[-1] + 1
        for step in range(first, 10**9):
            checkpointer.save(step, {{"w": rnp.full(300_000, float(step)), "n": step}})
            checkpointer.wait()
            print(step, flush=True)
    """
    generator = np.random.default_rng(0)
    saved = -1
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        with process:
            for _ in range(3):
                process.stdout.readline()
            time.sleep(generator.uniform(0, 0.02))
            process.kill()
            lines = process.stdout.read().split("\n")[:-1]
        saved = max([saved, *map(int, lines)])
        checkpointer = Checkpointer(tmp_path)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # nothing is damaged
            checkpoint = checkpointer.restore()
        assert checkpoint.step >= saved
        for step in checkpointer.steps():
            tree = checkpointer.restore(step=step).tree
            assert tree["n"] == step
            assert (np.asarray(tree["w"]) == step).all()
        saved = checkpoint.step


def test_what_a_killed_process_left_is_removed(tmp_path):
    old, fresh, locked, other = (
        tmp_path / name
        for name in (
            ".step-1.safetensors.aa.tmp",
            ".step-2.safetensors.bb.tmp",
            ".step-3.safetensors.cc.tmp",
            ".weights.dd.tmp",
        )
    )
    for path in (old, fresh, locked, other):
        path.write_bytes(b"half a file")
    for path in (old, locked, other):
        os.utime(path, (0, 0))
    with open(locked, "rb") as held:
        assert files._lock(held)
        Checkpointer(tmp_path)
        assert not old.exists()
        assert fresh.exists()  # is perhaps being written at this moment
        assert locked.exists()  # is being written
        assert other.exists()  # not ours
    Checkpointer(tmp_path)
    assert not locked.exists()


def test_what_was_left_is_removed_without_locks(tmp_path, monkeypatch):
    """On Windows, which keeps files that are open, and on file systems without locks, by age."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    now = time.time()
    ages = {".step-1.aa.tmp": 0, ".step-2.bb.tmp": 3600, ".step-3.cc.tmp": 30 * 3600}
    for name, age in ages.items():
        (tmp_path / name).write_bytes(b"half a file")
        os.utime(tmp_path / name, (now - age, now - age))
    Checkpointer(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".step-1.aa.tmp", ".step-2.bb.tmp"]
    monkeypatch.setattr(files, "_OPEN_FILES_STAY", True)
    Checkpointer(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".step-1.aa.tmp"]


def test_several_processes_may_save_into_one_folder(tmp_path):
    program = """
        import sys
        import rtfunc.numpy as rnp
        from rtfunc.io import Checkpointer

        first = int(sys.argv[2])
        with Checkpointer(sys.argv[1], keep=2) as checkpointer:
            for step in range(first, 20, 2):
                checkpointer.save(step, {"w": rnp.full(10_000, float(step))})
                checkpointer.save(1000, {"w": rnp.full(10_000, 1000.0)})
                checkpointer.restore()
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), str(tmp_path), str(first)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for first in (0, 1)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    checkpointer = Checkpointer(tmp_path)
    assert checkpointer.steps()[-1] == 1000
    for step in checkpointer.steps():
        assert (np.asarray(checkpointer.restore(step=step).tree["w"]) == step).all()
    assert not list(tmp_path.glob(".*"))


# A training.


def test_a_resumed_training_goes_on_bit_for_bit(make):
    whole = Training()
    losses = whole.run(12)
    scales = whole.carry["moments"]
    assert int(scales.skipped) > 0  # the scale of the loss has gone up and down
    for stop in (3, 5):  # at the end of an epoch, and in the middle of one
        with make(keep=1) as checkpointer:
            Training().run(stop, checkpointer)
        resumed = Training(seed=9)
        resumed.go_on(make())
        assert resumed.done == stop
        assert resumed.run(12) == losses[stop:]
        assert rf.tree.map(lambda x: x.aval, resumed.carry) == rf.tree.map(
            lambda x: x.aval, whole.carry
        )
        assert resumed.digest() == whole.digest()
        checkpointer.path(stop).unlink()


def test_a_training_killed_again_and_again_goes_on_bit_for_bit(tmp_path):
    """Real kills at any moment of a program whose loader has worker processes."""
    program = [sys.executable, str(Path(__file__).with_name("interrupted_training.py"))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    whole = Training(seed=9)  # that of the program
    whole.run(24)
    generator = np.random.default_rng(0)
    done = 0
    for _ in range(3):
        process = subprocess.Popen(
            [*program, tmp_path, "1000"], stdout=subprocess.PIPE, text=True, env=environment
        )
        with process:
            for _ in range(generator.integers(1, 4)):
                process.stdout.readline()
            time.sleep(generator.uniform(0, 0.005))
            process.kill()
        done = max(Checkpointer(tmp_path).steps(), default=0)
        if done > 20:
            break
    assert 0 < done <= 24
    process = subprocess.run(
        [*program, tmp_path, "24"], capture_output=True, text=True, env=environment, check=True
    )
    assert process.stdout.split()[-1] == whole.digest()


# Arguments.


def test_wrong_arguments(tmp_path):
    for match, options in [
        ("keep must be 1 or more, or None, not 0", {"keep": 0}),
        ("keep_best must be 0 or more", {"keep_best": -1}),
        ("mode is 'min' or 'max', not 'best'", {"mode": "best"}),
    ]:
        with pytest.raises(ArgumentError, match=match):
            Checkpointer(tmp_path, **options)
    checkpointer = Checkpointer(tmp_path)
    for step in (-1, 1.5, True, "3"):
        with pytest.raises(ArgumentError, match="step must be an integer of 0 or more"):
            checkpointer.save(step, {})
    with pytest.raises(DtypeError, match="metric is a number, not a list"):
        checkpointer.save(1, {}, metric=[1])
    with pytest.raises(DtypeError, match=r"the leaf at tree.a is a set"):
        checkpointer.save(1, {"a": {1}})
    checkpointer.save(1, {"w": rnp.ones(2)})
    with pytest.raises(ArgumentError, match=r"no checkpoint of step 2; there are \[1\]"):
        checkpointer.restore(step=2)
    with pytest.raises(ShapeError, match=r"Checkpointer.restore: .* w has shape"):
        checkpointer.restore(like={"w": rnp.ones(3)})
    with pytest.raises(ArgumentError, match="saved without a loader"):
        checkpointer.restore(loader=Training().loader)
    assert "steps [1]" in repr(checkpointer)
