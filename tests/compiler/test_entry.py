"""Native entries: pointers arrive, wrong arguments raise, nothing is leaked or freed early."""

import gc
import threading
import weakref

import numpy as np
import pytest

from rtfunc.compiler.cpu import engine, entry

# `sum3` returns the sum of the first int32 of each of three buffers, `store` writes buffer 0 to
# buffer 1, `wait` waits for a nonzero value in its buffer, `status` returns -5, `call` calls the host
# function in buffer 0 with -7 and the buffers.
PROGRAMS = """
define i32 @sum3(ptr %buffers) nounwind {
  %a = load ptr, ptr %buffers
  %b.p = getelementptr ptr, ptr %buffers, i64 1
  %b = load ptr, ptr %b.p
  %c.p = getelementptr ptr, ptr %buffers, i64 2
  %c = load ptr, ptr %c.p
  %x = load i32, ptr %a
  %y = load i32, ptr %b
  %z = load i32, ptr %c
  %xy = add i32 %x, %y
  %xyz = add i32 %xy, %z
  ret i32 %xyz
}
define i32 @store(ptr %buffers) nounwind {
  %a = load ptr, ptr %buffers
  %b.p = getelementptr ptr, ptr %buffers, i64 1
  %b = load ptr, ptr %b.p
  %x = load i32, ptr %a
  store i32 %x, ptr %b
  ret i32 0
}
define i32 @wait(ptr %buffers) nounwind {
entry:
  %a = load ptr, ptr %buffers
  br label %look
look:
  %i = phi i64 [0, %entry], [%i.next, %look]
  %i.next = add i64 %i, 1
  %x = load atomic i32, ptr %a acquire, align 4
  %wait = icmp eq i32 %x, 0
  %patient = icmp slt i64 %i, 3000000000
  %again = and i1 %wait, %patient
  br i1 %again, label %look, label %leave
leave:
  ret i32 %x
}
define i32 @call(ptr %buffers) nounwind {
  %pair = load ptr, ptr %buffers
  %code = load ptr, ptr %pair
  %context.p = getelementptr ptr, ptr %pair, i64 1
  %context = load ptr, ptr %context.p
  %status = call i32 %code(ptr %context, i64 -7, ptr %buffers)
  ret i32 %status
}
define i32 @status(ptr %buffers) nounwind {
  ret i32 -5
}
"""


@pytest.fixture(scope="module")
def programs():
    return engine.compile_module(PROGRAMS)


@pytest.fixture(params=["built-in", "ctypes"])
def make(request, programs, monkeypatch):
    if request.param == "ctypes":
        monkeypatch.setattr(entry, "is_fast", lambda: False)
    elif not entry.is_fast():
        pytest.skip("not the layout of CPython's objects")

    def make_entry(name, arguments, **options):
        return entry.make_entry(programs.address(name), arguments, keep=programs, **options)

    return make_entry


def ints(*values):
    return np.array(values, np.int32)


@pytest.mark.parametrize("release_gil", [True, False])
def test_pointers_of_arrays_arrive_in_order(make, release_gil):
    call = make("sum3", 3, release_gil=release_gil)
    view = np.arange(10, dtype=np.int32)[7:]
    assert call(ints(100), ints(20, 999), view) == 127
    assert call(np.array(5, np.int32), ints(1), ints(1)) == 7


def test_addresses_pass_as_ints(make):
    a = ints(30)
    assert make("sum3", 3)(a.ctypes.data, a, a.ctypes.data) == 90


def test_status_comes_back_signed(make):
    assert make("status", 0)() == -5
    assert make("status", 2)(0, ints()) == -5


def test_outputs_are_written(make):
    out = ints(0, 7)
    assert make("store", 2, outputs=1)(ints(3), out) == 0
    assert out.tolist() == [3, 7]


def test_many_arguments(make):
    arrays = [ints(number) for number in range(300)]
    assert make("sum3", 300)(*arrays) == 3


@pytest.mark.parametrize("argument", [None, 1.0, [1], b"x", True, memoryview(b"abcd"), np.int32(1)])
def test_other_types_are_refused(make, argument):
    with pytest.raises(TypeError, match=r"argument 1 must be a numpy\.ndarray"):
        make("sum3", 3)(ints(1), argument, ints(1))


def test_subclasses_of_arrays_are_refused(make):
    masked = np.ma.array([1], np.int32)
    with pytest.raises(TypeError, match="argument 0"):
        make("status", 1)(masked)


@pytest.mark.parametrize("count", [0, 2, 4])
def test_other_numbers_of_arguments_are_refused(make, count):
    with pytest.raises(TypeError, match=f"expected 3 arguments, got {count}"):
        make("sum3", 3)(*[ints(1)] * count)


def test_layouts_are_checked(make):
    call = make("status", 1)
    with pytest.raises(ValueError, match="argument 0 must be C-contiguous"):
        call(np.zeros((3, 3))[:, 1])
    with pytest.raises(ValueError, match="argument 0 must be C-contiguous"):
        call(np.zeros((3, 2)).T)
    unaligned = np.zeros(17, np.uint8)[1:].view(np.float64)
    with pytest.raises(ValueError, match="argument 0 must be C-contiguous"):
        call(unaligned)
    assert call(np.zeros((3, 0, 2)).T) == -5


def test_outputs_must_be_writeable_and_inputs_need_not(make):
    constant = ints(4)
    constant.flags.writeable = False
    call = make("store", 2, outputs=1)
    out = ints(0)
    call(constant, out)
    assert out[0] == 4
    with pytest.raises(ValueError, match="argument 1 is an output"):
        call(out, constant)


def test_impossible_addresses_are_refused(make):
    with pytest.raises(OverflowError):
        make("status", 1)(1 << 80)


def test_impossible_output_counts_are_refused(make):
    with pytest.raises(ValueError, match="outputs"):
        make("status", 1, outputs=2)


def test_calls_release_the_gil(make):
    flag = ints(0)

    def raise_flag():
        flag[0] = 1

    timer = threading.Timer(0.02, raise_flag)
    timer.start()
    assert make("wait", 1)(flag) == 1
    timer.join()


def test_what_is_kept_lives_as_long_as_the_entry(programs):
    class Program:
        pass

    kept = Program()
    watch = weakref.ref(kept)
    call = entry.make_entry(programs.address("status"), 1, keep=kept)
    del kept
    gc.collect()
    assert watch() is not None
    assert call(ints(1)) == -5
    del call
    gc.collect()
    assert watch() is None


def test_calls_keep_reference_counts(programs):
    import sys

    call = entry.make_entry(programs.address("status"), 2)
    array = ints(1)
    before = sys.getrefcount(array), sys.getrefcount(np.ndarray), sys.getrefcount(TypeError)
    for _ in range(1000):
        call(array, array)
        with pytest.raises(TypeError):
            call(array, None)
    after = sys.getrefcount(array), sys.getrefcount(np.ndarray), sys.getrefcount(TypeError)
    assert np.abs(np.subtract(after, before)).max() < 10


@pytest.mark.parametrize("release_gil", [True, False])
def test_host_functions_are_called_and_what_they_raise_is_raised(make, release_gil):
    seen = []

    def host(number, pointers):
        seen.append(number)
        assert pointers > 0
        if len(seen) == 2:
            raise KeyError("from the host")

    function = entry.HostFunction(host)
    call = make("call", 1, release_gil=release_gil)
    assert call(function.pair) == 0
    with pytest.raises(KeyError, match="from the host"):
        call(function.pair)
    assert call(function.pair) == 0
    assert seen == [-7] * 3
