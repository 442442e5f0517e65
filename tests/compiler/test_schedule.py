"""What the scheduler puts together into one Kernel."""

import numpy as np

from rtfunc import numpy as rnp
from rtfunc.core.execution import use_backend
from rtfunc.transforms.jit import jit


def test_what_follows_a_column_sum_is_stored_once_per_column():
    # The kernel reads `b` at every point for the first result before it becomes a reduction; a
    # result of one value per column that reads `b` again must not be stored at every point.
    def f(x, b):
        y = x * b
        return y, b - rnp.sum(y, axis=0)

    x = rnp.array(np.random.default_rng(0).normal(size=(64, 16)).astype("float32"))
    b = rnp.arange(16, dtype="float32")
    with use_backend("native"):
        outs = jit(f)(x, b)
    for out, expected in zip(outs, f(x, b)):
        # float32 sums of 64 numbers of size 15 in another order
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-4)
