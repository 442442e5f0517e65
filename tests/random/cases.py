"""Draws whose values are compared with jax's, in recorded form and against jax itself.

Each case is the name of a function of `random`, and its arguments after the key. `draw` makes it
with either module. CASES are equal bit for bit, ROUNDED ones up to rounding.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Any

import ml_dtypes
import numpy as np

#: Words of the keys.
KEYS = ((0, 0), (0, 42), (0x13198A2E, 0x03707344), (0xFFFFFFFF, 0xFFFFFFFF))
SHAPES = ((), (1,), (0,), (7,), (2, 3), (3, 0, 2), (2, 3, 4, 5), (70001,))
FLOATS = ("float16", "bfloat16", "float32", "float64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
SIGNED = ("int8", "int16", "int32", "int64")

Case = tuple[str, dict[str, Any]]


def _integer_ranges(dtype: str) -> list[tuple[int, int]]:
    limits = np.iinfo(dtype)
    low, high = int(limits.min), min(int(limits.max), 2**63 - 1)
    ranges = [(0, 10), (5, 5), (0, 64), (low // 2 + 1, high // 3), (low, high)]
    return ranges if limits.bits == 64 else [*ranges, (low, high + 1)]


def _cases() -> list[Case]:
    cases: list[Case] = []
    for shape in SHAPES:
        cases += [("bits", {"shape": shape, "dtype": d}) for d in UNSIGNED]
        for dtype, bounds in itertools.product(FLOATS, ((0.0, 1.0), (-2.5, 7.1))):
            low, high = bounds
            cases.append(
                ("uniform", {"shape": shape, "dtype": dtype, "minval": low, "maxval": high})
            )
        for dtype in (*SIGNED, *UNSIGNED):
            ranges = _integer_ranges(dtype) if shape == (2, 3) else [(0, 10), (3, 101)]
            cases += [
                ("randint", {"shape": shape, "minval": low, "maxval": high, "dtype": dtype})
                for low, high in ranges
            ]
        cases.append(("normal", {"shape": shape, "dtype": "float32"}))
        cases.append(("rademacher", {"shape": shape, "dtype": "int32"}))
        cases.append(("bernoulli", {"p": 0.3, "shape": shape}))
        cases.append(("bernoulli", {"p": 0.3, "shape": shape, "mode": "high"}))
    cases += [("split", {"num": n}) for n in (1, 2, 7, (2, 3), (0,))]
    cases += [("fold_in", {"data": n}) for n in (0, 1, 77, 2**31 - 1)]
    cases += [("permutation", {"x": n}) for n in (0, 1, 5, 1000, 70000)]
    cases += [("choice", {"a": 10, "shape": s}) for s in ((), (4,), (2, 3))]
    cases += [("choice", {"a": 10, "shape": (2, 3), "replace": False})]
    return cases


CASES = _cases()


_A, _B = [0.05, 0.3, 1.0, 2.5, 40.0], [7.0, 0.6, 1.3, 0.2, 5.0]
#: Lists stand for float32 arrays.
ROUNDED: list[Case] = [
    *((f, {"shape": (5,)}) for f in "cauchy exponential gumbel laplace logistic maxwell".split()),
    *(("gumbel", {"shape": (5,), "mode": mode}) for mode in ("high", "highest")),
    ("truncated_normal", {"lower": -0.5, "upper": [0.1, 1.0, 2.0, 3.0]}),
    ("lognormal", {"sigma": _A}),
    ("pareto", {"b": _B}),
    ("rayleigh", {"scale": _A}),
    ("weibull_min", {"scale": 2.0, "concentration": _B, "shape": (5,)}),
    ("double_sided_maxwell", {"loc": 1.0, "scale": 2.0, "shape": (5,)}),
    ("triangular", {"left": _A, "mode": 41.0, "right": 50.0}),
    ("wald", {"mean": _A}),
    ("gamma", {"a": _A}),
    ("loggamma", {"a": _A}),
    ("beta", {"a": _A, "b": _B}),
    ("dirichlet", {"alpha": _A, "shape": (2,)}),
    ("chisquare", {"df": _A}),
    ("f", {"dfnum": _B, "dfden": _A}),
    ("t", {"df": _B}),
    ("generalized_normal", {"p": 1.7, "shape": (5,)}),
    ("ball", {"d": 3, "p": 3.0, "shape": (2,)}),
    ("geometric", {"p": [0.01, 0.3, 0.5, 0.99]}),
    ("poisson", {"lam": [0.3, 4.0, 9.9, 10.0, 200.0, 3000.0]}),
    ("binomial", {"n": [3.0, 20.0, 100.0, 5000.0], "p": [0.5, 0.9, 0.02, 0.4]}),
    ("multinomial", {"n": 50.0, "p": [0.1, 0.6, 0.3]}),
    ("choice", {"a": 5, "shape": (3,), "p": [0.1, 0.2, 0.3, 0.3, 0.1]}),
    ("choice", {"a": 5, "shape": (3,), "p": [0.1, 0.2, 0.3, 0.3, 0.1], "replace": False}),
    ("categorical", {"logits": [0.1, 2.0, 1.0], "shape": (6,)}),
]


def name(case: Case) -> str:
    """The case as text, the key of its record."""
    return json.dumps(case)


def needs_64_bits(case: Case) -> bool:
    """Whether jax must be told to compute with 64 bits for it."""
    values = case[1].values()
    wide = any(type(v) is int and not -(2**31) <= v < 2**31 for v in values)
    return wide or "64" in str(case[1].get("dtype"))


def draw(module: Any, key: Any, case: Case) -> np.ndarray:
    """The result of the case with the functions of `module`."""
    function, arguments = case
    arguments = {
        k: np.array(v, "float32") if isinstance(v, list) and k != "shape" else v
        for k, v in arguments.items()
    }
    if "dtype" in arguments:
        arguments["dtype"] = np.dtype(getattr(ml_dtypes, arguments["dtype"], arguments["dtype"]))
    if function == "bernoulli":
        arguments["p"] = np.float32(arguments["p"])
    return np.asarray(getattr(module, function)(key, **arguments))


def digest(x: np.ndarray) -> str:
    """Dtype, shape, and a hash of the little-endian bytes (which tells -0.0 from 0.0)."""
    data = np.ascontiguousarray(x).tobytes()
    return f"{x.dtype} {list(x.shape)} {hashlib.sha256(data).hexdigest()[:24]}"
