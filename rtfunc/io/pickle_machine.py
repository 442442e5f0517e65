"""A pickle virtual machine which builds plain containers and calls nothing but what it is given.

Python's own unpickler cannot be bounded: an opcode may ask for a memo of any size, hashing a deeply
nested tuple overflows the C stack, and BUILD writes into any object. This machine knows the opcodes
of protocols 2 to 5 that data needs. A global is looked up in a table of `Builder`s and is refused
where it is not in it; only a Builder can be called, only an `Unfinished` object can be BUILT, and
the finished object must be a finite tree of plain values. Depends on `files` only.
"""

import argparse
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from rtfunc.io.files import Budget, FileFormatError, KeyHashes, Source

MAX_DEPTH = 200
_MAX_NAME = 512
_MAX_INTEGER_BYTES = 255
_MAX_KEY_NODES = 100
_MAX_REPEATS = 1_000_000

# Rough bytes of an empty container and its place on the stack, charged as it is made.
_CONTAINER_COST = {list: 64, dict: 72, set: 224, bytearray: 64, OrderedDict: 240}


class Builder(NamedTuple):
    """A global that a pickle may name: what calling it, and making a new one of it, gives."""

    name: str
    call: Callable[..., Any] | None = None


class Unfinished:
    """An object between its making and the BUILD that completes it.

    Args:
        name: what error messages call it.
        finish: takes the state that BUILD gives and returns the object.
    """

    def __init__(self, name: str, finish: Callable[[Any], Any]) -> None:
        self.name = name
        self.finish = finish
        self.memo_keys: list[int] = []


class PickleInput:
    """The bytes of a pickle, fetched from a source piece by piece.

    Args:
        source: where the pickle stands, or the bytes themselves.
        offset: where in the source it begins.
    """

    def __init__(self, source: Source | bytes, offset: int = 0) -> None:
        self._source = source if isinstance(source, Source) else None
        self._data = b"" if isinstance(source, Source) else source
        self._position = 0
        self._next = offset
        self.size = source.size if isinstance(source, Source) else len(source)

    @property
    def offset(self) -> int:
        """Where in the source the next byte stands."""
        return self._next - (len(self._data) - self._position)

    def _fetch(self, length: int) -> None:
        rest = self._data[self._position :]
        count = 0
        if self._source is not None:
            count = min(max(length - len(rest), 1 << 16), self._source.size - self._next)
            rest += self._source.read(self._next, count)
            self._next += count
        self._data, self._position = rest, 0

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        end = self._position + length
        if end > len(self._data):
            if length > self.size:
                raise FileFormatError("the pickle is truncated")
            self._fetch(length)
            end = length
            if end > len(self._data):
                raise FileFormatError("the pickle is truncated")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def line(self) -> str:
        """The text up to the next newline."""
        end = self._data.find(b"\n", self._position, self._position + _MAX_NAME)
        if end < 0:
            self._fetch(_MAX_NAME)
            end = self._data.find(b"\n", 0, _MAX_NAME)
        if end < 0:
            raise FileFormatError("the pickle names a global without an end")
        return _text(self.take(end - self._position + 1)[:-1])


class PickleMachine:
    """Runs one pickle.

    Args:
        stream: its bytes.
        builders: by `"module.name"`, the globals that it may name.
        refusals: by the same, why a known global is refused.
        persistent_load: what a persistent id stands for.
    """

    def __init__(
        self,
        stream: PickleInput,
        builders: Mapping[str, Any],
        refusals: Callable[[str], str | None] = lambda name: None,
        persistent_load: Callable[[Any], Any] | None = None,
    ) -> None:
        self._take = stream.take
        self._line = stream.line
        self._builders = builders
        self._refusals = refusals
        self._persistent_load = persistent_load
        self._budget = Budget(128 * stream.size + (1 << 20))
        self._check_key = KeyCheck()
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Run the pickle up to its STOP and return the object, not yet checked by `check_tree`.

        Raises:
            FileFormatError: it is malformed, or asks for what it may not have.
        """
        take, operations = self._take, _OPERATIONS
        try:
            while True:
                code = take(1)[0]
                if code == 0x2E:  # STOP
                    break
                operation = operations.get(code)
                if operation is None:
                    raise FileFormatError(f"the pickle uses the unsupported opcode 0x{code:02x}")
                operation(self)
            result = self._pop()
        except IndexError:
            raise FileFormatError("the pickle is malformed: its stack is empty") from None
        return result

    # The stack. A mark hides all that stands below it.

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if self._marks and self._marks[-1] == len(self._stack):
            raise IndexError
        return self._stack.pop()

    def _top(self) -> Any:
        if self._marks and self._marks[-1] == len(self._stack):
            raise IndexError
        return self._stack[-1]

    def _mark(self) -> None:
        self._marks.append(len(self._stack))

    def _pop_mark(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    # Values.

    def _protocol(self) -> None:
        version = self._take(1)[0]
        if version > 5:
            raise FileFormatError(f"pickle protocol {version} is not supported")

    def _long(self) -> None:
        self._push_long(self._take(1)[0])

    def _long4(self) -> None:
        self._push_long(self._number(4))

    def _push_long(self, length: int) -> None:
        if length > _MAX_INTEGER_BYTES:
            raise FileFormatError(f"the pickle holds an integer of {length} bytes")
        self._push(int.from_bytes(self._take(length), "little", signed=True))

    def _number(self, width: int) -> int:
        return int.from_bytes(self._take(width), "little")

    def _tuple(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._push(tuple(reversed(items)))

    def _new(self, kind: type) -> None:
        self._budget.charge(_CONTAINER_COST[kind], "the objects of the pickle")
        self._push(kind())

    # Containers.

    def _append(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not list:
            raise FileFormatError(f"the pickle appends to a {_kind(target)}")
        target.extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) not in (dict, OrderedDict):
            raise FileFormatError(f"the pickle sets items of a {_kind(target)}")
        if len(items) % 2:
            raise FileFormatError("the pickle sets a key without a value")
        for key, value in zip(items[::2], items[1::2]):
            self._check_key(key)
            target[key] = value

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._set_items([key, value])

    def _add_items(self) -> None:
        items = self._pop_mark()
        target = self._top()
        if type(target) is not set:
            raise FileFormatError(f"the pickle adds to a {_kind(target)}")
        for item in items:
            self._check_key(item)
        target.update(items)

    def _frozenset(self) -> None:
        items = self._pop_mark()
        for item in items:
            self._check_key(item)
        self._budget.charge(_CONTAINER_COST[set], "the objects of the pickle")
        self._push(frozenset(items))

    # The memo.

    def _put(self, key: int) -> None:
        value = self._top()
        if isinstance(value, Unfinished):
            value.memo_keys.append(key)
        self._memo[key] = value

    def _get(self, key: int) -> None:
        if key not in self._memo:
            raise FileFormatError("the pickle refers to an object that it does not hold")
        self._push(self._memo[key])

    # Globals.

    def _global(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise FileFormatError("the pickle names a global by something other than text")
        full_name = f"{_MODERN_MODULES.get(module, module)}.{name}"
        if full_name not in self._builders:
            reason = self._refusals(full_name)
            raise FileFormatError(
                f"refused to load {full_name!r:.200}: "
                + (reason or "only tensors and plain containers can be read, and no code is run")
            )
        self._push(self._builders[full_name])

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._global(module, name)

    def _reduce(self) -> None:
        arguments, builder = self._pop(), self._pop()
        if not isinstance(builder, Builder) or builder.call is None:
            raise FileFormatError(f"the pickle calls a {_kind(builder)}")
        if type(arguments) is not tuple:
            raise FileFormatError(f"the pickle calls {builder.name} without a tuple of arguments")
        # The arguments may come from the memo, so that few bytes could ask for much work.
        work = sum(map(_weight, arguments))
        self._budget.charge(work, "the objects of the pickle")
        made = call(builder, arguments)
        self._budget.charge(_CONTAINER_COST.get(type(made), 64), "the objects of the pickle")
        self._push(made)

    def _build(self) -> None:
        state, target = self._pop(), self._pop()
        if isinstance(target, Unfinished):
            self._budget.charge(_weight(state), "the objects of the pickle")
            finished = _guarded(target.name, target.finish, state)
            for key in target.memo_keys:
                if self._memo[key] is target:
                    self._memo[key] = finished
            self._push(finished)
        elif type(target) is OrderedDict:
            # Of the attributes, keep the one that state_dict() sets: the versions of the modules.
            if type(state) is dict and isinstance(state.get("_metadata"), dict):
                vars(target)["_metadata"] = state["_metadata"]
            self._push(target)
        else:
            raise FileFormatError(f"the pickle sets the state of a {_kind(target)}")

    def _persistent(self) -> None:
        key = self._pop()
        if self._persistent_load is None:
            raise FileFormatError("the pickle refers to a storage where none can be")
        self._push(self._persistent_load(key))


_MODERN_MODULES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
    "torch.tensor": "torch._tensor",
}

_OPERATIONS: dict[int, Callable[[PickleMachine], Any]] = {
    ord(code): operation
    for code, operation in {
        "\x80": PickleMachine._protocol,
        "\x95": lambda self: self._take(8),  # FRAME: only a hint
        "N": lambda self: self._push(None),
        "\x88": lambda self: self._push(True),
        "\x89": lambda self: self._push(False),
        "J": lambda self: self._push(int.from_bytes(self._take(4), "little", signed=True)),
        "K": lambda self: self._push(self._take(1)[0]),
        "M": lambda self: self._push(self._number(2)),
        "\x8a": PickleMachine._long,
        "\x8b": PickleMachine._long4,
        "G": lambda self: self._push(struct.unpack(">d", self._take(8))[0]),
        "T": lambda self: self._push(_text_or_bytes(self._take(self._number(4)))),
        "U": lambda self: self._push(_text_or_bytes(self._take(self._number(1)))),
        "X": lambda self: self._push(_text(self._take(self._number(4)))),
        "\x8c": lambda self: self._push(_text(self._take(self._number(1)))),
        "\x8d": lambda self: self._push(_text(self._take(self._number(8)))),
        "B": lambda self: self._push(self._take(self._number(4))),
        "C": lambda self: self._push(self._take(self._number(1))),
        "\x8e": lambda self: self._push(self._take(self._number(8))),
        "\x96": lambda self: self._push(bytearray(self._take(self._number(8)))),
        ")": lambda self: self._push(()),
        "t": lambda self: self._push(tuple(self._pop_mark())),
        "\x85": lambda self: self._tuple(1),
        "\x86": lambda self: self._tuple(2),
        "\x87": lambda self: self._tuple(3),
        "]": lambda self: self._new(list),
        "}": lambda self: self._new(dict),
        "\x8f": lambda self: self._new(set),
        "\x91": PickleMachine._frozenset,
        "a": lambda self: self._append([self._pop()]),
        "e": lambda self: self._append(self._pop_mark()),
        "s": PickleMachine._set_item,
        "u": lambda self: self._set_items(self._pop_mark()),
        "\x90": PickleMachine._add_items,
        "(": PickleMachine._mark,
        "0": lambda self: self._pop(),
        "1": PickleMachine._pop_mark,
        "q": lambda self: self._put(self._number(1)),
        "r": lambda self: self._put(self._number(4)),
        "\x94": lambda self: self._put(len(self._memo)),
        "h": lambda self: self._get(self._number(1)),
        "j": lambda self: self._get(self._number(4)),
        "c": lambda self: self._global(self._line(), self._line()),
        "\x93": PickleMachine._stack_global,
        "R": PickleMachine._reduce,
        "\x81": PickleMachine._reduce,  # NEWOBJ: a Builder makes no difference
        "b": PickleMachine._build,
        "Q": PickleMachine._persistent,
    }.items()
}


def call(builder: Builder, arguments: tuple[Any, ...]) -> Any:
    """What `builder` makes of `arguments`; raises FileFormatError where they do not suit it."""
    if builder.call is None:
        raise FileFormatError(f"the pickle calls {builder.name}, which cannot be called")
    return _guarded(builder.name, builder.call, *arguments)


def _guarded(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except FileFormatError as error:
        raise FileFormatError(f"{name}: {error}") from error.__cause__
    except (TypeError, ValueError, OverflowError, AttributeError, LookupError) as error:
        raise FileFormatError(f"{name} was given unsuitable arguments: {error!s:.200}") from None


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise FileFormatError("the pickle holds text that is not UTF-8") from None


def _text_or_bytes(data: bytes) -> str | bytes:
    """Python 2's `str`, which is text or bytes."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _weight(value: Any) -> int:
    """Rough bytes that a copy of a container, not of its parts, would take."""
    if type(value) in (list, tuple, dict, OrderedDict):
        return 64 * len(value)
    return 2 * len(value) if type(value) in (str, bytes, bytearray) else 0


def _kind(value: Any) -> str:
    return value.name if isinstance(value, Builder | Unfinished) else type(value).__name__


_KEY_TYPES = frozenset({str, int, float, bool, bytes, complex, type(None)})


class KeyCheck:
    """Refuses keys that are not plain, or could make hashing crash or hang; one for each pickle.

    Hashing a tuple recurses on the C stack and visits its parts as often as they are referred to, so
    a few bytes of pickle could overflow the one or never end the other.
    """

    def __init__(self) -> None:
        self._hashes = KeyHashes()

    def __call__(self, key: Any) -> None:
        """Raise FileFormatError unless `key` may become a key."""
        if type(key) not in _KEY_TYPES:
            _check_key_tuple(key)
        self._hashes.add(key)


def _check_key_tuple(key: Any) -> None:
    pending, nodes = [key], 0
    while pending:
        node = pending.pop()
        nodes += 1
        if type(node) is tuple and nodes + len(node) <= _MAX_KEY_NODES:
            pending.extend(node)
        elif type(node) not in _KEY_TYPES:
            raise FileFormatError(f"the pickle uses a {_kind(node)} as a key")


def _plain_set(kind: type) -> Callable[..., Any]:
    def build(items: Any = ()) -> Any:
        if type(items) not in (list, tuple):
            raise FileFormatError("its argument is not a list")
        check_key = KeyCheck()
        for item in items:
            check_key(item)
        return kind(items)

    return build


def _encode(text: Any, encoding: Any = "utf-8") -> bytes:
    if type(text) is not str or encoding not in ("latin1", "latin-1", "utf-8", "ascii"):
        raise FileFormatError("its arguments are not text and a known encoding")
    return text.encode(encoding)


def _empty_bytes() -> bytes:
    return b""  # protocol 2 has no other way to write it


def _bytearray(content: Any = b"", encoding: Any = "latin-1") -> bytearray:
    # bytearray(n) would allocate n bytes.
    return bytearray(content if type(content) is bytes else _encode(content, encoding))


def _ordered_dict(items: Any = ()) -> OrderedDict[Any, Any]:
    if type(items) not in (list, tuple):
        raise FileFormatError("its argument is not a list")
    result: OrderedDict[Any, Any] = OrderedDict()
    check_key = KeyCheck()
    for key, value in items:
        check_key(key)
        result[key] = value
    return result


def _counter(counts: Any = None) -> Counter[Any]:
    if counts is not None and type(counts) is not dict:
        raise FileFormatError("its argument is not a dict")
    return Counter(counts)


def _complex(real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise FileFormatError("its arguments are not two floats")
    return complex(real, imaginary)


def _namespace() -> Unfinished:
    def finish(state: Any) -> argparse.Namespace:
        if type(state) is not dict or any(type(key) is not str for key in state):
            raise FileFormatError("its state is not a dict of names")
        result = argparse.Namespace()
        vars(result).update(state)
        return result

    return Unfinished("argparse.Namespace", finish)


PLAIN_BUILDERS: dict[str, Builder] = {
    name: Builder(name, make)
    for name, make in {
        "collections.OrderedDict": _ordered_dict,
        "collections.Counter": _counter,
        "builtins.set": _plain_set(set),
        "builtins.frozenset": _plain_set(frozenset),
        "builtins.complex": _complex,
        "builtins.bytes": _empty_bytes,
        "builtins.bytearray": _bytearray,
        "_codecs.encode": _encode,
        "argparse.Namespace": _namespace,
    }.items()
}


_LEAF_TYPES = _KEY_TYPES | {bytearray, np.ndarray}


def check_tree(root: Any) -> None:
    """Raise FileFormatError unless `root` is a finite tree of plain containers and values.

    It may share parts, but not hold itself, nor nest deeper than `MAX_DEPTH`, nor be so shared that
    a walk over it would hardly end.
    """
    # The size of a finished container's tree by id; None while it is being walked.
    sizes: dict[int, int | None] = {}
    pending: list[tuple[Any, list[Any] | None]] = [(root, None)]
    depth, distinct = 0, 0
    while pending:
        node, children = pending.pop()
        if children is not None:
            size = 1 + sum(sizes.get(id(child), 1) or 1 for child in children)
            if size > _MAX_REPEATS + 16 * distinct:
                raise FileFormatError("the pickle repeats its parts beyond all measure")
            sizes[id(node)] = size
            depth -= 1
            continue
        children = _children(node)
        if children is None:
            continue
        if id(node) in sizes:
            if sizes[id(node)] is None:
                raise FileFormatError("the pickle holds an object that contains itself")
            continue
        sizes[id(node)] = None
        depth += 1
        distinct += 1 + len(children)
        if depth > MAX_DEPTH:
            raise FileFormatError(f"the pickle nests objects deeper than {MAX_DEPTH}")
        pending.append((node, children))
        pending.extend((child, None) for child in children)


def _children(node: Any) -> list[Any] | None:
    """The parts of a container that need a check, or None for a value."""
    kind = type(node)
    if kind in (list, tuple):
        return list(node)
    if kind is OrderedDict:
        metadata = getattr(node, "_metadata", None)  # not vars(), which would make a dict for each
        return list(node.values()) if metadata is None else [*node.values(), metadata]
    if kind in (dict, Counter):
        return list(node.values())
    if kind is argparse.Namespace:
        return list(vars(node).values())
    if kind in (set, frozenset) or kind in _LEAF_TYPES:
        return None
    if isinstance(node, np.generic | np.dtype):
        return None
    raise FileFormatError(
        f"the file holds a bare {_kind(node)}; only tensors and plain containers can be read"
    )
