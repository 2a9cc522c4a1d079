"""A plugin for pytest (`-p compiled_quickly`): networks are compiled without optimizing, whatever their tests want."""

from __future__ import annotations

import os

import pytest

from dslc.codegen import build


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup() -> None:
    """Behind the one in conftest.py, which says what a test wants."""
    os.environ[build.EXTRA_FLAGS] = "-O0 -fno-lto"
