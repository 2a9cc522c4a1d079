"""How many threads share the work: the cores that this process may run on, unless somebody says otherwise."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from numbers import Integral
from pathlib import Path
from typing import Literal

from dslc import cgroups
from dslc.language.diagnostics import UsageError

Threads = int | Literal["auto"]
"""A number, or as many as pay off on the cores that there are."""
VARIABLE = "DSLC_THREADS"
"""The environment variable that stands in for `auto`."""


def available_cores() -> int:
    """The cores that this process may run on: its affinity, and what its cgroups let it use of their time."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(affinity, _quota(cgroups.ROOT, cgroups.MEMBERSHIP))))


def threads_to_use(threads: object = "auto", name: str = "threads") -> Threads:
    """What a caller wants: a number of threads, no more than there are cores, or `auto`, for which $DSLC_THREADS stands
    in. A number that is capped is noted in a warning.

    Raises:
        ValueError: it is neither a positive number nor `auto`.
        UsageError: $DSLC_THREADS is neither.
    """
    if threads == "auto":
        wanted = os.environ.get(VARIABLE, "").strip() or "auto"
        if wanted == "auto":
            return "auto"
        if not wanted.isdecimal() or int(wanted) < 1:
            raise UsageError(f"{VARIABLE} must be a number of threads, at least 1, or auto, not {wanted!r}")
        threads, name = int(wanted), VARIABLE
    if not isinstance(threads, Integral) or isinstance(threads, bool):
        raise ValueError(f"{name} must be a number or 'auto', not {threads!r}")
    count, cores = int(threads), available_cores()
    if count < 1:
        raise ValueError(f"{name} must be at least 1, not {count}")
    if count > cores:
        many = f"{cores} core{'s' * (cores > 1)}"
        warnings.warn(f"{name} is {count}, but this process may run on {many} only: {cores} it is", stacklevel=3)
    return min(count, cores)


def _quota(root: Path, membership: Path) -> float:
    """The time that the process's cgroups may use, in cores; infinite where nothing limits it."""
    return min(_quotas(root, membership), default=math.inf)


def _quotas(root: Path, membership: Path) -> Iterator[float]:
    """Version 2 has one file; version 1 has two."""
    for version, folder in cgroups.groups("cpu", root, membership):
        files = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if version == 1 else ("cpu.max",)
        numbers = " ".join(cgroups.text(folder / file) for file in files).split()
        if len(numbers) == 2 and all(number.isdecimal() for number in numbers):
            yield int(numbers[0]) / int(numbers[1])
