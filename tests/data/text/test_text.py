"""Vocabularies, byte-pair encoding and windows, on small texts and on a real one."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtfunc.core.errors import ArgumentError, IndexingError, ShapeError
from rtfunc.data import DataLoader
from rtfunc.data.text import BytePairEncoding, Bytes, Characters, LanguageModelWindows
from rtfunc.io import FileFormatError
from rtfunc.random import key

SHAKESPEARE = Path(__file__).parents[4] / "shared" / "data" / "tinyshakespeare.txt"
TEXT = "the quick brown fox; the lazy dog; the end of the naïve ☺ story\n" * 20


@given(st.text())
def test_what_is_encoded_is_decoded(text):
    letters = Characters(text)
    tokens = letters.encode(text)
    assert tokens.dtype == np.int32
    assert len(tokens) == len(text)
    assert letters.decode(tokens) == text
    assert len(letters) == len(set(text))
    encodable = text.encode("utf-8", "replace").decode()
    assert Bytes().decode(Bytes().encode(encodable)) == encodable


def test_characters_that_are_not_there():
    letters = Characters(["ab", "c"], unknown="?")
    assert letters.characters == "?abc"
    assert letters.decode(letters.encode("xaé")) == "?a?"
    with pytest.raises(ArgumentError, match="'z' is not in the vocabulary"):
        Characters("ab").encode("abz")
    with pytest.raises(ArgumentError, match="'z' is not in the vocabulary"):
        Characters("").encode("z")
    with pytest.raises(ArgumentError, match="unknown is one character"):
        Characters("a", unknown="<unk>")


def test_tokens_that_are_not_there():
    with pytest.raises(IndexingError, match="go from -1 to 3, but there are 2"):
        Characters("ab").decode([-1, 3])
    with pytest.raises(ArgumentError, match="takes integers, not float64"):
        Bytes().decode([0.5])
    assert Bytes().decode([]) == ""


def test_byte_pairs(tmp_path):
    pytest.importorskip("tokenizers")
    pieces = BytePairEncoding.train(TEXT.splitlines(True), size=300, special=["<end>"])
    assert 256 < len(pieces) <= 300
    for text in (TEXT, "entirely new ☃ words", "  spaces \n\n", ""):
        tokens = pieces.encode(text)
        assert tokens.dtype == np.int32
        assert pieces.decode(tokens) == text
    assert len(pieces.encode(TEXT)) < len(TEXT.encode()) / 2
    assert pieces.token("<end>") == 0
    assert pieces.token("nowhere") is None
    assert pieces.encode("the end<end>")[-1] == 0
    assert [x.tolist() for x in pieces.encode_all(["the", "fox"])] == [
        pieces.encode("the").tolist(),
        pieces.encode("fox").tolist(),
    ]
    pieces.save(tmp_path / "tokenizer.json")
    for other in (
        BytePairEncoding.load(tmp_path / "tokenizer.json"),
        pickle.loads(pickle.dumps(pieces)),
    ):
        assert other.encode(TEXT).tolist() == pieces.encode(TEXT).tolist()
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(FileFormatError, match=r"bad.json: not a tokenizer"):
        BytePairEncoding.load(tmp_path / "bad.json")
    with pytest.raises(ArgumentError, match="size must be at least 257"):
        BytePairEncoding.train("a", size=100, special=["<end>"])


def test_windows():
    tokens = np.arange(23, dtype=np.uint16)
    windows = LanguageModelWindows(tokens, 5)
    assert len(windows) == 4
    assert [w[1][-1] for w in (windows[i] for i in range(4))] == [5, 10, 15, 20]
    overlapping = LanguageModelWindows(tokens, 5, stride=2)
    assert len(overlapping) == 9
    assert overlapping[8][1].tolist() == [17, 18, 19, 20, 21]
    for indices in (np.array([3, 0]), range(1, 3)):
        inputs, targets = overlapping.gather(indices)
        for row, target, i in zip(inputs, targets, indices):
            assert np.array_equal(row, overlapping[int(i)][0])
            assert np.array_equal(target, row + 1)
    assert len(LanguageModelWindows(tokens, 22)) == 1
    with pytest.raises(IndexError):
        windows[4]
    with pytest.raises(IndexError, match="window 4 of 4"):
        windows.gather([4])
    with pytest.raises(ArgumentError, match="need 24 tokens, but there are 23"):
        LanguageModelWindows(tokens, 23)
    with pytest.raises(ShapeError, match=r"takes a vector of integers, not float64\[3\]"):
        LanguageModelWindows(np.zeros(3), 1)
    with pytest.raises(ArgumentError, match="stride must be an integer of at least 1"):
        LanguageModelWindows(tokens, 5, stride=0)


@pytest.mark.skipif(
    not SHAKESPEARE.exists(), reason=f"{SHAKESPEARE.name} is not beside the repository"
)
def test_a_real_text_feeds_a_language_model():
    text = SHAKESPEARE.read_text(encoding="utf-8")
    letters = Characters(text)
    assert len(letters) == 65
    tokens = letters.encode(text)
    assert letters.decode(tokens[:1000]) == text[:1000]
    loader = DataLoader(
        LanguageModelWindows(tokens, 64),
        32,
        shuffle=True,
        key=key(0),
        drop_last=True,
        num_workers=2,
    )
    inputs, targets = next(iter(loader))
    assert inputs.shape == targets.shape == (32, 64)
    assert np.array_equal(inputs[:, 1:], targets[:, :-1])
    assert letters.decode(inputs[0]) in text
