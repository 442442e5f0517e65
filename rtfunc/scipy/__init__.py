"""Functions under SciPy's names, as `jax.scipy` has them: one module for each of SciPy's."""
