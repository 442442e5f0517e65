"""The progress bar, on a terminal and in a file."""

import io

import pytest

from rtfunc.viz.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_file_gets_a_line_for_every_tenth():
    stream = io.StringIO()
    with Progress(100, "work", stream=stream) as bar:
        for i in range(100):
            bar.advance(loss=1.0 / (i + 1))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "work  10% 10/100 loss=0.1"
    assert lines[-1] == "work 100% 100/100 loss=0.01"


def test_a_terminal_gets_one_line_that_is_rewritten():
    stream = Terminal()
    with Progress(3, "work", stream=stream, plain=True) as bar:
        for _ in range(3):
            bar.advance(accuracy=0.5)
    text = stream.getvalue()
    assert text.endswith("\n")
    assert text.count("\n") == 1
    last = text.split("\r")[-1]
    assert last.startswith("work ###")
    assert "100% 3/3" in last
    assert "accuracy=0.5" in last


def test_tqdm_draws_where_it_is_installed():
    pytest.importorskip("tqdm")
    stream = Terminal()
    with Progress(2, "work", stream=stream) as bar:
        bar.advance(2, loss=0.25)
    assert "loss=0.25" in stream.getvalue()


def test_the_line_is_ended_when_an_error_passes():
    stream = Terminal()

    def fail():
        with Progress(2, "work", stream=stream, plain=True) as bar:
            bar.advance()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert "50% 1/2" in stream.getvalue()
    assert stream.getvalue().endswith("\n")


def test_nothing_to_do_is_no_error():
    with Progress(0, stream=io.StringIO()) as bar:
        bar.advance(0)
