"""Write `recorded.json`: what `jax.random` draws for the cases of `cases.py`.

Run as `python -m tests.random.record` where jax is installed. The recorded file was made with jax
0.10.2 on an x86-64 CPU, in its default configuration (`jax_threefry_partitionable` on), with
`jax_enable_x64` only for cases of 64-bit dtypes. It holds for each case and key the dtype, shape
and a SHA-256 of the bytes, and values of a few draws in full. ("rounded" has those of draws that
rounding may change, for the second key.)
"""

from __future__ import annotations

import json
import pathlib

import numpy as np

from tests.random.cases import CASES, KEYS, ROUNDED, digest, draw, name, needs_64_bits

PATH = pathlib.Path(__file__).parent / "recorded.json"


def main() -> None:
    import jax

    def make(case, words):
        jax.config.update("jax_enable_x64", needs_64_bits(case))
        return draw(jax.random, np.array(words, "uint32"), case)

    digests = {name(case): [digest(make(case, words)) for words in KEYS] for case in CASES}
    key = KEYS[1]
    values = {
        name(case): make(case, key).tolist()
        for case in (
            ("split", {"num": 2}),
            ("fold_in", {"data": 77}),
            ("bits", {"shape": (7,), "dtype": "uint32"}),
            ("uniform", {"shape": (7,), "dtype": "float32", "minval": 0.0, "maxval": 1.0}),
            ("normal", {"shape": (7,), "dtype": "float32"}),
            ("randint", {"shape": (7,), "minval": 0, "maxval": 10, "dtype": "int32"}),
            ("permutation", {"x": 5}),
        )
    }
    rounded = {name(case): make(case, key).tolist() for case in ROUNDED}
    record = {"digests": digests, "values": values, "rounded": rounded}
    PATH.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
