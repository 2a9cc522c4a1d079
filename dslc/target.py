"""The machine that the C is made for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """`vector_bytes` is the width of the vectors that the emitted C computes with; `flags` tell the compiler."""

    name: str
    vector_bytes: int
    flags: tuple[str, ...]

    def lanes(self, itemsize: int) -> int:
        return max(1, self.vector_bytes // itemsize)


TARGETS = {
    "generic": Target("generic", 16, ()),
    "x86-64-v3": Target("x86-64-v3", 32, ("-march=x86-64-v3",)),
    "x86-64-v4": Target("x86-64-v4", 64, ("-march=x86-64-v4", "-mprefer-vector-width=512")),
    "aarch64": Target("aarch64", 16, ("-march=armv8-a",)),
}


def native() -> Target:
    """This machine's CPU."""
    flags = _cpu_flags()
    wide = 64 if "avx512f" in flags else 32 if "avx2" in flags else 16
    extra = ("-mprefer-vector-width=512",) if wide == 64 else ()
    return Target("native", wide, ("-march=native" if os.uname().machine == "x86_64" else "-mcpu=native", *extra))


@cache
def _cpu_flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").split())


@cache
def cpu_identity() -> str:
    """What `-march=native` depends on: part of the cache's key."""
    return " ".join([os.uname().machine, *sorted(_cpu_flags())])
