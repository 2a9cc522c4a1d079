"""Fixtures that all tests share."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers in every run, whatever the order of the tests."""
    return np.random.default_rng(20260101)
