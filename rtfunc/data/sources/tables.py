"""Tables in CSV and Parquet files, as datasets of named columns.

They are read by pyarrow, the extra `tables`, which is imported when the first table is read. A frame
of pandas needs no reader: `ArrayDataset({name: frame[name].to_numpy() for name in frame})`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from rtfunc.core.errors import ArgumentError, MissingDependencyError, at_user_line
from rtfunc.data.datasets import ArrayDataset
from rtfunc.io.files import FileFormatError, PathLike


def read_csv(
    path: PathLike, columns: Sequence[str] | None = None, *, delimiter: str = ","
) -> ArrayDataset:
    """The rows of a CSV file with a line of names at its beginning; an item is a dict by column.

    Numbers are int64 or float64, with NaN where one is missing; text is NumPy's, empty where it is
    missing; dates are `datetime64`. A file whose name ends in `.gz` is decompressed.

    Arguments: path: the file; columns: names of those to read, all by default; delimiter: between
    the values of a row.

    Raises `MissingDependencyError` without pyarrow, `ArgumentError` for a column that is not there,
    `FileFormatError` for a file that is no table, `OSError` where it cannot be read.
    """
    pyarrow = _pyarrow("csv")
    options = pyarrow.csv.ParseOptions(delimiter=delimiter)
    return _dataset(
        "read_csv", path, columns, lambda: pyarrow.csv.read_csv(path, parse_options=options)
    )


def read_parquet(path: PathLike, columns: Sequence[str] | None = None) -> ArrayDataset:
    """The rows of a Parquet file; an item is a dict by column.

    Columns keep their dtypes; integers with missing values become float64 with NaN, missing text is
    empty. Arguments and errors are those of `read_csv`.
    """
    pyarrow = _pyarrow("parquet")

    def read() -> Any:
        found = pyarrow.parquet.read_schema(path).names
        wanted = None if columns is None else [name for name in columns if name in found]
        return pyarrow.parquet.read_table(path, columns=wanted)

    return _dataset("read_parquet", path, columns, read)


def _pyarrow(module: str) -> Any:
    try:
        import importlib

        pyarrow = importlib.import_module("pyarrow")
        importlib.import_module(f"pyarrow.{module}")
    except ImportError:
        raise MissingDependencyError(
            at_user_line("Tables need pyarrow: pip install 'rtfunc[tables]'")
        ) from None
    return pyarrow


def _dataset(
    operation: str, path: PathLike, columns: Sequence[str] | None, read: Any
) -> ArrayDataset:
    pyarrow = _pyarrow("csv")
    try:
        table = read()
    except (pyarrow.ArrowException, UnicodeError) as error:
        raise FileFormatError(f"{os.fspath(path)}: {str(error).splitlines()[0]:.300}") from None
    names = table.column_names if columns is None else list(columns)
    missing = [name for name in names if name not in table.column_names]
    if missing or not names:
        raise ArgumentError(
            at_user_line(
                f"{operation}: {os.fspath(path)} has no column {', '.join(map(repr, missing))}; it "
                f"has {', '.join(table.column_names)}."
            )
        )
    return ArrayDataset({name: _column(path, name, table.column(name)) for name in names})


def _column(path: PathLike, name: str, column: Any) -> np.ndarray:
    values = column.to_numpy()
    if values.dtype != object:
        return values
    kinds = {type(value) for value in values.tolist() if value is not None}
    if kinds <= {str}:
        return np.array(["" if value is None else value for value in values], np.str_)
    if kinds <= {bool}:
        raise FileFormatError(f"{os.fspath(path)}: the boolean column {name!r} lacks values")
    raise FileFormatError(f"{os.fspath(path)}: the column {name!r} of {column.type} has no dtype")
