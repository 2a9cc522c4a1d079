"""`CSource` to a native module that Python imports. The only importer of cffi.

A module is built in a temporary folder and moved into the cache with one rename, so that two processes at once, or
one that is killed, never leave a broken one. Of several that want it at once, one compiles and the others wait. It ends
with its checksum, which the system's loader ignores: one that was cut short, by a power failure or a full disk, would
take the process down.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from cffi import FFI

from dslc.cache import PART, SCRATCH, cache_folder, not_ours, write_whole
from dslc.codegen.c_source import CSource
from dslc.codegen.text import without_comments
from dslc.language.diagnostics import UsageError
from dslc.locks import one_at_a_time
from dslc.target import Target, cpu_identity

FLAGS = ("-std=gnu11", "-O3", "-fPIC", "-pthread", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
EXTRA_FLAGS = "DSLC_CFLAGS"
"""The environment variable with flags of one's own, such as -O1 for networks that run for a moment."""
INEXACT = ("-ffast-math", "-Ofast", "-funsafe-math-optimizations", "-fassociative-math", "-ffinite-math-only")
"""Flags with which a compiler may compute something else than what the C says."""
UNSPLIT_FMA = ("--param=avoid-fma-max-bits=0",)
"""GCC tuned for some CPUs splits multiply-adds in short chains and not in long ones; then a sum has other bits in a
small tile than in a large one."""
ON_ALL_CORES = ("-flto=auto", "-fno-fat-lto-objects", "-flto-partition=balanced", "--param=lto-min-partition=2000")
"""GCC's link-time optimization compiles the functions of our one C file on all cores: it deals them out in parts and
runs `make` on these."""
LARGE = 50_000
"""So many characters of C are compiled on all cores; dealing less out takes longer than it saves."""
WARNINGS = ("-Wall", "-Wextra", "-Wshadow")
SEAL = b"dslc sha256 "
"""What precedes the checksum at the end of a module."""
Running = tuple[list[str], subprocess.Popen[str]]
"""A command and its process."""
_loading = threading.Lock()
if hasattr(os, "register_at_fork"):  # for the moment that it is held: a child would wait for it for ever
    os.register_at_fork(before=_loading.acquire, after_in_parent=_loading.release, after_in_child=_loading.release)
EXT_SUFFIX, SOABI = (str(sysconfig.get_config_var(name)) for name in ("EXT_SUFFIX", "SOABI"))
"""Asked for while modules are imported: threads that ask for the first one at once may get None."""


class CompilerError(UsageError):
    """The C compiler failed; carries its command and its words."""


@dataclass(frozen=True)
class Compiler:
    """A C compiler, how it names itself, those flags for compiling and linking that only some compilers know, and the
    user's own."""

    command: tuple[str, ...]
    identity: str
    flags: tuple[str, ...] = ()
    own_flags: tuple[str, ...] = ()

    def flags_for(self, code: str) -> tuple[str, ...]:
        """Its own flags for C of this size."""
        return tuple(flag for flag in self.flags if len(code) >= LARGE or flag not in ON_ALL_CORES)

    def spelled(self, target: Target) -> tuple[str, ...]:
        """The flags of a target as this compiler writes them: zig has underscores in the names of CPUs."""
        if not {"zig", "ziglang"} & {Path(word).name for word in self.command}:
            return target.flags
        return tuple(re.sub("(?<=^-march=).*", lambda cpu: cpu[0].replace("-", "_"), flag) for flag in target.flags)


@dataclass(frozen=True)
class Library:
    """A loaded native module. `cached` tells that nothing had to be compiled."""

    module: ModuleType
    path: Path
    prefix: str
    cached: bool

    def function(self, name: str) -> Any:
        """A public function by its name without the prefix."""
        return getattr(self.module.lib, f"{self.prefix}_{name}")


def build(source: CSource, target: Target, folder: Path | None = None) -> Library:
    """The native module of a network, from the cache if it is there. `folder` is where to put it instead.

    Raises:
        UsageError: there is no C compiler, or it fails.
    """
    path, cached = build_file(source, target, folder)
    return _library(path, source.prefix, target, cached)


def load_module(path: Path, prefix: str, target: Target) -> Library | None:
    """A module that was built before; None if it is gone, or not whole, or may be the work of another."""
    return _library(path, prefix, target, True) if _whole(path) else None


def _library(path: Path, prefix: str, target: Target, cached: bool) -> Library:
    return Library(_load(path.name.removesuffix(module_suffix(target)), path), path, prefix, cached)


def build_file(source: CSource, target: Target, folder: Path | None = None) -> tuple[Path, bool]:
    """The file of a native module, not yet imported, and whether it was in the cache; see `build`. One for another
    kind of machine is named as Python names modules there."""
    home = folder or cache_folder()
    try:
        compiler = compiler_for(target)
        name = f"_{source.prefix}_{cache_key(source, target, compiler)}"
        path = home / f"{name}{module_suffix(target)}"
        cached = _usable(path)
        if not cached:
            with one_at_a_time(path.with_name(f".{path.name}{PART}")):
                cached = _whole(path)
                if not cached:
                    _compile(source, target, compiler, name, path)
    except OSError as error:
        raise UsageError(f"cannot compile into {home}: {error.strerror}") from None
    return path, cached


def _usable(path: Path) -> bool:
    """Whether there is a module that is whole and that nobody else has made; a warning says why not."""
    try:
        reason = _fault(path)
    except OSError:
        return False
    if reason is not None:
        warnings.warn(f"{path} {reason}: it is compiled again", stacklevel=4)
    return reason is None


def _whole(path: Path) -> bool:
    """The same without a word."""
    try:
        return _fault(path) is None
    except OSError:
        return False


def _fault(path: Path) -> str | None:
    """Why a module cannot be used, in words that follow its name. Raises OSError if there is none."""
    data = path.read_bytes()
    return not_ours(path) or (None if unsealed(data) is not None else "is damaged")


def sealed(data: bytes) -> bytes:
    """The data with their checksum behind them."""
    return data + SEAL + hashlib.sha256(data).digest()


def unsealed(data: bytes) -> bytes | None:
    """What `sealed` was given; None if they are not whole."""
    inside = data[: -len(SEAL) - 32]
    return inside if data == sealed(inside) else None


def cache_key(source: CSource, target: Target, compiler: Compiler) -> str:
    """Everything that the machine code depends on, hashed: comments, which quote the spec, are not part of it."""
    parts = (
        without_comments(source.code),
        without_comments(source.declarations),
        *_surroundings(target, compiler),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def surroundings(target: Target) -> tuple[str, ...]:
    """What machine code depends on besides its C: flags, compiler, and machine.

    Raises:
        UsageError: there is no C compiler.
    """
    return _surroundings(target, compiler_for(target))


def _surroundings(target: Target, compiler: Compiler) -> tuple[str, ...]:
    return (
        *FLAGS,
        *target.flags,
        *compiler.flags,
        *compiler.own_flags,
        compiler.identity,
        SOABI,
        cpu_identity(),
        SEAL.hex(),  # modules of earlier versions have none
    )


def module_suffix(target: Target) -> str:
    """How Python's modules end on the machines of a target, such as `.cpython-311-x86_64-linux-gnu.so`."""
    return EXT_SUFFIX if target.of_this_machine else EXT_SUFFIX.replace(os.uname().machine, target.machine)


def compiler_for(target: Target) -> Compiler:
    """The compiler of this machine, or what makes programs for another kind of machine; $CC goes before both.

    Raises:
        UsageError: there is none.
    """
    if target.of_this_machine or os.environ.get("CC"):
        return find_compiler()
    found = shutil.which(target.compiler)
    if found is None:
        raise UsageError(f"no C compiler for {target.name} was found: install {target.compiler}, or name one with CC")
    return _with_extra_flags(_identify((found,)))


def _with_extra_flags(known: Compiler) -> Compiler:
    flags = tuple(_words(EXTRA_FLAGS, os.environ.get(EXTRA_FLAGS, "")))
    if wrong := [flag for flag in flags if flag in INEXACT]:
        raise UsageError(
            f"{EXTRA_FLAGS} has {wrong[0]}, which makes wrong numbers: NaN stands for labels that are missing, and "
            "sums have the order that was chosen for them"
        )
    return replace(known, own_flags=flags)


def _words(variable: str, value: str) -> list[str]:
    """What a variable of the environment holds, as a shell divides it. Raises UsageError where a quote stays open."""
    try:
        return shlex.split(value)
    except ValueError as error:
        raise UsageError(f"{variable} cannot be read ({str(error).lower()}): {value}") from None


def find_compiler() -> Compiler:
    """$CC, else gcc, clang or zig, whichever is there first; $DSLC_CFLAGS are flags that come after all others. Both
    are looked at each time: a process may set them."""
    return _with_extra_flags(first_compiler(os.environ.get("CC", "")))


@cache
def first_compiler(named: str) -> Compiler:
    """What is named, else gcc, clang or zig, whichever is there first.

    Raises:
        UsageError: there is none.
    """
    candidates = [_words("CC", named)] if named else [["gcc"], ["clang"]]
    if not named and importlib.util.find_spec("ziglang"):
        candidates.append([sys.executable, "-m", "ziglang", "cc"])
    for command in candidates:
        found = shutil.which(command[0])
        if found:
            return _identify((found, *command[1:]))
    if named:
        raise UsageError(f"the C compiler that CC names, {named!r}, is not there")
    raise UsageError("no C compiler was found: install gcc (apt install gcc) or clang, or pip install ziglang")


def _identify(command: tuple[str, ...]) -> Compiler:
    """The compiler's version and abilities, kept beside the modules, with a checksum, so that it is asked only once."""
    stat = os.stat(command[0])
    optional = (UNSPLIT_FMA, ON_ALL_CORES) if shutil.which("make") else (UNSPLIT_FMA,)
    asks = f"{command} {stat.st_mtime_ns} {stat.st_size} {FLAGS} {optional} {SEAL!r}"
    key = hashlib.sha256(asks.encode()).hexdigest()[:20]
    known = cache_folder() / f"compiler-{key}"
    if known.exists() and (content := unsealed(known.read_bytes())) is not None:
        flags, _, identity = content.decode().partition("\n")
        return Compiler(command, identity, tuple(flags.split()))
    asked = _run([*command, "--version"])
    identity = f"{command[0]} {asked.stdout.splitlines()[0] if asked.stdout else ''}"
    with tempfile.TemporaryDirectory() as scratch:
        test = Path(scratch) / "test.c"
        test.write_text("int main(void) { return 0; }\n")
        build = [*command, str(test), "-o", str(test.with_suffix(""))]
        known_flags = [flag for group in optional if _run([*build, *group]).returncode == 0 for flag in group]
    with suppress(OSError):  # then it is asked again
        write_whole(known, sealed(f"{' '.join(known_flags)}\n{identity}".encode()))
    return Compiler(command, identity, tuple(known_flags))


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, check=False, text=True, errors="replace", stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise UsageError(f"cannot run the C compiler: {shlex.join(command)}: {error.strerror}") from None


def _compile(source: CSource, target: Target, compiler: Compiler, name: str, path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=path.parent) as scratch:
        folder = Path(scratch)
        kernels, wrapper = folder / f"{source.prefix}.c", folder / f"{name}.c"
        kernels.write_text(source.code)
        python = [f"-I{sysconfig.get_path('include')}", f"-I{sysconfig.get_path('platinclude')}"]
        flags = [*FLAGS, *compiler.spelled(target), *compiler.flags_for(source.code), *compiler.own_flags]
        light = ["-fPIC", "-w", *compiler.own_flags, "-O0"]
        first = _start([*compiler.command, *flags, *WARNINGS, "-c", str(kernels), "-o", str(folder / "kernels.o")])
        ffi = FFI()
        ffi.cdef(source.declarations)
        ffi.set_source(name, source.declarations, compiler_verbose=0)
        ffi.emit_c_code(str(wrapper))
        second = _start([*compiler.command, *light, *python, "-c", str(wrapper), "-o", str(folder / "wrapper.o")])
        _finish(first, second)
        made = folder / path.name
        objects = [str(folder / "kernels.o"), str(folder / "wrapper.o")]
        _finish(_start([*compiler.command, *flags, "-shared", *objects, "-lm", "-o", str(made)]))
        made.write_bytes(sealed(made.read_bytes()))
        made.chmod(made.stat().st_mode & ~0o022)
        os.replace(made, path)


def _start(command: list[str]) -> Running:
    """Begins a command, which runs beside this process.

    Raises:
        CompilerError: it cannot be started.
    """
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace",
        )  # fmt: skip
    except OSError as error:
        raise CompilerError(f"cannot run the C compiler: {error}") from None
    return command, process


def _finish(*running: Running) -> None:
    """Waits for commands.

    Raises:
        CompilerError: one of them failed.
    """
    words = [process.communicate()[0] for _, process in running]
    for (command, process), said in zip(running, words, strict=True):
        if process.returncode:
            raise CompilerError(f"the C compiler failed:\n  {shlex.join(command)}\n{said.strip()}")


def _load(name: str, path: Path) -> ModuleType:
    """Imports a module that is on no path; one thread at a time, since importing an extension takes no lock itself."""
    loader = ExtensionFileLoader(name, str(path))
    with _loading:
        module = module_from_spec(ModuleSpec(name, loader, origin=str(path)))
        loader.exec_module(module)
    return module
