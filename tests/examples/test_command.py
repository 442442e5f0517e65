"""Options that the examples share: what they take, and what they say."""

import pytest

from rtfunc.examples import (
    char_lstm,
    command,
    dp_sgd,
    gpt,
    logistic_lbfgs,
    mnist,
    neural_ode,
    vae,
)

EXAMPLES = [char_lstm, dp_sgd, gpt, logistic_lbfgs, mnist, neural_ode, vae]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda module: module.__name__)
def test_every_example_explains_its_options(example, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        example.main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "--steps" in text
    assert "--seed" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "0"], "argument --steps: 0 is not 1 or more"),
        (["--penalty", "-1"], "argument --penalty: -1 is not above 0"),
        (["--penalty", "inf"], "argument --penalty: inf is not above 0"),
        (["--seed", "x"], "argument --seed: invalid int value: 'x'"),
    ],
)
def test_wrong_options_end_with_a_message(options, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        logistic_lbfgs.main(options)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_an_output_that_is_no_folder_is_refused(tmp_path, capsys):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(SystemExit):
        vae.main(["--output", str(path)])
    assert "argument --output: cannot make the folder" in capsys.readouterr().err


def test_missing_data_is_named(tmp_path, capsys):
    (tmp_path / "a").write_text("")
    parser = command.parser("name", "", steps=1)
    with pytest.raises(SystemExit):
        command.existing(parser, tmp_path, ["a", "b", "c"], "letters")
    message = f"{tmp_path} has no b and no c. Give the folder with letters as --data FOLDER."
    assert message in capsys.readouterr().err
    assert command.existing(parser, tmp_path, ["a"], "letters") == [tmp_path / "a"]


def test_without_matplotlib_it_says_so(tmp_path, capsys):
    def draw(path):
        raise ImportError

    command.picture(draw, tmp_path / "x.png")
    assert "pip install 'rtfunc[plot]'" in capsys.readouterr().out
