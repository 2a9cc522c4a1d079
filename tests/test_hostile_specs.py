"""A megabyte of anything is accepted or refused, in little time and memory, and never with a traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hostile_specs import LARGE, MILLION, broken, judged


@pytest.fixture(scope="module")
def measured() -> dict[str, list[float]]:
    """Seconds of computing, megabytes at most and errors shown for each kind, all in one process."""
    command = [sys.executable, "tests/hostile_specs.py", "--large"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return {name: [float(n) for n in numbers] for name, *numbers in map(str.split, done.stdout.splitlines()[1:])}


@pytest.mark.parametrize("name", LARGE)
def test_a_megabyte_is_judged_at_once(name: str, measured: dict[str, list[float]]) -> None:
    """In a second of computing (two here, for slow machines) and 500 MB, with at most 20 errors."""
    assert len(LARGE[name].encode()) <= MILLION
    seconds, megabytes, shown = measured[name]
    assert seconds < 2 and megabytes < 500 and shown <= 20


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_broken_specs_are_read_or_refused(first: int) -> None:
    """`python tests/hostile_specs.py` goes on for as long as one likes."""
    for number in range(first, first + 100):
        assert judged(broken(number)) < 2, number
