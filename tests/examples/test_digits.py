"""The digits example: it learns, repeats itself, writes what it says, and takes interruptions."""

import numpy as np
import pytest

from rtfunc import nn, random
from rtfunc.data import ArrayDataset
from rtfunc.data.sources import digits
from rtfunc.examples import digits as example
from rtfunc.io import Checkpointer, load
from rtfunc.viz.progress import Progress


def subset(part, count):
    return ArrayDataset(*(a[:count] for a in digits(part).arrays))


@pytest.fixture
def small(monkeypatch):
    """The example with a quarter of the images."""
    monkeypatch.setattr(example, "digits", lambda part: subset(part, 384))


def run(tmp_path, *options):
    return example.main(
        ["--epochs", "2", "--batch-size", "16", "--output", str(tmp_path), *options]
    )


def test_it_learns_and_writes_parameters_and_a_picture(small, tmp_path, capsys):
    assert run(tmp_path) == 0
    text = capsys.readouterr().out
    accuracy = float(text.split("Test accuracy: ")[1].split("%")[0])
    assert accuracy > 75  # of ten classes, after 48 steps
    weights = load(tmp_path / "digits.safetensors")
    params, state = example.model.init(random.key(9), (1, 8, 8))
    params, state = nn.load_state_dict(weights, params, state)
    images, labels = digits("test").arrays
    seen = np.asarray(example.logits_of(params, state, images).argmax(axis=-1))
    assert (seen == labels).mean() * 100 == pytest.approx(accuracy, abs=0.01)
    pytest.importorskip("matplotlib")
    assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG")
    assert str(tmp_path / "digits.png") in text
    assert "Try next:" in text


def test_the_same_seed_gives_the_same_result():
    data = subset("train", 64), subset("test", 16)
    options = {"epochs": 1, "batch_size": 16, "learning_rate": 1e-3}
    one, same, other = (example.train(*data, **options, seed=seed) for seed in (1, 1, 2))
    assert one.losses == same.losses
    assert one.losses != other.losses
    for a, b in zip(nn.state_dict(one.params).values(), nn.state_dict(same.params).values()):
        np.testing.assert_array_equal(a, b)


def test_ctrl_c_keeps_what_was_learned(small, tmp_path, monkeypatch, capsys):
    advance = Progress.advance

    def interrupted(self, *args, **numbers):
        advance(self, *args, **numbers)
        if self.done == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "advance", interrupted)
    assert run(tmp_path) == 130
    assert "Stopped after 5 steps; what was learned so far is kept." in capsys.readouterr().out
    assert (tmp_path / "digits.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], "argument --epochs: 0 is not 1 or more"),
        (["--batch-size", "many"], "argument --batch-size: invalid positive_int value: 'many'"),
        (["--learning-rate", "-1"], "argument --learning-rate: -1 is not above 0"),
        (["--speed", "3"], "unrecognized arguments: --speed 3"),
    ],
)
def test_wrong_options_end_with_a_message(options, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        run(tmp_path, *options)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_an_output_that_is_no_folder_is_refused(tmp_path, capsys):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(SystemExit):
        example.main(["--output", str(path)])
    assert "argument --output: cannot make the folder" in capsys.readouterr().err


def same(one, other):
    assert one.losses == other.losses
    assert one.accuracies == other.accuracies
    for a, b in zip(
        nn.state_dict(one.params, one.state).values(),
        nn.state_dict(other.params, other.state).values(),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_an_interrupted_run_that_is_resumed_gives_the_same_result(tmp_path, monkeypatch):
    data, options = (subset("train", 64), subset("test", 16)), {"epochs": 3, "batch_size": 16}
    whole = example.train(*data, **options)
    advance = Progress.advance

    def interrupted(self, *args, **numbers):
        advance(self, *args, **numbers)
        if self.done == 6:  # in the second epoch
            raise KeyboardInterrupt

    with Checkpointer(tmp_path) as checkpointer, monkeypatch.context() as patched:
        patched.setattr(Progress, "advance", interrupted)
        assert example.train(*data, **options, checkpointer=checkpointer).interrupted
        checkpointer.wait()
        assert checkpointer.steps() == [4]
    with Checkpointer(tmp_path) as checkpointer:
        resumed = example.train(*data, **options, checkpointer=checkpointer, resume=True)
        same(resumed, whole)
        done = example.train(*data, **options, checkpointer=checkpointer, resume=True)
        same(done, whole)
        anew = example.train(*data, **options, seed=1, checkpointer=checkpointer)
        assert anew.losses != whole.losses
        checkpointer.wait()
        assert checkpointer.steps() == [4, 8, 12]


def test_a_run_with_other_options_is_not_resumed(small, tmp_path, capsys):
    assert run(tmp_path) == 0
    assert "Going on" not in capsys.readouterr().out
    assert run(tmp_path, "--resume", "--seed", "5") == 2
    text = capsys.readouterr().out
    assert "Going on from step 48." in text
    assert "Cannot resume" in text
    assert "'seed': 0" in text
    assert run(tmp_path, "--resume") == 0


@pytest.mark.slow
def test_it_reads_98_5_per_cent_of_the_held_out_digits():
    training = example.train(digits("train"), digits("test"))
    assert training.accuracies[-1] >= 0.985
