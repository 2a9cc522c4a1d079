"""Exported C to a module of WebAssembly that imports nothing, by clang with wasm-ld and wasi-libc."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from dslc.export.companions import compile_flags
from dslc.language.diagnostics import UsageError
from dslc.target import TARGETS

STACK_BYTES = 256 << 10
"""The deepest calls take a few kilobytes; below the stack, which comes first in memory, an overflow is a trap."""
COMPILER = TARGETS["wasm"].compiler
NEEDED = "install clang, lld and wasi-libc (apt install clang lld wasi-libc)"
IMPORTS = 2
"""The number of a module's section of imports."""


def compile_wasm(files: Mapping[str, bytes], prefix: str, functions: Sequence[str], small: bool) -> bytes:
    """The module of an exported network; `functions` are what it exports, besides its memory and where that is free.

    Raises:
        UsageError: the compiler is not installed, or makes no WebAssembly; with its words.
    """
    linker = ["--no-entry", "--stack-first", f"-z,stack-size={STACK_BYTES}", "--strip-all", "--export=__heap_base",
              *(f"--export={name}" for name in functions)]  # fmt: skip
    flags = [*compile_flags(TARGETS["wasm"], small), "-nostartfiles", *(f"-Wl,{word}" for word in linker)]
    command = [COMPILER, *flags, f"{prefix}.c", "-lm", "-o", f"{prefix}.wasm"]
    if shutil.which(COMPILER) is None:
        raise UsageError(f"no C compiler for WebAssembly was found: {NEEDED}")
    with tempfile.TemporaryDirectory(prefix="dslc-") as name:
        folder = Path(name)
        for kind in "ch":
            (folder / f"{prefix}.{kind}").write_bytes(files[f"{prefix}.{kind}"])
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode:
            raise UsageError(f"{COMPILER} makes no WebAssembly here: {NEEDED}\n{shlex.join(command)}\n{done.stderr}")
        module = (folder / f"{prefix}.wasm").read_bytes()
    assert IMPORTS not in sections(module), "the module imports something"
    return module


def sections(module: bytes) -> dict[int, bytes]:
    """The sections of a module by their numbers (WebAssembly Core Specification, 5.5.2); custom ones are 0."""
    found, at = {}, 8
    while at < len(module):
        kind, (size, at) = module[at], _unsigned(module, at + 1)
        found[kind] = module[at : at + size]
        at += size
    return found


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    """A number in LEB128 at a place, and the place behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
