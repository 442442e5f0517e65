"""Samples for `rtfunc.ops.conv`."""

from __future__ import annotations

import numpy as np

from rtfunc.ops.conv import conv_dimension_numbers
from tests.ops.sample import Sample

_rng = np.random.default_rng(0)


def _sample(lhs_shape, rhs_shape, specs=None, note="", dtypes=("float32", "float64"), **params):
    n = len(lhs_shape) - 2
    defaults = {
        "window_strides": (1,) * n,
        "padding": ((0, 0),) * n,
        "lhs_dilation": (1,) * n,
        "rhs_dilation": (1,) * n,
        "dimension_numbers": conv_dimension_numbers(lhs_shape, rhs_shape, specs),
        "feature_group_count": 1,
        "batch_group_count": 1,
        "preferred_element_type": None,
    }
    args = (_rng.normal(size=lhs_shape), _rng.normal(size=rhs_shape))
    return Sample(args, {**defaults, **params}, dtypes=dtypes, note=note)


SAMPLES = {
    "conv_general_dilated": [
        _sample(
            (2, 3, 5, 4),
            (4, 3, 3, 2),
            padding=((1, 1), (0, 1)),
            note="2-d",
            dtypes=("float32", "float64", "float16", "bfloat16"),
        ),
        _sample(
            (2, 5, 4, 3),
            (3, 2, 3, 4),
            ("NHWC", "HWIO", "NHWC"),
            window_strides=(2, 1),
            padding=((1, 0), (-1, 2)),
            note="channels last, strides, negative padding",
        ),
        _sample(
            (3, 2, 6),
            (4, 3, 2),
            ("CNH", "OIH", "HNC"),
            rhs_dilation=(2,),
            padding=((2, -1),),
            note="1-d, odd layout",
        ),
        _sample((2, 2, 4), (2, 2, 3), lhs_dilation=(2,), padding=((2, 1),), note="transposed"),
        _sample(
            (1, 2, 3, 3),
            (2, 2, 2, 2),
            lhs_dilation=(3, 1),
            rhs_dilation=(2, 1),
            window_strides=(2, 2),
            padding=((2, 2), (1, 0)),
            note="all at once",
        ),
        _sample((2, 4, 5), (6, 2, 3), feature_group_count=2, padding=((1, 1),), note="groups"),
        _sample((2, 3, 5), (3, 1, 3), feature_group_count=3, note="depthwise"),
        _sample(
            (4, 3, 5), (4, 3, 2), batch_group_count=2, window_strides=(2,), note="batch groups"
        ),
        _sample((3, 2), (4, 2), note="no spatial axes"),
        _sample((1, 2, 3, 2, 3), (2, 2, 2, 1, 2), note="3-d"),
        _sample((2, 2, 1), (3, 2, 3), note="no window fits"),
        _sample((0, 2, 4), (3, 2, 3), note="no batch"),
        _sample((2, 0, 4), (3, 0, 3), note="no features"),
        _sample((1, 1, 4), (1, 1, 2), preferred_element_type=np.dtype("float64"), note="preferred"),
        Sample(
            (
                np.arange(6, dtype="int8").reshape(1, 1, 6) * 20,
                np.array([[[3, -2]]], "int8"),
            ),
            _sample((1, 1, 6), (1, 1, 2)).params,
            note="int8 wraps",
        ),
        Sample(
            (_rng.normal(size=(1, 2, 4)) * (1 + 1j), _rng.normal(size=(2, 2, 2)) * (2 - 1j)),
            _sample((1, 2, 4), (2, 2, 2)).params,
            note="complex",
        ),
    ]
}
