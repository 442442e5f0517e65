"""Matrix factorizations and solvers: the primitives of linear algebra, one module per family.

All take stacks of matrices [..., m, n] in float32, float64, complex64 or complex128. Where a
factorization does not exist (a matrix that is not positive definite, an iteration that does not
converge, NaN in the operand) the result for that matrix is NaN, as in JAX, and no error: it would be
the same in compiled code and on a GPU. `cholesky` is the module to read first; `matrices` has what
rules are written in, `lapack` the routines that NumPy lacks.
"""

from rtfunc.ops.linalg import cholesky as cholesky
from rtfunc.ops.linalg import determinant as determinant
from rtfunc.ops.linalg import eig as eig
from rtfunc.ops.linalg import eigh as eigh
from rtfunc.ops.linalg import functions as functions
from rtfunc.ops.linalg import lu as lu
from rtfunc.ops.linalg import pseudo_inverse as pseudo_inverse
from rtfunc.ops.linalg import qr as qr
from rtfunc.ops.linalg import schur as schur
from rtfunc.ops.linalg import solve as solve
from rtfunc.ops.linalg import svd as svd
from rtfunc.ops.linalg import triangular as triangular
