"""Linear algebra under NumPy's names: `numpy.linalg` and the array API standard's extension.

Functions take stacks of matrices [..., m, n] in float32, float64, complex64 or complex128; integers
become float32, and float16 and bfloat16 are refused where LAPACK computes (they have no kernels in
NumPy and JAX either). Results with several parts are named tuples. Nothing raises for a matrix that
has no factorization, is singular or holds NaN: the result is NaN or infinite, in compiled code as in
eager code. Where NumPy and JAX disagree, JAX is followed, which the functions say.

Accuracy: the largest relative residual in units of the machine epsilon, over 50 random matrices of 2
to 64 rows for each dtype, and NumPy's (SciPy's where NumPy has no such function):

    function   residual                     float32      float64      complex64    complex128
    cholesky   |l l^H - a| / |a|             0.6 (0.6)    0.7 (0.7)    0.7 (0.7)    0.8 (0.8)
    qr         |q r - a| / |a|               0.8 (0.8)    2.4 (2.4)    1.0 (1.0)    2.9 (2.9)
    svd        |u s vh - a| / |a|            1.4 (1.4)   16.5 (16.5)   1.8 (1.8)   14.6 (14.6)
    eigh       |a v - v w| / |a|             0.8 (0.8)   11.6 (11.6)   0.9 (0.9)   10.5 (10.5)
    eig        |a v - v w| / |a|            16.3 (1.1)   18.1 (17.4)  18.8 (1.4)   21.6 (22.5)
    solve      |a x - b| / (|a| |x|)         0.5 (0.3)    0.4 (0.4)    0.7 (0.2)    0.7 (0.8)
    inv        |a x - 1| / (|a| |x|)         0.4 (0.1)    0.4 (0.4)    0.7 (0.2)    0.7 (0.7)
    pinv       |a x a - a| / (|a|^2 |x|)     0.4 (0.4)    0.9 (0.9)    0.4 (0.4)    1.5 (1.5)
    expm       |x - exact| / |exact|                     13.1 (39.9)
    schur      |q t q^H - a| / |a|          22.9         26.9         26.5         30.1

NumPy computes some of them in float64 for float32; `eig` and `solve` here compute in the operand's
dtype, as JAX does. The exact exponentials are mpmath's.

>>> import rtfunc.numpy as rnp
>>> rnp.linalg.solve(rnp.array([[2.0, 0.0], [0.0, 4.0]]), rnp.array([2.0, 2.0]))
Array([1. , 0.5], dtype=float32)
"""

from rtfunc.numpy.contraction import matmul as matmul
from rtfunc.numpy.contraction import multi_dot as multi_dot
from rtfunc.numpy.linalg.decompositions import EighResult as EighResult
from rtfunc.numpy.linalg.decompositions import EigResult as EigResult
from rtfunc.numpy.linalg.decompositions import QRResult as QRResult
from rtfunc.numpy.linalg.decompositions import SVDResult as SVDResult
from rtfunc.numpy.linalg.decompositions import cholesky as cholesky
from rtfunc.numpy.linalg.decompositions import eig as eig
from rtfunc.numpy.linalg.decompositions import eigh as eigh
from rtfunc.numpy.linalg.decompositions import eigvals as eigvals
from rtfunc.numpy.linalg.decompositions import eigvalsh as eigvalsh
from rtfunc.numpy.linalg.decompositions import qr as qr
from rtfunc.numpy.linalg.decompositions import svd as svd
from rtfunc.numpy.linalg.decompositions import svdvals as svdvals
from rtfunc.numpy.linalg.norms import cond as cond
from rtfunc.numpy.linalg.norms import matrix_norm as matrix_norm
from rtfunc.numpy.linalg.norms import norm as norm
from rtfunc.numpy.linalg.norms import vector_norm as vector_norm
from rtfunc.numpy.linalg.products import cross as cross
from rtfunc.numpy.linalg.products import diagonal as diagonal
from rtfunc.numpy.linalg.products import expm as expm
from rtfunc.numpy.linalg.products import matrix_power as matrix_power
from rtfunc.numpy.linalg.products import outer as outer
from rtfunc.numpy.linalg.products import tensordot as tensordot
from rtfunc.numpy.linalg.products import trace as trace
from rtfunc.numpy.linalg.products import vecdot as vecdot
from rtfunc.numpy.linalg.solving import LstsqResult as LstsqResult
from rtfunc.numpy.linalg.solving import SlogdetResult as SlogdetResult
from rtfunc.numpy.linalg.solving import det as det
from rtfunc.numpy.linalg.solving import inv as inv
from rtfunc.numpy.linalg.solving import lstsq as lstsq
from rtfunc.numpy.linalg.solving import matrix_rank as matrix_rank
from rtfunc.numpy.linalg.solving import pinv as pinv
from rtfunc.numpy.linalg.solving import slogdet as slogdet
from rtfunc.numpy.linalg.solving import solve as solve
from rtfunc.numpy.linalg.solving import tensorinv as tensorinv
from rtfunc.numpy.linalg.solving import tensorsolve as tensorsolve
from rtfunc.numpy.shape import matrix_transpose as matrix_transpose
