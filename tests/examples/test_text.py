"""The examples that learn to write: the text as numbers, short trainings, refusals."""

import numpy as np
import pytest

from rtfunc import numpy as rnp
from rtfunc import random
from rtfunc.examples import char_lstm, gpt
from rtfunc.examples.text import Text
from rtfunc.transforms.jit import jit

WORDS = "the quick brown fox jumps over the lazy dog; pack my box with five dozen liquor jugs.\n"


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(WORDS * 60, encoding="utf-8")
    return path


def test_codes_are_places_in_the_alphabet():
    text = Text.of("cabbage" * 10)
    assert text.alphabet == "abceg"
    assert (len(text.train), len(text.held_out)) == (63, 7)
    assert text.decode(text.train[:7]) == "cabbage"
    assert text.decode(text.encode("bag, egg!")) == "bagegg"  # what is unknown is left out


def test_batches_are_pieces_of_the_text():
    text = Text.of("".join(chr(i) for i in range(1000)))
    batch = text.batch(random.key(0), 50, 10)
    assert batch.shape == (50, 10)
    assert (np.diff(batch, axis=1) == 1).all()
    assert batch.max() < 900
    held_out = text.held_out_batch(3, 10)
    np.testing.assert_array_equal(held_out[:, 0], [900, 945, 990])


@pytest.mark.parametrize(("example", "steps"), [(char_lstm, 40), (gpt, 20)])
def test_it_learns_and_writes(example, steps, file, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(example, "LENGTH", 32)
    monkeypatch.setattr(example, "BATCH", 8)
    options = ["--data", str(file), "--output", str(tmp_path), "--steps", str(steps)]
    assert example.main([*options, "--prompt", "the quick ", "--length", "40"]) == 0
    text = capsys.readouterr().out
    # All characters alike would take 4.86 bits, their frequencies 4.4.
    assert float(text.split("Held-out text: ")[1].split()[0]) < 4.5
    written = text.split("s.\n", 1)[1].split("Wrote")[0]
    assert written.startswith("the quick ")
    assert len(written.rstrip("\n")) >= 45
    assert set(written) <= set(WORDS)
    pytest.importorskip("matplotlib")
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")


def test_the_memory_goes_on_where_the_prompt_ended():
    """Writing one character at a time sees what a single pass over all of it sees."""
    model = char_lstm.model_of(5)
    params, _ = model.init(random.key(0), rnp.zeros((1, 1), int))
    codes = rnp.array([[1, 4, 0, 2, 3, 3]])
    (whole, _), _ = jit(model.apply)(params, {}, codes)
    (_, memory), _ = model.apply(params, {}, codes[:, :5])
    (last, _), _ = model.apply(params, {}, codes[:, 5:], memory)
    np.testing.assert_allclose(last[:, 0], whole[:, -1], atol=1e-6)  # float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "missing.txt"], "cannot read missing.txt"),
        (["--prompt", "ÄÖ"], "--prompt 'ÄÖ' has no character that is in the text"),
        (["--length", "0"], "argument --length: 0 is not 1 or more"),
    ],
)
@pytest.mark.parametrize("example", [char_lstm, gpt])
def test_wrong_options_end_with_a_message(example, options, message, file, tmp_path, capsys):
    with pytest.raises(SystemExit):
        example.main(["--data", str(file), "--output", str(tmp_path), *options])
    assert message in capsys.readouterr().err


def test_a_text_that_is_too_short_is_refused(tmp_path, capsys):
    path = tmp_path / "short.txt"
    path.write_text("too short")
    with pytest.raises(SystemExit):
        gpt.main(["--data", str(path), "--output", str(tmp_path)])
    assert f"{path} has 9 characters; at least 1300 are needed." in capsys.readouterr().err
