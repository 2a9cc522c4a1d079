"""Exported networks in programs of their own, compiled as their README says and without a single warning."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dslc.compiler import check_text
from dslc.export.companions import compile_flags
from dslc.export.export import export_c
from dslc.export.network import Trained, Wishes
from dslc.ir import Network
from helpers import Arrays

MAIN = Path(__file__).with_name("exported.c")
STRICT = (
    "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wsign-conversion", "-Wdouble-promotion", "-pedantic", "-Werror",
)  # fmt: skip


def random_parameters(network: Network, rng: np.random.Generator) -> Arrays:
    """Fresh parameters off their round values: biases off 0, variances off 1."""
    dtype = np.float32 if network.dtype == "float32" else np.float64
    return {
        p.name: (p.init.sample(rng, p.shape, p.fan_in, p.fan_out) + rng.uniform(-0.1, 0.1, p.shape)).astype(dtype)
        for p in network.parameters
    }


@dataclass(frozen=True)
class Host:
    """What compiles a program and runs it: this machine, an emulated one, or a `board` without a system."""

    compiler: str = "gcc"
    link: tuple[str, ...] = ()
    emulator: tuple[str, ...] = ()
    board: str = ""

    def command(self, program: str, arguments: list[str]) -> list[str]:
        if not self.board:
            return [*self.emulator, program, *arguments]
        files = ",".join(f"arg={argument}" for argument in [program, *arguments])
        semihosting = ["-semihosting-config", f"enable=on,target=native,{files}"]
        return ["qemu-system-arm", "-M", self.board, "-nographic", *semihosting, "-kernel", program]

    def require(self) -> None:
        """Skips the test where a program is not installed; fails it where all must be."""
        emulators = (*self.emulator[:1], *(["qemu-system-arm"] if self.board else []))
        for program in (self.compiler, *emulators):
            if shutil.which(program) is None:
                reason = f"not installed: {program}"
                pytest.fail(reason) if os.environ.get("DSLC_REQUIRE_TARGETS") else pytest.skip(reason)


HERE = Host()
AARCH64 = Host("aarch64-linux-gnu-gcc", ("-static",), ("qemu-aarch64",))
ARMV7 = Host("arm-linux-gnueabihf-gcc", ("-static",), ("qemu-arm",))
RISCV64 = Host("riscv64-linux-gnu-gcc", ("-static",), ("qemu-riscv64",))
WASM = Host(
    "clang",
    ("-Dmemalign=aligned_alloc", "-Wl,-z,stack-size=65536"),
    (sys.executable, str(MAIN.with_name("run_wasm.py"))),
)
NODE = Host("clang", WASM.link, ("node", "--no-warnings", str(MAIN.with_name("run_wasm.mjs"))))


@dataclass(frozen=True)
class Export:
    """An exported network in a folder."""

    trained: Trained
    wishes: Wishes
    folder: Path

    @property
    def prefix(self) -> str:
        return self.trained.prefix

    @property
    def source(self) -> Path:
        return self.folder / f"{self.prefix}.c"

    @property
    def weights(self) -> Path:
        return self.folder / f"{self.prefix}.weights"

    @property
    def real(self) -> type:
        return np.float32 if self.trained.network.dtype == "float32" else np.float64

    def compile(self, made: Path, *flags: str, compiler: str = "gcc") -> Path:
        """The network as an object or library, by the README's flags and then others."""
        wishes = self.wishes
        readme = compile_flags(wishes.target, wishes.small, wishes.threads)
        run_compiler(compiler, *readme, *STRICT, *flags, str(self.source), "-o", str(made))
        return made

    def program(self, main: Path, host: Host, *flags: str) -> Path:
        """The program of a `main` around the network; `flags` are for compiler and linker."""
        net = self.compile(self.folder / "network.o", "-c", *flags, compiler=host.compiler)
        real = "float" if self.real is np.float32 else "double"
        names = (f"-DNET={self.prefix}", f"-DUPPER={self.prefix.upper()}", f"-DREAL={real}", "-DSEED=0")
        include = ("-include", str(self.folder / f"{self.prefix}.h"))
        made = self.folder / "program"
        objects = (str(main), str(net), *host.link, "-lm", "-o", str(made))
        run_compiler(host.compiler, "-std=gnu99", *self.wishes.target.flags, *flags, *names, *include, *objects)
        return made

    def run(self, program: Path, host: Host, *arguments: Path | str) -> None:
        """In the folder of the network, whose files it names briefly: microcontrollers have short command lines."""
        names = [a.name if isinstance(a, Path) else a for a in arguments]
        command = host.command(f"./{program.name}", names)
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, cwd=self.folder, timeout=300
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"[:4000]

    def predict(self, x: np.ndarray, *flags: str, host: Host = HERE) -> np.ndarray:
        """The outputs of examples, from `exported.c` around the network."""
        given, made = self.folder / "given", self.folder / "made"
        given.write_bytes(np.ascontiguousarray(x, self.real).tobytes())
        weights = "-" if self.wishes.embed else self.weights
        self.run(self.program(MAIN, host, *flags), host, weights, str(self.wishes.batch), given, made)
        (head,) = self.trained.network.heads
        return np.fromfile(made, self.real).reshape(len(x), *head.value.shape)

    def outputs(self, xs: Arrays, n: int) -> Arrays:
        """The outputs of a network with any inputs and heads, from a library in this process."""
        network, library = self.trained.network, self.library("-O1")
        given = [np.ascontiguousarray(xs[v.name], self.real) for v in network.inputs]
        made = {h.name: np.zeros((n, *h.value.shape), self.real) for h in network.heads}
        functions = {name: getattr(library, f"{self.prefix}_{name}") for name in ("memory_size", "init", "predict")}
        functions["memory_size"].restype = ctypes.c_size_t
        size = functions["memory_size"](n, 0)
        memory, net = np.zeros(size + 64, np.uint8), ctypes.create_string_buffer(99)
        start = ctypes.c_void_p(-(-memory.ctypes.data // 64) * 64)
        assert functions["init"](net, start, ctypes.c_size_t(size), n, 0, ctypes.c_uint64(0)) == 0
        pointers = [[ctypes.c_void_p(a.ctypes.data) for a in arrays] for arrays in (given, made.values())]
        assert functions["predict"](net, *pointers[0], n, *pointers[1]) == 0
        return made

    def library(self, *flags: str) -> ctypes.CDLL:
        """The network as a library of this process."""
        return ctypes.CDLL(str(self.compile(self.folder / f"{self.prefix}.so", "-shared", "-fPIC", *flags)))


def run_compiler(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr[:4000]}"


def export(text: str, wishes: Wishes, folder: Path, rng: np.random.Generator) -> Export:
    """A network of a text with random parameters, exported."""
    network = check_text(text)
    return write(Trained(network, random_parameters(network, rng)), wishes, folder)


def write(trained: Trained, wishes: Wishes, folder: Path) -> Export:
    """The files of an export in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, contents in export_c(trained, wishes).files.items():
        (folder / name).write_bytes(contents)
    return Export(trained, wishes, folder)
