"""PyTorch's files as users meet them: `.pth` to Arrays and back.

The codecs `torch_reader` and `torch_writer` speak NumPy; here their arrays become Arrays, inside
the containers that a file holds, without a copy.
"""

from __future__ import annotations

import argparse
from collections import Counter, OrderedDict
from typing import IO, Any

import numpy as np

from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.io import torch_reader, torch_writer
from rtfunc.io.files import PathLike


def load_torch(path_or_file: PathLike | IO[bytes] | bytes, *, mmap: bool = False) -> Any:
    """Read what `torch.save` wrote: tensors become Arrays. PyTorch is not needed.

    Nothing in the file is executed, and anything but tensors and plain containers is refused. Both
    formats of PyTorch are read. Tensors that shared a storage share memory, and what was one object
    is one object; `bfloat16` and `float8` keep their dtypes, `complex32` becomes complex64. Devices
    and whether a gradient is required are dropped. Tensors of dtypes that Arrays do not have, such
    as `float8_e8m0fnu`, and NumPy's own arrays of text stay NumPy arrays.

    Arguments:
      path_or_file: a path, a seekable binary file, read from its position on, or the bytes that a
        file would hold.
      mmap: let the arrays share the memory-mapped file, which must not be written to meanwhile;
        checksums of tensors are then not verified. For paths to zip files only.

    Raises `FileFormatError` for a file that is damaged, of another format, or holds what is refused;
    `OSError` when it cannot be read.

    >>> import io
    >>> from rtfunc.io import load_torch, save_torch
    >>> import rtfunc.numpy as rnp
    >>> file = io.BytesIO()
    >>> save_torch({"weight": rnp.ones((2, 3), dtype="bfloat16"), "epoch": 3}, file)
    >>> _ = file.seek(0)
    >>> checkpoint = load_torch(file)
    >>> checkpoint["weight"].aval, checkpoint["epoch"]
    (Aval(bfloat16[2,3]), 3)
    """
    return _converted(torch_reader.read(path_or_file, mmap=mmap), _to_array, {})


def save_torch(value: Any, path_or_file: PathLike | IO[bytes]) -> None:
    """Write a file that `torch.load(path, weights_only=True)` reads. PyTorch is not needed.

    Arrays and NumPy arrays become tensors; those that share memory share a storage. A path is
    replaced as a whole or not at all.

    Arguments:
      value: arrays of the dtypes that PyTorch has, numbers, text, bytes, None and dtypes, in dicts,
        lists and tuples, nested as you like; for a model `nn.state_dict(params, state)`.
      path_or_file: a path, or a file open for binary writing.

    Raises `DtypeError`, naming the place, for anything else; `ArgumentError` for a container that
    contains itself or nests deeper than 200; `OSError` when the file cannot be written.

    >>> import io
    >>> from rtfunc.io import save_torch
    >>> save_torch({"model": {1, 2}}, io.BytesIO())
    Traceback (most recent call last):
    ...
    rtfunc.core.errors.DtypeError: cannot write the object['model'], a set...
    """
    torch_writer.write(_converted(value, _to_numpy, {}), path_or_file)


def _to_array(value: Any) -> Any:
    is_array = isinstance(value, np.ndarray) and value.dtype in dtypes.storable
    return Array(value) if is_array else value


def _to_numpy(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, Array) else value


def _converted(value: Any, convert: Any, done: dict[int, tuple[Any, Any]]) -> Any:
    """`value` with its leaves converted; what is one object in it is one object in the result.

    `done` has results by the id of what they came from, which it keeps alive.
    """
    if id(value) in done:
        return done[id(value)][1]
    kind = type(value)
    made: Any
    if kind in (dict, OrderedDict, Counter):
        made = kind()
        done[id(value)] = value, made  # before its parts: the writer refuses what contains itself
        for key, item in value.items():
            made[key] = _converted(item, convert, done)
        metadata = getattr(value, "_metadata", None)
        if metadata is not None:  # of a state_dict: the versions of the modules
            vars(made)["_metadata"] = _converted(metadata, convert, done)
        return made
    if kind is list:
        made = []
        done[id(value)] = value, made
        made.extend(_converted(item, convert, done) for item in value)
        return made
    if kind is tuple:
        made = tuple(_converted(item, convert, done) for item in value)
    elif kind is argparse.Namespace:
        made = argparse.Namespace(**_converted(vars(value), convert, done))
    else:
        made = convert(value)
    if made is not value:
        done[id(value)] = value, made
    return made
