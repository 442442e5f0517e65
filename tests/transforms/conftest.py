"""Fixtures of the transforms' tests."""

from __future__ import annotations

import pytest

from rtfunc.core.execution import use_backend


@pytest.fixture(params=["native", "reference"])
def backend(request):
    """Run the test with each backend as the default one."""
    with use_backend(request.param):
        yield request.param
