"""Elementary functions as straight-line LLVM code, for scalars, vectors and vectorised loops.

The code has no branches, calls or tables in memory, so that one definition serves a scalar loop
that LLVM vectorises and a kernel written in vectors. Semantics at NaN, infinities, zeros, denormals
and thresholds are NumPy's; measured errors and times stand in docs/maths-accuracy.md. `lanes` is
the notation, `coefficients` the polynomials, and one module per family holds the functions.
"""

from .table import FUNCTIONS, Emitter, integer_pow

__all__ = ["FUNCTIONS", "Emitter", "integer_pow"]
