"""What a PyTorch file's pickle may build: NumPy views of storages, dtypes, and NumPy's own objects.

`torch.save` writes a tensor as a call of a `torch._utils._rebuild_*` function on a storage, an
offset, sizes and strides. Each such global is replaced by a function of this module which checks
every number against the storage before it makes the view; a global not listed is refused.
Depends on NumPy, ml_dtypes and the pickle machine.
"""

import math
import re
from typing import Any

import ml_dtypes
import numpy as np

from rtfunc.io.files import (
    Budget,
    FileFormatError,
    check_booleans,
    component_size,
    read_only,
    swapped,
)
from rtfunc.io.pickle_machine import PLAIN_BUILDERS, Builder, Unfinished, call
from rtfunc.io.torch_dtypes import (
    COMPLEX_HALF,
    DTYPE_OF_NAME,
    DTYPE_OF_STORAGE,
    QUANTISED_STORAGES,
)

_MAX_DIMENSIONS = 64
_MAX_BYTES = 1 << 62


class StorageType:
    """A storage class: `torch.FloatStorage`, or without a dtype `torch.UntypedStorage`."""

    def __init__(self, name: str, dtype: np.dtype | None) -> None:
        self.name = name
        self.dtype = dtype

    @property
    def itemsize(self) -> int:
        """Bytes per element, as the file counts them."""
        return 1 if self.dtype is None else self.dtype.itemsize


class ComplexHalf:
    """Stands for `torch.complex32`, which NumPy does not have."""

    name = COMPLEX_HALF


class Storage:
    """The bytes under one or more tensors.

    Args:
        kind: the storage class, which gives the dtype where there is one.
        data: the bytes, a uint8 vector.
        swap: whether they are in the other byte order than this machine's.
    """

    def __init__(self, kind: StorageType, data: np.ndarray, *, swap: bool = False) -> None:
        self.kind = kind
        self.data = data
        self._swap = swap
        self._swapped_size = 1
        self._boolean = False

    def items(self, size: int, *, boolean: bool = False) -> np.ndarray:
        """The bytes, for items whose components have `size` bytes, in this machine's order."""
        if self._swap and size != self._swapped_size:
            if self._swapped_size != 1:
                raise FileFormatError("one big-endian storage is seen as items of two sizes")
            whole = self.data.size // size * size
            numbers = swapped(self.data[:whole], size)
            self.data = np.concatenate([numbers, self.data[whole:]])
            self._swapped_size = size
        if boolean and not self._boolean:
            check_booleans(self.data)
            self._boolean = True
        return self.data


class TensorBuilder:
    """The rebuild functions for the tensors of one file.

    Args:
        budget: what conversions, and views larger than their storage, may take.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def builders(self) -> dict[str, Any]:
        """All globals that a PyTorch file may name, with what they stand for."""
        tensor_functions = {
            "torch._utils._rebuild_tensor": self.tensor_v2,
            "torch._utils._rebuild_tensor_v2": self.tensor_v2,
            "torch._utils._rebuild_tensor_v3": self.tensor_v3,
            "torch._utils._rebuild_parameter": _parameter,
            "torch._utils._rebuild_parameter_with_state": _parameter,
            "torch._utils._rebuild_device_tensor_from_numpy": self.converted,
            "torch._utils._rebuild_device_tensor_from_cpu_tensor": self.converted,
            "torch._utils._rebuild_xla_tensor": self.converted,
            "torch._tensor._rebuild_from_type": self.from_type,
            "torch._tensor._rebuild_from_type_v2": self.from_type,
            "torch.nn.parameter.Parameter": _new_parameter,
            **dict.fromkeys(_TENSOR_CLASSES, self.new_tensor),
        }
        return _CONSTANT_BUILDERS | {
            name: Builder(name, function) for name, function in tensor_functions.items()
        }

    def tensor_v2(
        self,
        storage: Any,
        offset: Any,
        sizes: Any,
        strides: Any,
        requires_grad: Any = False,
        hooks: Any = None,
        metadata: Any = None,
    ) -> np.ndarray:
        """A tensor with the dtype of its storage."""
        dtype = storage.kind.dtype if isinstance(storage, Storage) else None
        if dtype is None:
            raise FileFormatError("its storage is not a storage with a dtype")
        return self._with_metadata(self._view(storage, dtype, offset, sizes, strides), metadata)

    def tensor_v3(
        self,
        storage: Any,
        offset: Any,
        sizes: Any,
        strides: Any,
        requires_grad: Any,
        hooks: Any,
        dtype: Any,
        metadata: Any = None,
    ) -> np.ndarray:
        """A tensor with a dtype of its own over an untyped storage."""
        if not isinstance(storage, Storage):
            raise FileFormatError("its storage is not a storage")
        if isinstance(dtype, ComplexHalf):
            halves = self._view(storage, np.dtype(np.complex64), offset, sizes, strides, half=True)
            return self._with_metadata(halves, metadata)
        if not isinstance(dtype, np.dtype):
            raise FileFormatError("its dtype is not a dtype that can be read")
        return self._with_metadata(self._view(storage, dtype, offset, sizes, strides), metadata)

    def _view(
        self,
        storage: Storage,
        dtype: np.dtype,
        offset: Any,
        sizes: Any,
        strides: Any,
        half: bool = False,
    ) -> np.ndarray:
        itemsize = 4 if half else dtype.itemsize
        shape, steps = _checked_layout(sizes, strides, itemsize)
        if type(offset) is not int or offset < 0:
            raise FileFormatError(f"its storage offset is {offset!r:.50}")
        data = storage.items(2 if half else component_size(dtype), boolean=dtype == np.bool_)
        count = math.prod(shape)
        if count == 0:
            return read_only(np.empty(shape, dtype))
        last = offset + sum((size - 1) * step for size, step in zip(shape, steps))
        if (last + 1) * itemsize > data.size:
            raise FileFormatError(
                f"a tensor of shape {shape} at offset {offset} with strides {steps} reaches over "
                f"the end of its storage of {data.size // itemsize} elements"
            )
        spanned = (last + 1 - offset) * itemsize
        self._budget.charge(max(count * itemsize - spanned, 0), "a tensor larger than its storage")
        if half:
            byte_steps = (*(4 * step for step in steps), 2)
            parts = np.ndarray((*shape, 2), np.float16, data, offset * 4, byte_steps)
            self._budget.charge(count * 12, "a complex32 tensor")
            wide = np.ascontiguousarray(parts, np.float32)
            return read_only(wide.view(np.complex64).reshape(shape))
        byte_steps = tuple(step * itemsize for step in steps)
        return read_only(np.ndarray(shape, dtype, data, offset * itemsize, byte_steps))

    def _with_metadata(self, array: np.ndarray, metadata: Any) -> np.ndarray:
        """`array`, conjugated or negated where PyTorch only noted that it is to be."""
        if metadata is None:
            return array
        if type(metadata) is not dict:
            raise FileFormatError("its metadata is not a dict")
        if metadata.get("conj") is True and array.dtype.kind == "c":
            self._budget.charge(array.nbytes, "a conjugated tensor")
            array = np.conjugate(array)
        if metadata.get("neg") is True and array.dtype.kind in "ifc":
            self._budget.charge(array.nbytes, "a negated tensor")
            array = np.negative(array)
        return read_only(np.asarray(array))

    def new_tensor(self) -> Unfinished:
        """A tensor of the oldest files: made empty, then given its storage by BUILD."""

        def finish(state: Any) -> np.ndarray:
            if type(state) is not tuple or len(state) != 4:
                raise FileFormatError("its state is not a storage, an offset, sizes and strides")
            return self.tensor_v2(*state)

        return Unfinished("torch.Tensor", finish)

    def converted(
        self, data: Any, dtype: Any, device: Any = None, requires_grad: Any = False
    ) -> np.ndarray:
        """A tensor of another device, which was saved as an array and the dtype that it had."""
        if not isinstance(data, np.ndarray) or not isinstance(dtype, np.dtype):
            raise FileFormatError("its arguments are not an array and a dtype that can be read")
        if data.dtype == dtype:
            return data
        if not np.can_cast(data.dtype, dtype, "same_kind"):
            raise FileFormatError(f"an array of {data.dtype} cannot become {dtype}")
        self._budget.charge(data.size * dtype.itemsize, "a converted tensor")
        with np.errstate(all="ignore"):
            return read_only(data.astype(dtype))

    def from_type(self, function: Any, kind: Any, arguments: Any, state: Any = None) -> np.ndarray:
        """A tensor with Python attributes; these are dropped."""
        plain = isinstance(function, Builder) and function.name.startswith("torch._utils._rebuild_")
        if not plain or type(arguments) is not tuple:
            raise FileFormatError("it calls something other than a tensor's rebuild function")
        return call(function, arguments)


_TENSOR_CLASSES = (
    "torch.Tensor",
    "torch._tensor.Tensor",
    *(
        f"torch.{name.removesuffix('Storage')}Tensor"
        for name, dtype in DTYPE_OF_STORAGE.items()
        if dtype.kind != "c"
    ),
)


def _checked_layout(sizes: Any, strides: Any, itemsize: int) -> tuple[tuple, tuple]:
    """Sizes and strides as tuples of numbers that can be calculated with."""
    for name, values in (("sizes", sizes), ("strides", strides)):
        if type(values) not in (tuple, list) or len(values) > _MAX_DIMENSIONS:
            raise FileFormatError(f"its {name} are not a tuple of at most {_MAX_DIMENSIONS}")
        for value in values:
            if type(value) is not int or not 0 <= value < _MAX_BYTES:
                raise FileFormatError(f"its {name} hold {value!r:.50}")
    if len(sizes) != len(strides):
        raise FileFormatError(f"it has {len(sizes)} sizes but {len(strides)} strides")
    if math.prod(max(size, 1) for size in sizes) * itemsize > _MAX_BYTES:
        raise FileFormatError(f"its shape {tuple(sizes)} is too large for any machine")
    # The stride of a dimension with a single element says nothing, and may be anything.
    steps = tuple(
        step if size > 1 else math.prod(sizes[axis + 1 :])
        for axis, (size, step) in enumerate(zip(sizes, strides))
    )
    return tuple(sizes), steps


def _parameter(data: Any, *_: Any) -> np.ndarray:
    """The tensor under a parameter; whether it requires a gradient is dropped."""
    if not isinstance(data, np.ndarray):
        raise FileFormatError("its data is not a tensor")
    return data


def _new_parameter(*arguments: Any) -> Any:
    if arguments:
        return _parameter(*arguments)

    def finish(state: Any) -> np.ndarray:
        if type(state) is not tuple or not state:
            raise FileFormatError("its state is not a tuple that begins with a tensor")
        return _parameter(state[0])

    return Unfinished("torch.nn.Parameter", finish)


def _size(sizes: Any = ()) -> tuple:
    if type(sizes) not in (tuple, list) or any(type(size) is not int for size in sizes):
        raise FileFormatError("its argument is not a tuple of numbers")
    return tuple(sizes)


def _device(kind: Any, index: Any = None) -> str:
    if type(kind) is not str or (index is not None and type(index) is not int):
        raise FileFormatError("its arguments are not a name and a number")
    return kind if index is None else f"{kind}:{index}"


def _layout(name: Any) -> str:
    if type(name) is not str:
        raise FileFormatError("its argument is not a name")
    return name


# NumPy's own objects, which optimizers' and trainers' checkpoints hold.

_NUMPY_DTYPE = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|c8|c16|[SU][1-9]\d{0,5})")
_ML_DTYPES = (
    "bfloat16",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
)


def _numpy_dtype(name: Any, align: Any = False, copy: Any = True) -> Unfinished:
    if isinstance(name, np.dtype):
        dtype = name
    elif type(name) is str and _NUMPY_DTYPE.fullmatch(name):
        dtype = np.dtype(name)
    else:
        raise FileFormatError(f"the NumPy dtype {name!r:.50} is not supported")

    def finish(state: Any) -> np.dtype:
        if type(state) is not tuple or len(state) < 5 or state[1] not in ("<", ">", "=", "|"):
            raise FileFormatError("its state is not one of a plain dtype")
        if any(part is not None for part in state[2:5]):
            raise FileFormatError("structured NumPy dtypes are not supported")
        if dtype.kind == "V" and state[1] == ">":
            raise FileFormatError(f"{dtype} in big-endian order is not supported")
        return dtype.newbyteorder(state[1]) if state[1] in "<>" and dtype.kind != "V" else dtype

    return Unfinished("numpy.dtype", finish)


def _array_over(content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(dtype, np.dtype) or order not in ("C", "F"):
        raise FileFormatError("its dtype or order is not one that can be read")
    if type(content) is str:
        content = content.encode()  # bytes that Python 2 pickled and that happen to be UTF-8
    if type(content) not in (bytes, bytearray):
        raise FileFormatError("its content is not bytes; arrays of objects are not supported")
    shape, _ = _checked_layout(shape, (0,) * len(shape), max(dtype.itemsize, 1))
    if math.prod(shape) * dtype.itemsize != len(content):
        raise FileFormatError(
            f"an array of shape {shape} and {dtype} does not have {len(content)} bytes"
        )
    data = np.frombuffer(content, np.uint8) if content else np.empty(0, np.uint8)
    if dtype == np.bool_:
        check_booleans(data)
    if dtype.kind == "U" and data.size and int(data.view(dtype.str[0] + "u4").max()) > 0x10FFFF:
        raise FileFormatError("an array of text holds numbers that are no characters")
    array = np.ndarray(shape, dtype, data, order=order) if content else np.empty(shape, dtype)
    if not array.dtype.isnative:
        array = array.astype(dtype.newbyteorder("="))
    return read_only(array)


def _numpy_array(kind: Any = None, shape: Any = None, code: Any = None) -> Unfinished:
    def finish(state: Any) -> np.ndarray:
        if type(state) is not tuple or len(state) != 5 or type(state[1]) is not tuple:
            raise FileFormatError("its state is not a version, shape, dtype, order and content")
        _, shape, dtype, fortran, content = state
        return _array_over(content, dtype, shape, "F" if fortran is True else "C")

    return Unfinished("numpy.ndarray", finish)


def _numpy_buffer(content: Any, dtype: Any, shape: Any, order: Any, *_: Any) -> np.ndarray:
    if type(shape) is not tuple:
        raise FileFormatError("its shape is not a tuple")
    return _array_over(content, dtype, shape, order)


def _numpy_scalar(dtype: Any, content: Any = b"") -> Any:
    return _array_over(content, dtype, (), "C")[()]


_CONSTANT_BUILDERS: dict[str, Any] = {
    **PLAIN_BUILDERS,
    **{
        name: Builder(name, function)
        for name, function in {
            "torch.Size": _size,
            "torch.device": _device,
            "torch.serialization._get_layout": _layout,
            "numpy.dtype": _numpy_dtype,
            "numpy._core.multiarray._reconstruct": _numpy_array,
            "numpy._core.multiarray.scalar": _numpy_scalar,
            "numpy._core.numeric._frombuffer": _numpy_buffer,
        }.items()
    },
    "numpy.ndarray": Builder("numpy.ndarray"),
    **{f"ml_dtypes.{name}": np.dtype(getattr(ml_dtypes, name)) for name in _ML_DTYPES},
    **{f"torch.{name}": dtype for name, dtype in DTYPE_OF_NAME.items()},
    f"torch.{COMPLEX_HALF}": ComplexHalf(),
    **{
        f"{module}.{name}": StorageType(name, dtype)
        for name, dtype in DTYPE_OF_STORAGE.items()
        for module in ("torch", "torch.storage", "torch.cuda")
    },
    **{
        f"{module}.UntypedStorage": StorageType("UntypedStorage", None)
        for module in ("torch", "torch.storage", "torch.cuda")
    },
}


_REFUSALS = {
    "torch._utils._rebuild_qtensor": "quantised tensors are not supported; dequantise them first",
    "torch._utils._rebuild_sparse_tensor": "sparse tensors are not supported; save to_dense()",
    "torch._utils._rebuild_sparse_csr_tensor": "sparse tensors are not supported; save to_dense()",
    "torch._utils._rebuild_nested_tensor": "nested tensors are not supported",
    "torch._utils._rebuild_meta_tensor_no_storage": "a meta tensor has no content",
    "torch._utils._rebuild_wrapper_subclass": "tensor subclasses are not supported",
}


def refusal(name: str) -> str | None:
    """Why a global that PyTorch's own files may name is refused, if it is a known one."""
    if name in _REFUSALS:
        return _REFUSALS[name]
    module, _, attribute = name.rpartition(".")
    if attribute in QUANTISED_STORAGES:
        return _REFUSALS["torch._utils._rebuild_qtensor"]
    if module == "torch" and re.fullmatch(r"(bits|q?u?int|float)\d.*", attribute):
        return "this dtype is not supported"
    if module == "__main__":
        return (
            "a class of the program that wrote the file; if it is a module, save its state_dict()"
        )
    if module.startswith(("torch.nn.modules", "torchvision.models", "__torch__")):
        return "the file holds a whole module rather than its weights; save its state_dict()"
    return None
