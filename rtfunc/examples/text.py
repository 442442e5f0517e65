"""A text as numbers, for the examples that learn to write: alphabet, batches, and back again."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
from typing import Any

import numpy as np

from rtfunc import random
from rtfunc.viz.curves import draw_curves

DATA = pathlib.Path("..", "shared", "data", "tinyshakespeare.txt")


@dataclasses.dataclass(frozen=True)
class Text:
    """The characters of a text, as their places in its alphabet; a tenth at the end is held out."""

    alphabet: str
    train: np.ndarray
    held_out: np.ndarray

    @classmethod
    def of(cls, content: str) -> Text:
        """The codes of `content`."""
        alphabet = "".join(sorted(set(content)))
        place = {character: i for i, character in enumerate(alphabet)}
        codes = np.array([place[character] for character in content], np.int32)
        cut = len(codes) * 9 // 10
        return cls(alphabet, codes[:cut], codes[cut:])

    def encode(self, content: str) -> np.ndarray:
        """Codes of a text; what is not in the alphabet is left out."""
        found = [self.alphabet.find(character) for character in content]
        return np.array([code for code in found if code >= 0], np.int32)

    def decode(self, codes: np.ndarray) -> str:
        """The text of these codes."""
        return "".join(self.alphabet[code] for code in codes)

    def batch(self, key: Any, count: int, length: int) -> np.ndarray:
        """`count` pieces of `length` characters from anywhere in the training text."""
        first = np.asarray(random.randint(key, (count, 1), 0, len(self.train) - length + 1))
        return self.train[first + np.arange(length)]

    def held_out_batch(self, count: int, length: int) -> np.ndarray:
        """`count` pieces spread over the held-out text, always the same."""
        first = np.linspace(0, len(self.held_out) - length, count).astype(int)
        return self.held_out[first[:, None] + np.arange(length)]


def read_text(parser: argparse.ArgumentParser, file: pathlib.Path, length: int) -> Text:
    """The text in a file of which a tenth has at least `length` characters; else the program ends."""
    try:
        content = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"cannot read {file} ({error}). Give a file of plain text as --data FILE.")
    if len(content) < 10 * (length + 1):
        parser.error(
            f"{file} has {len(content)} characters; at least {10 * (length + 1)} are needed."
        )
    return Text.of(content)


def prompt_of(parser: argparse.ArgumentParser, text: Text, prompt: str) -> np.ndarray:
    """The codes of a prompt; the program ends if it has no character of the text."""
    codes = text.encode(prompt)
    if not len(codes):
        parser.error(f"--prompt {prompt!r} has no character that is in the text")
    return codes


def draw_training(losses: list[float], held_out: dict[int, float], path: pathlib.Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    curves: Any = {"training": losses, "held out": (list(held_out), list(held_out.values()))}
    draw_curves(figure.subplots(), curves, ylabel="bits per character")
    figure.savefig(path, dpi=110)
