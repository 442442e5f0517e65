"""The benchmarks' machinery, on workloads that do nothing: measuring, failures, reports."""

from __future__ import annotations

import io
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks import catalogue, contest, report
from benchmarks.__main__ import main
from benchmarks.catalogue import Contestant, Row
from benchmarks.contest import Cell, Contest, Failed, Result, Worker
from benchmarks.worker import Session, serve
from benchmarks.workloads import rtfunc_

FAKE = "tests.benchmarks.fake_contestant"
OURS, PEER = (Contestant(name, FAKE, "json", (), compiles=True) for name in ("rtfunc", "jax"))
NOBODY = Contestant("nobody", FAKE, "json", ("not_installed_anywhere",))


def answers_to(*commands: str) -> list[dict[str, Any]]:
    answers = io.StringIO()
    serve(Session(FAKE), io.StringIO("".join(c + "\n" for c in commands)), answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def run(rows: list[Row], **options: Any) -> list[Result]:
    options = {"rounds": 2, "seconds": 0.001} | options
    with Contest([OURS, PEER], **options) as measuring:
        return list(measuring.run(rows))


class RecordingWorker:
    """Takes 0.01 s for every call, and notes what it was asked."""

    alive = True

    def __init__(
        self,
        contestant: Contestant,
        *,
        cache: str,
        cpus: Any = None,
        timeout: Any = 0,
        device: Any = "cpu",
    ):
        self.name, self.cache, self.cpus = contestant.name, Path(cache), cpus

    def ask(self, *command: Any) -> Any:
        empty = not any(self.cache.iterdir())
        log.append((self.name, *command, {"cpus": self.cpus, "empty cache": empty}))
        if command[0] == "first":
            (self.cache / self.name).touch()
        return True if command[0] == "prepare" else 0.01

    def close(self) -> None:
        pass


log: list[tuple[Any, ...]] = []


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    log.clear()
    monkeypatch.setattr(contest, "Worker", RecordingWorker)
    return log


def test_a_worker_answers_every_command_with_a_line():
    prepared, roughly, seconds, dropped, peak = answers_to(
        "prepare fine", "warm fine", "time fine 3", "drop fine", "peak"
    )
    assert prepared == {"value": True}
    assert roughly["value"] > 0
    assert seconds["value"] > 0
    assert dropped == {"value": None}
    assert peak["value"] > 2**20


def test_a_worker_says_that_a_contestant_lacks_a_workload():
    assert answers_to("prepare unheard-of") == [{"value": False}]


def test_a_worker_answers_an_exception_with_its_traceback_and_goes_on():
    failed, prepared = answers_to("prepare fails-to-prepare", "prepare fine")
    assert failed["error"] == "ValueError: no such data"
    assert "in fails_to_prepare" in failed["traceback"]
    assert prepared == {"value": True}


def test_what_a_workload_prints_is_not_taken_for_an_answer():
    (result,) = run([Row("compiled", "prints", "")])
    assert all(len(cell.values) == 2 for cell in result.cells.values())


def test_contestants_take_turns_and_another_begins_each_round(recorded: list):
    (result,) = run([Row("compiled", "fine", "")], rounds=3, seconds=0.05)
    timed = [entry[:4] for entry in recorded if entry[1] == "time"]
    assert [name for name, *_ in timed] == ["rtfunc", "jax", "jax", "rtfunc", "rtfunc", "jax"]
    assert {entry[1:] for entry in timed} == {("time", "fine", 5)}  # 0.05 s of 0.01 s calls
    assert result.cells["rtfunc"].values == [0.01] * 3


def test_first_calls_have_an_empty_disk_cache_and_cached_calls_the_one_just_filled(recorded: list):
    cold, cached = run([Row("first-call", "fine", ""), Row("cached-call", "fine", "")])
    first = Counter((name, last["empty cache"]) for name, do, *_, last in recorded if do == "first")
    # The peer's first call stands for it in both rows.
    assert first == {("rtfunc", True): 2, ("rtfunc", False): 2, ("jax", True): 2}
    assert set(cold.cells) == set(cached.cells) == {"rtfunc", "jax"}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be chosen here")
def test_scaling_compares_one_processor_with_all(recorded: list, monkeypatch: pytest.MonkeyPatch):
    (result,) = run([Row("threads", "fine", "")])
    assert {entry[-1]["cpus"] for entry in recorded} == {1, contest.available_cpus()}
    assert result.cells["jax"].values == [1.0, 1.0]
    assert result.ratio() is None
    monkeypatch.undo()
    (result,) = run([Row("threads", "knows-its-processors", "")])
    assert [cell.failure for cell in result.cells.values()] == [None, None]


def test_imports_and_memory_are_measured_in_fresh_processes():
    imported, memory = run([Row("start", "import", ""), Row("memory", "fine", "")])
    assert all(len(cell.values) == 2 for cell in imported.cells.values())
    assert all(min(cell.values) > 2**20 for cell in memory.cells.values())


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        ("fails-to-prepare", "ValueError: no such data"),
        ("fails-to-run", "ArithmeticError: cannot be computed"),
        ("crashes", "the process ended with status 7"),
        ("hangs", "no answer within 1 s"),
    ],
)
def test_a_failure_is_a_result_and_the_next_row_is_measured(workload: str, message: str):
    rows = [Row("compiled", workload, ""), Row("compiled", "fine", "")]
    with Contest([OURS], rounds=1, seconds=0.001, timeout=1.0) as measuring:
        failed, fine = measuring.run(rows)
    assert str(failed.cells["rtfunc"].failure) == message
    assert failed.ours is None
    assert len(fine.cells["rtfunc"].values) == 1


def test_a_dead_worker_hands_over_its_last_words(tmp_path: Path):
    worker = Worker(OURS, cache=str(tmp_path))
    try:
        worker.ask("prepare", "crashes")
        with pytest.raises(Failed, match="ended"):
            worker.ask("first", "crashes")
        assert not worker.alive
    finally:
        worker.close()


def result(ours: float | None, aim: Any = None, **peers: float) -> Result:
    """A result with one round; None is a failure."""
    cells = {name: Cell([value]) for name, value in peers.items()}
    cells["rtfunc"] = Cell([ours]) if ours is not None else Cell(failure=Failed("broken", "why"))
    return Result(Row("compiled", "fine", "a title", **(aim or {})), cells)


def test_the_ratio_is_the_best_peers_median_to_ours():
    cells = {"rtfunc": Cell([2.0, 1.0, 9.0]), "jax": Cell([8.0, 8.0, 1.0]), "torch": Cell([5.0])}
    measured = Result(Row("compiled", "fine", "", 2.5), cells)
    assert measured.ratio() == 2.5
    assert measured.ratio(["jax"]) == 4.0
    assert measured.holds
    assert result(None, jax=1.0).ratio() is None


def test_an_aim_speaks_of_all_peers_of_some_or_of_seconds():
    shown = {
        "≥ 2 ✓": result(1.0, {"aim": 2.0}, jax=2.0),
        "≥ 2 ✗": result(1.0, {"aim": 2.0}, jax=4.0, torch=1.9),
        "≥ 2": result(None, {"aim": 2.0}, jax=4.0),
        "≥ 2 of jax (4.00) ✓": result(1.0, {"aim": 2.0, "against": ("jax",)}, jax=4.0, torch=1.0),
        "≤ 300 ms ✗": result(0.4, {"limit": 0.3}),
        "≥ 2 of jax ✓": result(1.0, {"aim": 2.0, "against": ("jax",)}, jax=4.0, torch=5.0),
        "": result(1.0, jax=1.0),
    }
    for text, measured in shown.items():
        assert report.cells_of(measured, ["rtfunc", "jax"])[-1] == text


def test_the_same_failure_in_several_rows_is_told_once():
    broken = {"rtfunc": Cell(failure=Failed("broken", "first")), "jax": Cell([1.0])}
    again = {"rtfunc": Cell(failure=Failed("broken", "second")), "jax": Cell(failure=Failed("odd"))}
    results = [
        Result(Row(group, "cnn", ""), c) for group, c in [("compiled", broken), ("memory", again)]
    ]
    assert report.failures(results) == [
        ("rtfunc in cnn, memory:cnn", "broken", "first"),
        ("jax in memory:cnn", "odd", ""),
    ]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.234, "seconds", "1.23 s"),
        (0.99996, "seconds", "1.00 s"),
        (0.0999, "seconds", "99.9 ms"),
        (0.09996, "seconds", "100 ms"),
        (1.8e-6, "seconds", "1.80 µs"),
        (2e-8, "seconds", "0.02 µs"),
        (0.0, "seconds", "0.00 µs"),
        (3e8, "bytes", "286 MiB"),
        (1.874, "speedup", "1.87 ×"),
    ],
)
def test_figures_have_three_digits_and_a_unit(value: float, unit: str, text: str):
    assert report.number(value, unit) == text


def test_the_command_reports_to_terminal_markdown_and_chart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("matplotlib")
    rows = (
        Row("compiled", "fine", "a fine one", 0.001),
        Row("compiled", "fails-to-run", "a bad one"),
    )
    monkeypatch.setattr(catalogue, "ROWS", rows)
    for contestant in (OURS, PEER, NOBODY):
        monkeypatch.setitem(catalogue.CONTESTANTS, contestant.name, contestant)
    page, chart = tmp_path / "docs/page.md", tmp_path / "docs/chart.png"
    options = ["--rounds", "1", "--seconds", "0.001", "--peers", "jax,nobody", "--machine", "mine"]
    assert main([*options, "--markdown", str(page), "--plot", str(chart)]) == 1  # ours failed
    printed, written = capsys.readouterr().out, page.read_text()
    for text in (printed, written):
        assert "nobody is left out: not_installed_anywhere not installed" in text
        assert "pip install 'rtfunc[bench]'" in text
        assert "≥ 0.001 ✓" in text
        assert text.count("failed") >= 2
        assert "ArithmeticError: cannot be computed" in text
    assert "in fails_to_run" in printed
    assert "mine, " in written
    assert report.cpu_model() in written
    assert "chart.png)" in written
    assert chart.read_bytes().startswith(b"\x89PNG")
    assert main([*options, "fine"]) == 0


def test_rows_are_chosen_by_group_name_and_pattern():
    assert {row.group for row in catalogue.select(["memory", "memory:*"])} == {"memory"}
    assert [row.name for row in catalogue.select(["mlp*"])] == ["mlp", "mlp-tiny"]
    assert catalogue.select([]) == list(catalogue.ROWS)
    with pytest.raises(ValueError, match=r"no row or group is called 'mpl'.*first-call:mlp"):
        catalogue.select(["mpl"])


def test_an_unknown_peer_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["--peers", "jaxx"])
    assert "no such peer: jaxx" in capsys.readouterr().err


def test_every_row_has_its_workload_and_every_workload_its_row():
    names = [row.name for row in catalogue.ROWS]
    assert len(set(names)) == len(names)
    assert {row.workload for row in catalogue.ROWS} == {*rtfunc_.WORKLOADS, "import"}


@pytest.mark.oracle
@pytest.mark.parametrize("workload", ["mlp-tiny", "lstm", "matrix-gradient"])
def test_the_peer_does_the_same_work(workload: str):
    jax = pytest.importorskip("jax")
    pytest.importorskip("optax")
    import numpy as np

    from benchmarks.workloads import jax_
    from rtfunc import tree

    ours = tree.leaves(rtfunc_.WORKLOADS[workload]()())
    theirs = jax.tree.leaves(jax_.WORKLOADS[workload]()())
    sums = [sorted(float(np.abs(np.asarray(x, "d")).sum()) for x in xs) for xs in (ours, theirs)]
    # Both in float32, summed in different order; sums of some hundred rounding errors.
    np.testing.assert_allclose(*sums, rtol=1e-4, atol=1e-6)
