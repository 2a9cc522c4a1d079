"""The machine that the C is compiled for."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """`vector_bytes` is the width of the vectors that the emitted C computes with, 0 for plain C; `flags` are for the
    compiler; `registers` is the number of vector registers. `fuses`: compilers find multiply-adds of one rounding.
    `machine`: the kind of CPU that runs it; empty where any does. `compiler`: what makes programs for it on a PC.
    `hosts_python`: Python runs there, and imports what is compiled. `has_bf16`: with an instruction that multiplies in
    bf16."""

    name: str
    vector_bytes: int
    flags: tuple[str, ...]
    registers: int = 16
    fuses: bool = False
    machine: str = ""
    compiler: str = "gcc"
    hosts_python: bool = True
    has_bf16: bool = False

    def lanes(self, itemsize: int) -> int:
        """Numbers of `itemsize` bytes in a vector; 1 for plain C."""
        return max(1, self.vector_bytes // itemsize)

    @property
    def of_this_machine(self) -> bool:
        """Whether this kind of machine can load what is compiled for it."""
        return self.machine in ("", os.uname().machine)

    @property
    def multiplies_bytes(self) -> bool:
        """Whether a CPU of Arm has dot products of bytes."""
        return any("dotprod" in flag for flag in self.flags) or (self.name == "native" and "asimddp" in _cpu_flags())

    @property
    def is_microcontroller(self) -> bool:
        """Whether flash and memory are scarce."""
        return self.machine == "arm"

    @property
    def has_short_registers(self) -> bool:
        """Of 32 bits, as its addresses: a longer index would take two."""
        return self.machine in ("arm", "armv7l", "wasm32")

    @property
    def tile_rows(self) -> int:
        """Rows of the largest register tile, with two vectors a row, that leaves room for one row of the other
        operand."""
        return 14 if self.registers >= 32 else 6 if self.registers >= 16 else 4


CORTEX_M = {
    3: ("-mfloat-abi=soft",),
    4: ("-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    7: ("-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"),
}
"""How the microcontrollers compute with floats."""

TARGETS = {
    "c99": Target("c99", 0, ()),
    "generic": Target("generic", 16, ()),
    "x86-64-v3": Target("x86-64-v3", 32, ("-march=x86-64-v3",), fuses=True, machine="x86_64"),
    "x86-64-v4": Target("x86-64-v4", 64, ("-march=x86-64-v4", "-mprefer-vector-width=512"), 32, True, "x86_64"),
    "aarch64": Target("aarch64", 16, ("-march=armv8-a",), 32, True, "aarch64", "aarch64-linux-gnu-gcc"),
    "aarch64-dotprod": Target(
        "aarch64-dotprod", 16, ("-march=armv8.2-a+dotprod",), 32, True, "aarch64", "aarch64-linux-gnu-gcc"
    ),
    "armv7": Target(
        "armv7",
        16,
        ("-march=armv7-a", "-mfpu=neon-vfpv4", "-mfloat-abi=hard"),
        fuses=True,
        machine="armv7l",
        compiler="arm-linux-gnueabihf-gcc",
    ),
    "riscv64": Target(
        "riscv64", 0, ("-march=rv64gc",), fuses=True, machine="riscv64", compiler="riscv64-linux-gnu-gcc"
    ),
    "wasm": Target(
        "wasm",
        16,
        ("--target=wasm32-wasi", "-msimd128", "-mbulk-memory"),
        registers=12,  # engines keep some of the 16 of x86-64 to themselves
        machine="wasm32",
        compiler="clang",
        hosts_python=False,
    ),
    **{
        f"cortex-m{n}": Target(
            f"cortex-m{n}",
            0,
            (f"-mcpu=cortex-m{n}", "-mthumb", *floats),
            registers=16 if n == 3 else 32,  # of single numbers
            fuses=n != 3,
            machine="arm",
            compiler="arm-none-eabi-gcc",
            hosts_python=False,
        )
        for n, floats in CORTEX_M.items()
    },
}


def native() -> Target:
    """The CPU of this machine, compiled for with -march=native."""
    flags = _cpu_flags()
    wide = 64 if "avx512f" in flags else 32 if "avx2" in flags else 16
    extra = ("-mprefer-vector-width=512",) if wide == 64 else ()
    machine = os.uname().machine
    intel = machine == "x86_64"
    fuses = "fma" in flags or machine == "aarch64"
    registers = 16 if intel and wide < 64 else 32
    march = "-march=native" if intel else "-mcpu=native"
    has_bf16 = wide == 64 and "avx512_bf16" in flags
    return Target("native", wide, (march, *extra), registers, fuses, machine, has_bf16=has_bf16)


@cache
def _cpu_flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith(("flags", "Features"))), "").split())


@cache
def cpu_identity() -> str:
    """What -march=native depends on (the CPU's feature flags); part of the cache key."""
    return " ".join([os.uname().machine, *sorted(_cpu_flags())])
