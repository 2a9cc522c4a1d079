"""The most that the machine can do, measured: multiply-adds a second in registers, bytes a second of memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from dslc.codegen.build import Library, build
from dslc.codegen.c_source import CSource
from dslc.codegen.templating import render
from dslc.target import Target

DECLARATIONS = """double machine_multiply_add(double factor, double step, int64_t rounds);
void machine_triad(double *a, const double *b, const double *c, double s, int64_t count);
"""
SUMS = 12
"""Vectors that are added up side by side, as in the template."""
BLOCKS, BLOCK_SECONDS = 5, 0.04
CACHE = 8 << 20
"""Bytes of the largest cache where the system does not say."""


@dataclass(frozen=True)
class Limits:
    """Multiply-adds and bytes a second at most, with so many threads."""

    multiply_adds: float
    bytes: float
    threads: int


def measure_limits(target: Target, itemsize: int, threads: int) -> Limits:
    """The best of some blocks; takes about a second. itemsize: bytes of a number.

    Raises:
        UsageError: there is no C compiler, or it fails.
    """
    lanes, real = target.lanes(itemsize), "float" if itemsize == 4 else "double"
    context = {"real": real, "vector_bytes": lanes * itemsize, "lanes": lanes}
    library = build(CSource("machine", DECLARATIONS, render("machine.c.j2", context, itemsize == 4)), target)
    return Limits(_multiply_adds(library, lanes, threads), _bandwidth(library, threads), threads)


def _multiply_adds(library: Library, lanes: int, threads: int) -> float:
    job, rounds = partial(library.function("multiply_add"), 0.999, 1e-3), 1 << 14
    while (seconds := _seconds([partial(job, rounds)])) < BLOCK_SECONDS / 2:
        rounds = int(rounds * min(10, 1 + BLOCK_SECONDS / seconds))
    return threads * rounds * SUMS * lanes / min(_seconds([partial(job, rounds)] * threads) for _ in range(BLOCKS))


def _bandwidth(library: Library, threads: int) -> float:
    """As STREAM counts: the bytes of three arrays, which together are four times as large as the largest cache."""
    count = 4 * _largest_cache() // (3 * 8 * threads)
    ffi, triad = library.module.ffi, library.function("triad")
    arrays = [[np.zeros(count) for _ in range(3)] for _ in range(threads)]
    given = [[ffi.from_buffer("double[]", array) for array in part] for part in arrays]
    jobs = [partial(triad, *part, 3.0, count) for part in given]
    return threads * 3 * 8 * count / min(_seconds(jobs) for _ in range(BLOCKS))


def _seconds(jobs: Sequence[Callable[[], object]]) -> float:
    """How long they take side by side; C runs without Python's lock."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(time.sleep, [1e-3] * len(jobs)))  # all threads are there
        start = time.perf_counter()
        for done in [pool.submit(job) for job in jobs]:
            done.result()
        return time.perf_counter() - start


def _largest_cache() -> int:
    sizes = Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")
    found = [path.read_text().strip() for path in sizes]
    return max((int(size[:-1]) << 10 for size in found if size.endswith("K")), default=CACHE)
