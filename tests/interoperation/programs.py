"""Programs that need SciPy's switch for array API arguments, which it reads when it is imported.

Run as `SCIPY_ARRAY_API=1 python programs.py scipy`; they fail by an exception.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import rtfunc.numpy as rnp
from rtfunc.core.array import Array
from rtfunc.interoperation import item_assignment

X = np.random.default_rng(0).normal(size=(40, 5))
Y = X @ np.arange(1.0, 6) + 0.3
LABELS = (X[:, 0] > 0).astype("int64")


def _compare(what: str, function: Any, *arrays: np.ndarray, rtol: float = 1e-9) -> None:
    """`function` of Arrays gives Arrays with the values that it gives of NumPy's arrays."""
    found = function(*map(rnp.asarray, arrays))
    wanted = function(*arrays)
    assert isinstance(found, Array) or np.isscalar(found), (what, type(found))
    # Iterations and sums run in other orders.
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=rtol, atol=1e-10, err_msg=what)


def scipy() -> None:
    from scipy import differentiate, integrate, ndimage, signal, special, stats
    from scipy.spatial.transform import Rotation

    positive = np.abs(X) + 0.1
    with item_assignment():
        _compare("zscore", stats.zscore, X)
        _compare("skew", stats.skew, X)
        _compare("kurtosis", stats.kurtosis, X)
        _compare("entropy", stats.entropy, positive)
        _compare("gmean", stats.gmean, positive)
        _compare("pearsonr", lambda x, y: stats.pearsonr(x, y)[0], X[:, 0], X[:, 1])
        _compare("ttest", lambda x: stats.ttest_1samp(x, 0.0)[0], X)
        _compare("logsumexp", lambda x: special.logsumexp(x, axis=1), X)
        _compare("softmax", lambda x: special.softmax(x, axis=1), X)
        _compare("expit", special.expit, X)
        _compare("gammaln", special.gammaln, positive)
        _compare("trapezoid", integrate.trapezoid, X)
        _compare("cumulative_trapezoid", integrate.cumulative_trapezoid, X)
        _compare("convolve", signal.convolve, X[:, 0], X[:5, 1])
        _compare("detrend", signal.detrend, X)
        _compare("gaussian_filter", lambda x: ndimage.gaussian_filter(x, 1.0), X)
        _compare("rotation", lambda q: Rotation.from_quat(q).as_matrix(), X[:, :4])
        found = differentiate.derivative(rnp.sin, rnp.asarray(np.array([1.0, 2.0])))
        np.testing.assert_allclose(found.df, np.cos([1.0, 2.0]), rtol=1e-8)


def sklearn() -> None:
    from sklearn import config_context, metrics, preprocessing
    from sklearn.metrics import pairwise
    from sklearn.model_selection import train_test_split

    with config_context(array_api_dispatch=True), item_assignment():
        for scaler in ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "Normalizer", "Binarizer"):
            made = getattr(preprocessing, scaler)
            _compare(scaler, lambda x, made=made: made().fit_transform(x), X)
        _compare("PolynomialFeatures", preprocessing.PolynomialFeatures().fit_transform, X)
        _compare("LabelEncoder", preprocessing.LabelEncoder().fit_transform, LABELS)
        for kernel in ("cosine_similarity", "rbf_kernel", "euclidean_distances", "linear_kernel"):
            _compare(kernel, getattr(pairwise, kernel), X)
        _compare("mean_squared_error", metrics.mean_squared_error, Y, Y + 1)
        _compare("r2_score", metrics.r2_score, Y, Y * 1.1)
        # Ratios of counts are in the default float, float32.
        for score in (metrics.accuracy_score, metrics.f1_score):
            _compare(score.__name__, score, LABELS, np.roll(LABELS, 1), rtol=1e-6)
        parts = train_test_split(rnp.asarray(X), rnp.asarray(Y), random_state=0)
        assert [type(p) for p in parts] == [Array] * 4
        np.testing.assert_array_equal(parts[0], train_test_split(X, Y, random_state=0)[0])


def sklearn_linalg() -> None:
    """What goes through `rtfunc.numpy.linalg`."""
    from sklearn import config_context
    from sklearn.decomposition import PCA
    from sklearn.linear_model import Ridge

    with config_context(array_api_dispatch=True), item_assignment():
        _compare("Ridge", lambda x, y: Ridge(solver="svd").fit(x, y).predict(x), X, Y)
        _compare("PCA", lambda x: PCA(2, svd_solver="full").fit(x).explained_variance_, X)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
