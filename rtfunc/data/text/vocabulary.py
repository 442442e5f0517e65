"""Vocabularies that need no learning: the characters of a text, and bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from rtfunc.core.errors import ArgumentError, IndexingError, at_user_line


class Tokenizer(Protocol):
    """What turns text into numbers below its length, and back."""

    def __len__(self) -> int:
        """Number of tokens."""
        ...

    def encode(self, text: str) -> np.ndarray:
        """The tokens of a text, int32 [n]."""
        ...

    def decode(self, tokens: Any) -> str:
        """The text of tokens."""
        ...


def as_tokens(operation: str, tokens: Any, count: int) -> np.ndarray:
    """Tokens as a vector of integers from 0 to `count` - 1; `IndexingError` for others."""
    array = np.asarray(tokens).reshape(-1)
    array = array.astype(np.int64) if not array.size else array
    if array.dtype.kind not in "iu":
        raise ArgumentError(at_user_line(f"{operation} takes integers, not {array.dtype}."))
    if array.size and not (array.min() >= 0 and array.max() < count):
        raise IndexingError(
            at_user_line(
                f"{operation}: the tokens go from {array.min()} to {array.max()}, but there are "
                f"{count}."
            )
        )
    return array


class Characters:
    """The distinct characters of a text, in the order of Unicode, as a vocabulary.

    Arguments: text: whose characters it has, as one string or several; unknown: the character that
    stands for those it has not; without one, `encode` raises `ArgumentError` for them.

    >>> letters = Characters("hello")
    >>> letters.characters, letters.encode("hole").tolist()
    ('ehlo', [1, 3, 2, 0])
    >>> letters.decode([1, 0, 2, 3])
    'helo'
    """

    def __init__(self, text: str | Iterable[str], unknown: str | None = None):
        parts = [text] if isinstance(text, str) else text
        found = set() if unknown is None else {unknown}
        for part in parts:
            found.update(part)
        if unknown is not None and len(unknown) != 1:
            raise ArgumentError(
                at_user_line(f"Characters: unknown is one character, not {unknown!r}.")
            )
        self.characters = "".join(sorted(found))
        self.unknown = unknown
        self._codes = _codes(self.characters)

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """The characters' numbers, int32 [len(text)]."""
        codes = _codes(text)
        if not len(self._codes):
            places, known = np.zeros(len(codes), np.int64), np.zeros(len(codes), bool)
        else:
            places = np.searchsorted(self._codes, codes).clip(max=len(self._codes) - 1)
            known = self._codes[places] == codes
        if not known.all():
            if self.unknown is None:
                first = text[int(np.argmin(known))]
                raise ArgumentError(
                    at_user_line(
                        f"Characters: {first!r} is not in the vocabulary. Give it a character that "
                        "stands for others: Characters(text, unknown='?')."
                    )
                )
            places = np.where(known, places, self.characters.index(self.unknown))
        return places.astype(np.int32)

    def decode(self, tokens: Any) -> str:
        """The text of the numbers."""
        numbers = as_tokens("Characters.decode", tokens, len(self))
        return "".join([self.characters[i] for i in numbers.tolist()])

    def __repr__(self) -> str:
        return f"Characters({self.characters!r})"


def _codes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


class Bytes:
    """The 256 bytes as a vocabulary for any text, in UTF-8.

    >>> Bytes().encode("é").tolist()
    [195, 169]
    >>> Bytes().decode([195, 169])
    'é'
    """

    def __len__(self) -> int:
        return 256

    def encode(self, text: str) -> np.ndarray:
        """The bytes of the text, int32."""
        return np.frombuffer(text.encode(), np.uint8).astype(np.int32)

    def decode(self, tokens: Any) -> str:
        """The text of the bytes; what is no UTF-8 becomes the replacement character."""
        numbers = as_tokens("Bytes.decode", tokens, 256)
        return numbers.astype(np.uint8).tobytes().decode(errors="replace")

    def __repr__(self) -> str:
        return "Bytes()"
