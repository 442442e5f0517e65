"""Byte-pair encoding: pieces of words, learned from a text.

The `tokenizers` package, the extra `text`, does the work; it is imported when it is first needed.
R. Sennrich, B. Haddow, A. Birch, Neural machine translation of rare words with subword units, 2016;
on bytes as in A. Radford et al., Language models are unsupervised multitask learners, 2019.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from rtfunc.core.errors import ArgumentError, MissingDependencyError, at_user_line
from rtfunc.data.text.vocabulary import as_tokens
from rtfunc.io.files import FileFormatError, PathLike, atomic_write


class BytePairEncoding:
    """Text as the most frequent sequences of bytes of a text that it has learned from.

    Any text can be encoded, and `decode(encode(text)) == text`. Made by `train` or `load`.

    >>> import pytest; _ = pytest.importorskip("tokenizers")
    >>> pieces = BytePairEncoding.train(["low lower lowest"] * 3, size=262)
    >>> len(pieces), pieces.decode(pieces.encode("slow"))
    (262, 'slow')
    """

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer

    @classmethod
    def train(
        cls, texts: str | Iterable[str], size: int, special: Sequence[str] = ()
    ) -> BytePairEncoding:
        """Learn from texts.

        Arguments:
          texts: one string or several, such as the lines of a file.
          size: number of tokens, at least 256 and those of `special`; fewer where the texts have not
            so many pairs.
          special: texts such as "<end>" that are one token each, with the numbers from 0.

        Raises `MissingDependencyError` without the `tokenizers` package.
        """
        package = _package()
        if not isinstance(size, int) or size < 256 + len(special):
            raise ArgumentError(
                at_user_line(
                    f"BytePairEncoding.train: size must be at least {256 + len(special)}, for the "
                    f"bytes and the special tokens, not {size!r}."
                )
            )
        tokenizer = package.Tokenizer(package.models.BPE())
        tokenizer.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = package.decoders.ByteLevel()
        trainer = package.trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=list(special),
            initial_alphabet=package.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        parts = [texts] if isinstance(texts, str) else texts
        tokenizer.train_from_iterator(parts, trainer)
        return cls(tokenizer)

    @classmethod
    def load(cls, path: PathLike) -> BytePairEncoding:
        """Read a `tokenizer.json` of the `tokenizers` package, such as `save` writes.

        Raises `FileFormatError` for another file, `OSError` where it cannot be read.
        """
        package = _package()
        with open(path, "rb") as file:
            data = file.read()
        try:
            return cls(package.Tokenizer.from_str(data.decode()))
        except Exception as error:  # the package raises Exception itself
            raise FileFormatError(f"{os.fspath(path)}: not a tokenizer: {error!s:.200}") from None

    def save(self, path: PathLike) -> None:
        """Write a `tokenizer.json`, which is replaced as a whole or not at all."""
        with atomic_write(path) as file:
            file.write(self._tokenizer.to_str(pretty=True).encode())

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size()

    def encode(self, text: str) -> np.ndarray:
        """The tokens of a text, int32 [n]."""
        return np.array(self._tokenizer.encode(text).ids, np.int32)

    def encode_all(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The tokens of each text, computed in several threads."""
        found = self._tokenizer.encode_batch(list(texts))
        return [np.array(encoding.ids, np.int32) for encoding in found]

    def decode(self, tokens: Any) -> str:
        """The text of tokens, special ones included."""
        numbers = as_tokens("BytePairEncoding.decode", tokens, len(self))
        return self._tokenizer.decode(numbers.tolist(), skip_special_tokens=False)

    def token(self, text: str) -> int | None:
        """The number of a token, for example a special one; None where there is none."""
        return self._tokenizer.token_to_id(text)

    def __repr__(self) -> str:
        return f"BytePairEncoding({len(self)} tokens)"


def _package() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise MissingDependencyError(
            at_user_line("Byte-pair encoding needs tokenizers: pip install 'rtfunc[text]'")
        ) from None
    return tokenizers
