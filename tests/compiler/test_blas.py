"""OpenBLAS from compiled code: found by name, right, and on the pool's threads without deadlock."""

import os
import subprocess
import sys
import threading
import warnings
from ctypes import CFUNCTYPE, byref, c_char, c_int32, c_int64, c_void_p
from pathlib import Path

import numpy as np
import pytest

from rtfunc.compiler.cpu import blas, engine, threads

# `multiply` is C = A @ B of n by n matrices in row order; `batch` multiplies A with each of a row
# of matrices in parallel.
PRODUCTS = """
declare void @rtfunc_blas_cblas_dgemm(
    i32, i32, i32, i32, i32, i32, double, ptr, i32, ptr, i32, double, ptr, i32)
declare void @rtfunc_parallel_for(ptr, ptr, i64, i64)

define void @multiply(ptr %a, ptr %b, ptr %c, i32 %n) nounwind {
  call void @rtfunc_blas_cblas_dgemm(i32 101, i32 111, i32 111, i32 %n, i32 %n, i32 %n,
      double 1.0, ptr %a, i32 %n, ptr %b, i32 %n, double 0.0, ptr %c, i32 %n)
  ret void
}

define void @multiply_one(ptr %context, i64 %begin, i64 %end, i64 %worker) nounwind {
  %a = load ptr, ptr %context
  %b.p = getelementptr ptr, ptr %context, i64 1
  %b = load ptr, ptr %b.p
  %c.p = getelementptr ptr, ptr %context, i64 2
  %c = load ptr, ptr %c.p
  %n.p = getelementptr i64, ptr %context, i64 3
  %n = load i64, ptr %n.p
  %size = mul i64 %n, %n
  %offset = mul i64 %begin, %size
  %b.one = getelementptr double, ptr %b, i64 %offset
  %c.one = getelementptr double, ptr %c, i64 %offset
  %n.int = trunc i64 %n to i32
  call void @multiply(ptr %a, ptr %b.one, ptr %c.one, i32 %n.int)
  ret void
}

define void @batch(ptr %context, i64 %count) nounwind {
  call void @rtfunc_parallel_for(ptr @multiply_one, ptr %context, i64 %count, i64 1)
  ret void
}
"""


class Products:
    def __init__(self):
        self.module = engine.compile_module(PRODUCTS)
        self._multiply = self.module.function(
            "multiply", None, c_void_p, c_void_p, c_void_p, c_int32
        )
        self._batch = self.module.function("batch", None, c_void_p, c_int64)

    def multiply(self, a, b):
        c = np.full_like(a, np.nan)
        self._multiply(a.ctypes.data, b.ctypes.data, c.ctypes.data, len(a))
        return c

    def batch(self, a, b):
        c = np.full_like(b, np.nan)
        context = np.array([a.ctypes.data, b.ctypes.data, c.ctypes.data, len(a)], np.uint64)
        self._batch(context.ctypes.data, len(b))
        return c


@pytest.fixture(scope="module")
def products():
    return Products()


@pytest.fixture(autouse=True)
def restore_threads():
    count = threads.get_num_threads()
    yield
    threads.set_num_threads(count)


@pytest.fixture
def matrices():
    generator = np.random.default_rng(0)
    return generator.random((300, 300)), generator.random((12, 300, 300))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_products_run_on_the_pool(products, matrices, count):
    threads.set_num_threads(count)
    regions = threads.load().count_regions()
    a, b = matrices
    c = products.multiply(a, b[0])
    np.testing.assert_allclose(c, a @ b[0], rtol=1e-12)
    if blas.uses_pool():
        assert (threads.load().count_regions() > regions) == (count > 1)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_products_inside_a_parallel_call_are_single_threaded(products, matrices, count):
    threads.set_num_threads(count)
    a, b = matrices
    regions = threads.load().count_regions()
    np.testing.assert_allclose(products.batch(a, b), a @ b, rtol=1e-12)
    # The batch itself, and no product within it.
    assert threads.load().count_regions() - regions == (count > 1)
    one_thread = CFUNCTYPE(c_int32)(blas.address("openblas_get_num_threads"))
    assert one_thread() == count


def test_bits_inside_a_parallel_call_do_not_depend_on_the_thread_count(products, matrices):
    results = []
    for count in (1, 2, 3):
        threads.set_num_threads(count)
        results.append(products.batch(*matrices).tobytes())
    assert len(set(results)) == 1


def test_products_from_several_python_threads(products, matrices):
    threads.set_num_threads(2)
    a, b = matrices
    expected = a @ b
    wrong = []

    def work(number):
        for step in range(6):
            if (number + step) % 2:
                good = np.allclose(products.batch(a, b), expected, rtol=1e-12)
            else:
                good = np.allclose(products.multiply(a, b[0]), expected[0], rtol=1e-12)
            if not good:
                wrong.append((number, step))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


@pytest.mark.filterwarnings("ignore:os.fork")  # jax warns of it, if an oracle test imported it
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_products_after_a_fork(products, matrices):
    threads.set_num_threads(2)
    a, b = matrices
    expected = products.multiply(a, b[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if np.array_equal(products.multiply(a, b[0]), expected) else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(products.multiply(a, b[0]), expected)


def test_changing_the_count_while_products_run_leaves_a_clean_exit(tmp_path):
    program = f"""
import ctypes, random, threading
import numpy as np
from rtfunc.compiler.cpu import blas, engine, threads
module = engine.compile_module('''{PRODUCTS}''')
multiply = module.function("multiply", None, *[ctypes.c_void_p] * 3, ctypes.c_int32)
def work(seed):
    generator = random.Random(seed)
    a, b, c = (np.ones((150, 150)) for _ in range(3))
    for _ in range(60):
        threads.set_num_threads(generator.randint(1, 6))
        multiply(a.ctypes.data, b.ctypes.data, c.ctypes.data, 150)
        assert (c == 150).all()
workers = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"RTFUNC_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


@pytest.mark.parametrize("count", [1, 2])
def test_lapack_routines_run(count):
    threads.set_num_threads(count)
    generator = np.random.default_rng(1)
    n = 250
    x = generator.random((n, n))
    a = x @ x.T + n * np.eye(n)
    factor = a.copy()
    info = c_int32(-7)
    potrf = CFUNCTYPE(None, *[c_void_p] * 5)(blas.address("dpotrf_"))
    size = c_int32(n)
    potrf(byref(c_char(b"U")), byref(size), factor.ctypes.data, byref(size), byref(info))
    assert info.value == 0
    # Column order "upper" is row order "lower".
    np.testing.assert_allclose(np.tril(factor), np.linalg.cholesky(a), rtol=1e-10, atol=1e-12)

    lu = a.copy()
    pivots = np.zeros(n, np.int32)
    getrf = CFUNCTYPE(None, *[c_void_p] * 6)(blas.address("dgetrf_"))
    getrf(byref(size), byref(size), lu.ctypes.data, byref(size), pivots.ctypes.data, byref(info))
    assert info.value == 0
    transposed = lu.T
    product = (np.tril(transposed, -1) + np.eye(n)) @ np.triu(transposed)
    rows = np.arange(n)
    for index, pivot in enumerate(pivots - 1):
        rows[[index, pivot]] = rows[[pivot, index]]
    np.testing.assert_allclose(product, a.T[rows], rtol=1e-9)


@pytest.mark.parametrize("letter", "sdcz")
def test_routines_that_the_compiler_needs_are_there(letter):
    real = letter in "sd"
    names = [f"cblas_{letter}{name}" for name in ("gemm", "gemv", "trsm", "gemm_batch", "syrk")]
    names += [f"{letter}{name}_" for name in ("potrf", "getrf", "getrs", "geqrf", "gesdd", "geev")]
    names += [f"{letter}{name}_" for name in (("syevd", "orgqr") if real else ("heevd", "ungqr"))]
    assert [name for name in names if not blas.has(name)] == []
    assert blas.symbol(names[0]) == f"rtfunc_blas_{names[0]}"


def test_missing_routines_are_named():
    assert not blas.has("sgemmm_")
    with pytest.raises(blas.BlasError, match="sgemmm_"):
        blas.symbol("sgemmm_")
    with pytest.raises(engine.UnresolvedSymbolError, match="rtfunc_blas_sgemmm_"):
        engine.compile_module(
            "declare void @rtfunc_blas_sgemmm_()\n"
            "define void @f() {\n call void @rtfunc_blas_sgemmm_()\n ret void\n}"
        )


def test_library_describes_itself():
    assert "OpenBLAS" in blas.description()
    assert blas.kernel_name() in blas.description()
