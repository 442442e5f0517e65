"""Calling a native program from Python, faster than ctypes can.

`make_entry` makes a built-in function of an address: a `PyMethodDef` laid out by hand, whose C code
is LLVM IR compiled once (and cached on disk) for all entries. That code has the signature of a fast
call, takes the data pointers straight out of the NumPy arrays that it is given, and calls the
program with them.

`HostFunction` is the other direction: a Python function as what compiled code calls. An exception stays
set, as in any C function of CPython's, until the entry has returned: nothing that Python raises on the way,
be it by a signal that arrives before the function's first line, gets lost.

It relies on two layouts: the head of a Python object, and the array object of NumPy's C API
(`PyArrayObject_fields`, the same since NumPy 1.7). Both are checked at first use; where they do not
hold, ctypes does the work under the same contract.

Depends on `library` and NumPy.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import struct
import threading
from collections.abc import Callable
from ctypes import c_char_p, c_int, c_int32, c_void_p, py_object
from typing import Any

import numpy as np

from rtfunc.compiler.cpu import library

_SYMBOL_PREFIX = "rtfunc_python_"
_METH_FASTCALL = 0x0080
_CONTIGUOUS_AND_ALIGNED, _WRITEABLE = 0x0101, 0x0400

# `ob_type` is the last field of the object head, in the default build of CPython and in the
# free-threaded one.
_HEAD_SIZE = object.__basicsize__
_TYPE_OFFSET = _HEAD_SIZE - 8
# After the head: data (pointer), nd (int, padded), dimensions, strides, base, descr (pointers),
# flags (int).
_DATA_OFFSET = _HEAD_SIZE
_FLAGS_OFFSET = _HEAD_SIZE + 6 * 8

# What an entry knows, held as bytes in its `self`: address of the program, number of arguments,
# index of the first output.
_SETTINGS = struct.Struct("=qqq")

_MESSAGES = {
    "count": "expected %zd arguments, got %zd",
    "type": "argument %zd must be a numpy.ndarray (no subclass) or an int",
    "layout": "argument %zd must be C-contiguous and aligned",
    "writeable": "argument %zd is an output and must be writeable",
}

_IR = """
declare ptr @rtfunc_python_PyBytes_AsString(ptr)
declare ptr @rtfunc_python_PyLong_AsVoidPtr(ptr)
declare ptr @rtfunc_python_PyLong_FromLongLong(i64)
declare ptr @rtfunc_python_PyErr_Occurred()
declare ptr @rtfunc_python_PyErr_Format(ptr, ptr, ...)
declare ptr @rtfunc_python_PyEval_SaveThread()
declare void @rtfunc_python_PyEval_RestoreThread(ptr)
@rtfunc_python_ndarray = external global i8
@rtfunc_python_int = external global i8
@rtfunc_python_TypeError = external global i8
@rtfunc_python_ValueError = external global i8

define ptr @NAME(ptr %self, ptr %arguments, i64 %count) nounwind {
entry:
  %settings = call ptr @rtfunc_python_PyBytes_AsString(ptr %self)
  %native = load ptr, ptr %settings, align 1
  %expected.p = getelementptr i64, ptr %settings, i64 1
  %expected = load i64, ptr %expected.p, align 1
  %outputs.p = getelementptr i64, ptr %settings, i64 2
  %outputs = load i64, ptr %outputs.p, align 1
  %right.count = icmp eq i64 %count, %expected
  br i1 %right.count, label %prepare, label %wrong.count
prepare:
  %pointers = alloca ptr, i64 %count
  br label %check
check:
  %i = phi i64 [0, %prepare], [%i.next, %next]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %look, label %run
look:
  %slot = getelementptr ptr, ptr %arguments, i64 %i
  %object = load ptr, ptr %slot
  %type.p = getelementptr i8, ptr %object, i64 TYPE_OFFSET
  %type = load ptr, ptr %type.p
  %is.array = icmp eq ptr %type, @rtfunc_python_ndarray
  br i1 %is.array, label %array, label %other
array:
  %flags.p = getelementptr i8, ptr %object, i64 FLAGS_OFFSET
  %flags = load i32, ptr %flags.p
  %layout = and i32 %flags, LAYOUT_FLAGS
  %good.layout = icmp eq i32 %layout, LAYOUT_FLAGS
  br i1 %good.layout, label %access, label %wrong.layout
access:
  %data.p = getelementptr i8, ptr %object, i64 DATA_OFFSET
  %data = load ptr, ptr %data.p
  %input = icmp slt i64 %i, %outputs
  %write.bit = and i32 %flags, WRITEABLE_FLAG
  %writeable = icmp ne i32 %write.bit, 0
  %good.access = or i1 %input, %writeable
  br i1 %good.access, label %next, label %wrong.access
other:
  %is.int = icmp eq ptr %type, @rtfunc_python_int
  br i1 %is.int, label %int, label %wrong.type
int:
  %address = call ptr @rtfunc_python_PyLong_AsVoidPtr(ptr %object)
  %null = icmp eq ptr %address, null
  br i1 %null, label %int.null, label %next
int.null:
  %error = call ptr @rtfunc_python_PyErr_Occurred()
  %overflow = icmp ne ptr %error, null
  br i1 %overflow, label %failed, label %next
next:
  %pointer = phi ptr [%data, %access], [%address, %int], [%address, %int.null]
  %target = getelementptr ptr, ptr %pointers, i64 %i
  store ptr %pointer, ptr %target
  %i.next = add i64 %i, 1
  br label %check
run:
  CALL
  %done = icmp eq i32 %status, 0
  br i1 %done, label %finish, label %stopped
stopped:
  %raised = call ptr @rtfunc_python_PyErr_Occurred()
  %by.python = icmp ne ptr %raised, null
  br i1 %by.python, label %failed, label %finish
finish:
  %wide = sext i32 %status to i64
  %result = call ptr @rtfunc_python_PyLong_FromLongLong(i64 %wide)
  ret ptr %result
wrong.count:
  %0 = call ptr (ptr, ptr, ...) @rtfunc_python_PyErr_Format(ptr @rtfunc_python_TypeError, ptr
  @message.count, i64 %expected, i64 %count) br label %failed
wrong.type:
  %1 = call ptr (ptr, ptr, ...) @rtfunc_python_PyErr_Format(ptr @rtfunc_python_TypeError, ptr
  @message.type, i64 %i) br label %failed
wrong.layout:
  %2 = call ptr (ptr, ptr, ...) @rtfunc_python_PyErr_Format(ptr @rtfunc_python_ValueError, ptr
  @message.layout, i64 %i) br label %failed
wrong.access:
  %3 = call ptr (ptr, ptr, ...) @rtfunc_python_PyErr_Format(ptr @rtfunc_python_ValueError, ptr
  @message.writeable, i64 %i) br label %failed
failed:
  ret ptr null
}
"""

_CALL_PYTHON = """
declare i32 @rtfunc_python_PyGILState_Ensure()
declare void @rtfunc_python_PyGILState_Release(i32)
declare ptr @rtfunc_python_PyObject_CallFunction(ptr, ptr, ...)
declare void @rtfunc_python_Py_DecRef(ptr)
@arguments = private constant [3 x i8] c"LL\\00"

define i32 @call_python(ptr %function, i64 %number, ptr %pointers) nounwind {
  %state = call i32 @rtfunc_python_PyGILState_Ensure()
  %table = ptrtoint ptr %pointers to i64
  %result = call ptr (ptr, ptr, ...) @rtfunc_python_PyObject_CallFunction(
    ptr %function, ptr @arguments, i64 %number, i64 %table)
  call void @rtfunc_python_Py_DecRef(ptr %result)
  call void @rtfunc_python_PyGILState_Release(i32 %state)
  %failed = icmp eq ptr %result, null
  %status = zext i1 %failed to i32
  ret i32 %status
}
"""
_CALL_HOLDING = "%status = call i32 %native(ptr %pointers)"
_CALL_RELEASING = """%thread = call ptr @rtfunc_python_PyEval_SaveThread()
  %status = call i32 %native(ptr %pointers)
  call void @rtfunc_python_PyEval_RestoreThread(ptr %thread)"""


class _MethodDefinition(ctypes.Structure):
    """CPython's `PyMethodDef`."""

    _fields_ = [("name", c_char_p), ("code", c_void_p), ("flags", c_int), ("doc", c_char_p)]


class _Owner:
    """What has to live as long as an entry: its method definition and what the caller keeps."""

    __slots__ = ("definition", "kept")

    def __init__(self, definition: _MethodDefinition, kept: object) -> None:
        self.definition = definition
        self.kept = kept

    def __str__(self) -> str:
        # CPython takes it for the name of the function's module in its own messages.
        return "rtfunc"


def make_entry(
    address: int,
    arguments: int,
    *,
    outputs: int = 0,
    release_gil: bool = True,
    keep: object = None,
) -> Callable[..., int]:
    """A Python function that calls a native program on the memory of arrays.

    Args:
        address: of a C function `int32 program(void **buffers)`. It may call into Python through a
            `HostFunction` alone, and then returns what is not 0 if that did.
        arguments: how many the function takes, in the order of `buffers`.
        outputs: how many of the last arguments the program writes to.
        release_gil: let other Python threads run during the call. Costs some 40 ns; without, the
            program should take microseconds at most.
        keep: an object to keep alive as long as the function, such as the `CompiledModule` of
            `address`.

    Returns:
        A function of `arguments` positional arguments, each a `numpy.ndarray` (no subclass),
        C-contiguous and aligned, or an
        `int`: an address, passed on unchecked. It returns the status that the program returned. It
        looks neither at dtypes nor at shapes: that the arrays are what the program was compiled for
        is the caller's to know.

        What a `HostFunction` raised is raised. Otherwise it raises `TypeError` for another number or
        other types of arguments, `ValueError` for an array that is not contiguous and aligned, or is an
        output and read-only, and `OverflowError` for an `int` that is no address.
    """
    if not 0 <= outputs <= arguments:
        raise ValueError(f"outputs must be from 0 to {arguments}, got {outputs}")
    if not is_fast():
        return _make_ctypes_entry(address, arguments, outputs, release_gil, keep)
    code = library.load("entry").address("call_releasing" if release_gil else "call_holding")
    definition = _MethodDefinition(b"entry", code, _METH_FASTCALL, None)
    settings = _SETTINGS.pack(address, arguments, arguments - outputs)
    # The function keeps its `self` and its module alive: the former are its settings, the latter
    # owns the rest.
    return _new_function()(ctypes.byref(definition), settings, _Owner(definition, keep))


@functools.cache
def is_fast() -> bool:
    """Whether entries are built-in functions: true of CPython with the layouts relied upon."""
    if platform.python_implementation() != "CPython" or ctypes.sizeof(c_void_p) != 8:
        return False
    for array in (np.zeros((2, 3)), np.zeros(4, np.int8)[1:], np.zeros((3, 3))[:, 1]):
        array.flags.writeable = array.ndim == 2
        flags = c_int.from_address(id(array) + _FLAGS_OFFSET).value
        contiguous = _CONTIGUOUS_AND_ALIGNED if array.flags.c_contiguous else 0x0100
        same = (
            c_void_p.from_address(id(array) + _TYPE_OFFSET).value == id(np.ndarray)
            and c_void_p.from_address(id(array) + _DATA_OFFSET).value == array.ctypes.data
            and flags & _CONTIGUOUS_AND_ALIGNED == contiguous
            and bool(flags & _WRITEABLE) == array.flags.writeable
        )
        if not same:
            return False
    return True


def _make_ctypes_entry(
    address: int, arguments: int, outputs: int, release_gil: bool, keep: object
) -> Callable[..., int]:
    """The contract of `make_entry` through ctypes."""
    make_type = ctypes.CFUNCTYPE if release_gil else ctypes.PYFUNCTYPE
    native = make_type(c_int32, c_void_p)(address)
    pointers_type = c_void_p * arguments

    def pointer(index: int, argument: Any) -> int:
        if type(argument) is int:
            if not -(2**63) <= argument < 2**64:
                raise OverflowError("Python int too large for an address")
            return argument
        if type(argument) is not np.ndarray:
            raise TypeError(_MESSAGES["type"].replace("%zd", str(index)))
        if not (argument.flags.c_contiguous and argument.flags.aligned):
            raise ValueError(_MESSAGES["layout"].replace("%zd", str(index)))
        if index >= arguments - outputs and not argument.flags.writeable:
            raise ValueError(_MESSAGES["writeable"].replace("%zd", str(index)))
        return argument.ctypes.data

    def entry(*given: Any) -> int:
        if len(given) != arguments:
            raise TypeError(f"expected {arguments} arguments, got {len(given)}")
        status = native(pointers_type(*[pointer(*item) for item in enumerate(given)]))
        if status and threading.get_ident() in _raised:
            raise _raised.pop(threading.get_ident())
        return status

    entry.keep = keep  # type: ignore[attr-defined]
    return entry


#: What a host function raised, by thread, where ctypes makes the calls: it would not pass it on.
_raised: dict[int, BaseException] = {}


class HostFunction:
    """A Python function that compiled code calls as `int32 code(void *context, int64, void *)`.

    Attributes:
        pair: the address of two pointers, the code and its context. They live as long as this object.

    The function gets both numbers as ints. The code returns 1 where it raised, and else 0.
    """

    def __init__(self, function: Callable[[int, int], None]):
        self._function = function
        if is_fast():
            pointers = library.load("entry").address("call_python"), id(function)
        else:
            self._code = ctypes.CFUNCTYPE(c_int32, c_void_p, ctypes.c_int64, c_void_p)(self._call)
            pointers = ctypes.cast(self._code, c_void_p).value, None
        self._pair = (c_void_p * 2)(*pointers)
        self.pair = ctypes.addressof(self._pair)

    def _call(self, context: int, number: int, pointers: int) -> int:
        try:
            self._function(number, pointers)
        except BaseException as error:
            _raised[threading.get_ident()] = error
            return 1
        return 0


def routines(library: str) -> str:
    """The C functions that all entries share."""
    head, body = _IR.split("\ndefine", 1)
    parts = [head, _CALL_PYTHON]
    for name, call in (("call_holding", _CALL_HOLDING), ("call_releasing", _CALL_RELEASING)):
        parts.append("define" + body.replace("NAME", name).replace("CALL", call))
    for name, message in _MESSAGES.items():
        text = f"argument of a compiled function: {message}"
        parts.append(f'@message.{name} = private constant [{len(text) + 1} x i8] c"{text}\\00"')
    source = "\n".join(parts)
    for word, value in {
        "TYPE_OFFSET": _TYPE_OFFSET,
        "DATA_OFFSET": _DATA_OFFSET,
        "FLAGS_OFFSET": _FLAGS_OFFSET,
        "LAYOUT_FLAGS": _CONTIGUOUS_AND_ALIGNED,
        "WRITEABLE_FLAG": _WRITEABLE,
    }.items():
        source = source.replace(word, str(value))
    return source


@functools.cache
def _new_function() -> Callable[..., Any]:
    signature = ctypes.PYFUNCTYPE(py_object, c_void_p, py_object, py_object)
    return signature(("PyCFunction_NewEx", ctypes.pythonapi))


_OBJECTS: dict[str, object] = {
    "ndarray": np.ndarray,
    "int": int,
    "TypeError": TypeError,
    "ValueError": ValueError,
}


def resolve(name: str) -> int | None:
    """The address of what of CPython the trampolines use."""
    name = name[len(_SYMBOL_PREFIX) :]
    if name in _OBJECTS:
        return id(_OBJECTS[name])
    return ctypes.cast(getattr(ctypes.pythonapi, name), c_void_p).value
