"""Fixtures that all tests share."""

from __future__ import annotations

import os

import numpy as np
import pytest

from dslc import cores

os.environ[cores.VARIABLE] = "1"
"""Plans are the same on every machine, and the cores are for several tests at once (pytest -n): where threads are the
subject a test says how many. tests/test_cores.py tests what is done without."""


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number of threads that a test asks for is not capped: their results do not depend on the cores."""
    monkeypatch.setattr(cores, "available_cores", lambda: 8)


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers in every run, whatever the order of the tests."""
    return np.random.default_rng(20260101)
