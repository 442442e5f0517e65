"""Matrix factorizations under the names of `jax.lax.linalg`.

These are the primitives as functions; `rtfunc.numpy.linalg` has NumPy's interface. Depends on
`ops.linalg` and, for `householder_product`, on `loops`.
"""

from rtfunc.lax.householder import householder_product as householder_product
from rtfunc.ops.linalg.cholesky import cholesky as cholesky
from rtfunc.ops.linalg.eig import eig as eig
from rtfunc.ops.linalg.eigh import eigh as eigh
from rtfunc.ops.linalg.lu import lu as lu
from rtfunc.ops.linalg.lu import lu_pivots_to_permutation as lu_pivots_to_permutation
from rtfunc.ops.linalg.lu import lu_solve as lu_solve
from rtfunc.ops.linalg.qr import qr as qr
from rtfunc.ops.linalg.schur import schur as schur
from rtfunc.ops.linalg.svd import svd as svd
from rtfunc.ops.linalg.triangular import triangular_solve as triangular_solve
