"""The examples of a language model: stretches of a long text, and what comes after each token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.data.samplers import check_count


class LanguageModelWindows:
    """A dataset of (inputs [length], targets [length]): targets are the inputs, one token later.

    Arguments: tokens: a vector of integers, as an array or a memory-mapped one, which is not copied;
    length: of a window; stride: from the beginning of a window to that of the next, `length` by
    default, so that each token is a target once.

    Raises `ShapeError` for tokens of more than one axis, `ArgumentError` where there are too few.

    >>> windows = LanguageModelWindows(np.arange(7), length=3)
    >>> len(windows), windows[1]
    (2, (array([3, 4, 5]), array([4, 5, 6])))
    """

    def __init__(self, tokens: Any, length: int, stride: int | None = None):
        self.tokens = np.asarray(tokens)
        self.length = check_count("LanguageModelWindows", "length", length, least=1)
        self.stride = check_count(
            "LanguageModelWindows", "stride", length if stride is None else stride, least=1
        )
        if self.tokens.ndim != 1 or self.tokens.dtype.kind not in "iu":
            raise ShapeError(
                at_user_line(
                    "LanguageModelWindows takes a vector of integers, not "
                    f"{self.tokens.dtype}{list(self.tokens.shape)}."
                )
            )
        if len(self.tokens) <= length:
            raise ArgumentError(
                at_user_line(
                    f"LanguageModelWindows: a window of {length} and its targets need {length + 1} "
                    f"tokens, but there are {len(self.tokens)}."
                )
            )

    def __len__(self) -> int:
        return (len(self.tokens) - 1 - self.length) // self.stride + 1

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        begin = range(len(self))[index] * self.stride  # IndexError past the end
        both = self.tokens[begin : begin + self.length + 1]
        return both[:-1], both[1:]

    def gather(self, indices: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The batch of windows: inputs and targets [n, length]."""
        numbers = np.asarray(indices, np.int64)
        if numbers.size and not (numbers.min() >= 0 and numbers.max() < len(self)):
            raise IndexError(f"window {numbers.max()} of {len(self)} was asked for")
        places = numbers[:, None] * self.stride + np.arange(self.length + 1)
        both = self.tokens[places]
        return np.ascontiguousarray(both[:, :-1]), np.ascontiguousarray(both[:, 1:])

    def __repr__(self) -> str:
        return f"LanguageModelWindows({len(self)} windows of {self.length} tokens)"
