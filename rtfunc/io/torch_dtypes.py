"""The one table of PyTorch's dtypes: their names, their legacy storage classes, NumPy's twins.

Newer dtypes have no storage class of their own: PyTorch stores their bytes in an `UntypedStorage`.
Depends on NumPy and ml_dtypes only.
"""

import ml_dtypes
import numpy as np

_TABLE: tuple[tuple[str, str | None, type], ...] = (
    # torch dtype, storage class, NumPy scalar type
    ("float64", "DoubleStorage", np.float64),
    ("float32", "FloatStorage", np.float32),
    ("float16", "HalfStorage", np.float16),
    ("bfloat16", "BFloat16Storage", ml_dtypes.bfloat16),
    ("complex128", "ComplexDoubleStorage", np.complex128),
    ("complex64", "ComplexFloatStorage", np.complex64),
    ("int64", "LongStorage", np.int64),
    ("int32", "IntStorage", np.int32),
    ("int16", "ShortStorage", np.int16),
    ("int8", "CharStorage", np.int8),
    ("uint8", "ByteStorage", np.uint8),
    ("bool", "BoolStorage", np.bool_),
    ("uint16", None, np.uint16),
    ("uint32", None, np.uint32),
    ("uint64", None, np.uint64),
    ("float8_e4m3fn", None, ml_dtypes.float8_e4m3fn),
    ("float8_e4m3fnuz", None, ml_dtypes.float8_e4m3fnuz),
    ("float8_e5m2", None, ml_dtypes.float8_e5m2),
    ("float8_e5m2fnuz", None, ml_dtypes.float8_e5m2fnuz),
    ("float8_e8m0fnu", None, ml_dtypes.float8_e8m0fnu),
)

DTYPE_OF_NAME: dict[str, np.dtype] = {name: np.dtype(scalar) for name, _, scalar in _TABLE}
NAME_OF_DTYPE: dict[np.dtype, str] = {dtype: name for name, dtype in DTYPE_OF_NAME.items()}
DTYPE_OF_STORAGE: dict[str, np.dtype] = {
    storage: np.dtype(scalar) for _, storage, scalar in _TABLE if storage is not None
}
STORAGE_OF_DTYPE: dict[np.dtype, str] = {
    dtype: storage for storage, dtype in DTYPE_OF_STORAGE.items()
}

# NumPy has no complex number of two float16; a tensor of them is read as complex64.
COMPLEX_HALF = "complex32"

QUANTISED_STORAGES = frozenset(
    {"QInt8Storage", "QInt32Storage", "QUInt8Storage", "QUInt4x2Storage", "QUInt2x4Storage"}
)
