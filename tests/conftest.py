"""Fixtures that all tests share."""

from __future__ import annotations

import ctypes
import os

import numpy as np
import pytest

from dslc import cores
from dslc.codegen.build import Library
from dslc.runtime.native import compiled

os.environ[cores.VARIABLE] = "1"
"""Plans are the same on every machine, and the cores are for several tests at once (pytest -n): where threads are the
subject a test says how many. tests/test_cores.py tests what is done without."""


@pytest.fixture(autouse=True)
def patient_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """All threads that a test asks for take part, also where cores are busy: else a comparison of numbers of threads
    might be one of a thread with itself."""
    process_pool = compiled._process_pool

    def patient_pool(library: Library) -> int:
        address = process_pool(library)
        if address:
            patience_and_backoff = (ctypes.c_int64 * 3).from_address(address)
            patience_and_backoff[1], patience_and_backoff[2] = 10_000_000_000, 0
        return address

    monkeypatch.setattr(compiled, "_process_pool", patient_pool)


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number of threads that a test asks for is not capped: their results do not depend on the cores."""
    monkeypatch.setattr(cores, "available_cores", lambda: 8)


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers in every run, whatever the order of the tests."""
    return np.random.default_rng(20260101)
