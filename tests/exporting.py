"""Exported networks in programs of their own, compiled as their README says and without a single warning."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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
    dtype = np.float32 if network.precision == "float32" else np.float64
    return {
        p.name: (p.init.sample(rng, p.shape, p.fan_in, p.fan_out) + rng.uniform(-0.1, 0.1, p.shape)).astype(dtype)
        for p in network.parameters
    }


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
        return np.float32 if self.trained.network.precision == "float32" else np.float64

    def compile(self, made: Path, *flags: str, compiler: tuple[str, ...] = ("gcc",)) -> Path:
        """The network as an object or library, by the README's flags and then others."""
        run_compiler(
            *compiler,
            *compile_flags(self.wishes.target, self.wishes.small),
            *STRICT,
            *flags,
            str(self.source),
            "-o",
            str(made),
        )
        return made

    def predict(
        self, x: np.ndarray, *flags: str, compiler: tuple[str, ...] = ("gcc",), emulator: tuple[str, ...] = ()
    ) -> np.ndarray:
        """The outputs of examples, from `exported.c` around the network; `flags` are for compiler and linker."""
        net = self.compile(self.folder / "network.o", "-c", *flags, compiler=compiler)
        real = "float" if self.real is np.float32 else "double"
        names = (f"-DNET={self.prefix}", f"-DUPPER={self.prefix.upper()}", f"-DREAL={real}")
        include = ("-include", str(self.folder / f"{self.prefix}.h"))
        program, given, made = (self.folder / name for name in ("program", "given", "made"))
        run_compiler(*compiler, "-std=gnu99", *flags, *names, *include, str(MAIN), str(net), "-lm", "-o", str(program))
        given.write_bytes(np.ascontiguousarray(x, self.real).tobytes())
        call = [*emulator, str(program), str(self.weights), str(self.wishes.batch), str(given), str(made)]
        done = subprocess.run(call, capture_output=True, text=True, check=False, env={"ASAN_OPTIONS": "detect_leaks=0"})
        assert done.returncode == 0, done.stderr[:4000]
        (head,) = self.trained.network.heads
        return np.fromfile(made, self.real).reshape(len(x), *head.value.shape)

    def library(self) -> ctypes.CDLL:
        """The network as a library of this process."""
        return ctypes.CDLL(str(self.compile(self.folder / f"{self.prefix}.so", "-shared", "-fPIC")))


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
