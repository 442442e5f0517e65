"""The linker: what it links runs, and what it cannot link raises."""

import ctypes
import os
import random
import sys

import pytest

from rtfunc.compiler.cpu import elf, engine
from rtfunc.compiler.cpu.symbols import UnresolvedSymbolError

pytestmark = pytest.mark.skipif(not elf.is_supported(), reason="ELF for x86-64 on Linux")

SOURCE = """
@zeroed = internal global [5000 x i64] zeroinitializer
@counter = internal global i64 41
@text = private constant [4 x i8] c"abc\\00"
@functions = internal constant [2 x ptr] [ptr @one, ptr @two]
declare i64 @strlen(ptr)
define i64 @one() { ret i64 1 }
define i64 @two() { ret i64 2 }
define i64 @count() {
  %old = load i64, ptr @counter
  %new = add i64 %old, 1
  store i64 %new, ptr @counter
  ret i64 %new
}
define i64 @remember(i64 %at, i64 %value) {
  %p = getelementptr [5000 x i64], ptr @zeroed, i64 0, i64 %at
  %old = load i64, ptr %p
  store i64 %value, ptr %p
  ret i64 %old
}
define i64 @length() {
  %n = call i64 @strlen(ptr @text)
  ret i64 %n
}
define i64 @by_table(i64 %i) {
  %p = getelementptr [2 x ptr], ptr @functions, i64 0, i64 %i
  %f = load ptr, ptr %p
  %v = call i64 %f()
  ret i64 %v
}
define ptr @place() { ret ptr @by_table }
"""


@pytest.fixture(scope="module")
def data():
    return engine.compile_module(SOURCE).objects[0].data


@pytest.fixture
def linked(data):
    return elf.LinkedObject(data)


def call(linked, name, *arguments):
    types = [ctypes.c_int64] * len(arguments)
    return ctypes.CFUNCTYPE(ctypes.c_int64, *types)(linked.addresses[name])(*arguments)


def permissions(address):
    with open("/proc/self/maps") as file:
        for line in file:
            span, mode = line.split()[:2]
            start, end = (int(part, 16) for part in span.split("-"))
            if start <= address < end:
                return mode
    raise AssertionError("not mapped")


def test_data_and_zeroed_memory_belong_to_each_link(data, linked):
    assert [call(linked, "count"), call(linked, "count")] == [42, 43]
    assert call(elf.LinkedObject(data), "count") == 42
    assert call(linked, "remember", 4999, 7) == 0
    assert call(linked, "remember", 4999, 8) == 7


@pytest.mark.filterwarnings("ignore:os.fork", "ignore:This process")
def test_a_forked_child_has_data_of_its_own(linked):
    call(linked, "count")
    child = os.fork()
    if child == 0:
        os._exit(call(linked, "count"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 43
    assert call(linked, "count") == 43


def test_constants_may_hold_addresses_of_functions(linked):
    assert [call(linked, "by_table", 0), call(linked, "by_table", 1)] == [1, 2]
    assert call(linked, "place") == linked.addresses["by_table"]


def test_functions_of_the_process_are_called_however_far_away(linked):
    assert call(linked, "length") == 3


def test_code_is_never_writable(linked):
    for address in linked.addresses.values():
        assert permissions(address)[:3] == "r-x"


def test_undefined_symbols_are_named():
    source = "declare i64 @no_such_thing()\ndefine i64 @f() {\n%v = call i64 @no_such_thing()\nret i64 %v }"
    with pytest.raises(UnresolvedSymbolError, match="no_such_thing"):
        engine.compile_module(source)


@pytest.mark.parametrize(
    "rest", [b"", b"\x7fELF", b"\x7fELF\x02\x01" + bytes(58), b"MZ" + bytes(99)]
)
def test_what_is_no_object_is_refused(rest):
    with pytest.raises(elf.UnknownObjectError):
        elf.LinkedObject(rest)


def test_every_truncation_is_refused(data):
    # LLVM writes the table of sections last, so nothing may be missing.
    for size in range(0, len(data), 7):
        with pytest.raises(elf.UnknownObjectError):
            elf.LinkedObject(data[:size])


def flipped(data, generator):
    damaged = bytearray(data)
    for _ in range(generator.choice((1, 1, 2, 8))):
        at = generator.randrange(len(data))
        damaged[at] = generator.choice((0, 0xFF, damaged[at] ^ 1 << generator.randrange(8)))
    return bytes(damaged)


@pytest.mark.parametrize(
    "count", [1500, pytest.param(40_000, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_damaged_objects_link_or_raise(data, count):
    generator = random.Random(count)
    refused = 0
    for _ in range(count):
        try:
            elf.LinkedObject(flipped(data, generator))
        except (elf.UnknownObjectError, UnresolvedSymbolError):
            refused += 1
    assert 0 < refused < count


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_goes_with_the_object(data):
    linked = elf.LinkedObject(data)
    address = linked.addresses["one"]
    assert permissions(address)
    del linked
    for _ in range(300):
        elf.LinkedObject(data)
    with open("/proc/self/maps") as file:
        assert sum("r-xp" in line for line in file) < 250
