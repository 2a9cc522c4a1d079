"""Exported C on other machines, under an emulator, and training watched by sanitizers: against NumPy alone.

`-m neon` needs aarch64-linux-gnu-gcc, arm-linux-gnueabihf-gcc and qemu-user, `-m devices` arm-none-eabi-gcc and
qemu-system-arm; `make devices` installs them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from dslc.compiler import check_text
from dslc.export.companions import LEFT_OUT
from dslc.export.network import Trained, Wishes
from dslc.export.report import PREDICTS, footprint
from dslc.export.training import plan_training, trained_buffers
from dslc.export.weights import HEAD_BYTES
from dslc.proofs.reference import Interpreter
from dslc.target import TARGETS, Target, native
from exporting import (
    AARCH64,
    ARMV7,
    HERE,
    NODE,
    RISCV64,
    WASM,
    Export,
    Host,
    export,
    random_parameters,
    run_compiler,
    write,
)
from helpers import FORWARD, Arrays, assert_close
from test_export import CASES, DIGITS, GENERIC, PORTABLE, examples, reference

Batches = list[tuple[np.ndarray, np.ndarray]]
MAIN = Path(__file__).with_name("exported_training.c")
DIGITS_CNN = f"{DIGITS}train {{\n  loss cross_entropy\n  optimizer adam(0.003)\n  regularize l2(0.001)\n  batch 8\n}}\n"
RATE = 0.003
NEON = TARGETS["aarch64"]


@dataclass(frozen=True)
class Board:
    """A microcontroller as qemu-system-arm emulates it, with bytes of flash and of RAM."""

    target: str
    name: str
    flash: int
    ram: int

    @property
    def host(self) -> Host:
        """Programs start by cortex_m.c, and reach files of this machine by semihosting."""
        sizes = f"-Wl,--defsym=FLASH_BYTES={self.flash},--defsym=RAM_BYTES={self.ram}"
        start = (str(MAIN.with_name("cortex_m.c")), "-T", str(MAIN.with_name("cortex_m.ld")))
        return Host("arm-none-eabi-gcc", ("--specs=rdimon.specs", sizes, *start), board=self.name)


BOARDS = (
    Board("cortex-m3", "lm3s6965evb", 256 << 10, 64 << 10),
    Board("cortex-m4", "mps2-an386", 4 << 20, 4 << 20),
    Board("cortex-m7", "mps2-an500", 4 << 20, 4 << 20),
)


@pytest.mark.neon
@pytest.mark.parametrize("target", [NEON, GENERIC, PORTABLE], ids=lambda target: target.name)
@pytest.mark.parametrize("name", CASES)
def test_predicts_on_aarch64(name: str, target: Target, tmp_path: Path, rng: np.random.Generator) -> None:
    AARCH64.require()
    exported = export(CASES[name], Wishes(target, 3), tmp_path, rng)
    x = examples(exported, 5, rng)
    assert_close(exported.predict(x, host=AARCH64), reference(exported.trained, x), FORWARD["float32"], name)


@pytest.mark.neon
@pytest.mark.parametrize("target", [TARGETS["armv7"], PORTABLE], ids=lambda target: target.name)
@pytest.mark.parametrize("name", CASES)
def test_predicts_on_armv7(name: str, target: Target, tmp_path: Path, rng: np.random.Generator) -> None:
    """Addresses of 32 bits."""
    ARMV7.require()
    exported = export(CASES[name], Wishes(target, 3), tmp_path, rng)
    x = examples(exported, 5, rng)
    assert_close(exported.predict(x, host=ARMV7), reference(exported.trained, x), FORWARD["float32"], name)


EMULATED = ((RISCV64, TARGETS["riscv64"]), (WASM, TARGETS["wasm"]), (NODE, TARGETS["wasm"]))


def require(host: Host) -> None:
    """For WebAssembly there is no program to look for, but a package and the files of a C library."""
    host.require()
    if host is WASM:
        pytest.importorskip("wasmtime")


@pytest.mark.neon
@pytest.mark.parametrize(("host", "target"), EMULATED, ids=lambda part: getattr(part, "name", ""))
@pytest.mark.parametrize("name", CASES)
def test_predicts_elsewhere(host: Host, target: Target, name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """On RISC-V, and in WebAssembly under wasmtime and node."""
    require(host)
    exported = export(CASES[name], Wishes(target, 3), tmp_path, rng)
    x = examples(exported, 5, rng)
    assert_close(exported.predict(x, host=host), reference(exported.trained, x), FORWARD["float32"], name)


def ten_batches(rng: np.random.Generator) -> Batches:
    return [
        (rng.standard_normal((n, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, n).astype(np.int32))
        for n in (8, 8, 3, 8, 8, 1, 8, 8, 8, 8)
    ]


def train(exported: Export, batches: Batches, *flags: str, host: Host) -> tuple[np.ndarray, Arrays]:
    """The losses of the steps and the parameters behind them, from the program around the network."""
    given, made = exported.folder / "given", exported.folder / "made"
    given.write_bytes(b"".join(np.int32(len(x)).tobytes() + x.tobytes() + y.tobytes() for x, y in batches))
    exported.run(exported.program(MAIN, host, *flags), host, exported.weights, given, made)
    left = made.read_bytes()
    losses = np.frombuffer(left, np.float32, len(batches))
    image = np.frombuffer(left, np.float32, offset=losses.nbytes + HEAD_BYTES)
    plan = plan_training(
        exported.trained.network, exported.wishes.target, exported.wishes.batch, exported.wishes.direct
    )
    return losses, {
        name: b.layout.unpack(image[b.offset : b.offset + b.layout.elements])
        for name, b in trained_buffers(plan).items()
    }


def assert_learns_as_numpy(exported: Export, batches: Batches, *flags: str, host: Host = HERE) -> None:
    """Ten steps against the interpreter in float64. Adam divides by the size of gradients, which is below rounding for
    some: parameters may differ by a part of what ten steps may move them."""
    losses, parameters = train(exported, batches, *flags, host=host)
    start = exported.trained.parameters
    interpreter = Interpreter(exported.trained.network, {n: a.astype(np.float64) for n, a in start.items()})
    wanted = [interpreter.train_step({"image": x.astype(np.float64)}, {"output": y}, RATE) for x, y in batches]
    assert_close(losses, np.array(wanted), 1e-4, "losses")
    for name, array in interpreter.parameters.items():
        apart, moved = np.abs(parameters[name] - array), np.abs(array - start[name])
        assert moved.mean() > RATE, f"{name} has hardly moved"
        assert np.quantile(apart, 0.95) < 0.01 * moved.mean() and apart.max() < 10 * RATE, name


@pytest.fixture(scope="module")
def batches() -> Batches:
    return ten_batches(np.random.default_rng(11))


@pytest.mark.neon
@pytest.mark.parametrize(
    ("host", "target"),
    [(AARCH64, NEON), (AARCH64, PORTABLE), *EMULATED],
    ids=lambda part: getattr(part, "name", ""),
)
def test_learns_elsewhere(host: Host, target: Target, tmp_path: Path, batches: Batches) -> None:
    require(host)
    assert_learns_as_numpy(learner(target, tmp_path), batches, host=host)


@pytest.mark.sanitizers
@pytest.mark.parametrize("target", [PORTABLE, native()], ids=lambda target: target.name)
def test_learning_touches_nothing_else(target: Target, tmp_path: Path, batches: Batches) -> None:
    """On memory to the byte, watched by the address and undefined behavior sanitizers."""
    watched = ("-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    assert_learns_as_numpy(learner(target, tmp_path), batches, *watched)


@pytest.mark.devices
@pytest.mark.parametrize("small", [False, True], ids=["speed", "size"])
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.target)
def test_predicts_on_microcontrollers(board: Board, small: bool, tmp_path: Path, rng: np.random.Generator) -> None:
    """Bare metal, with the weights in flash: no system, and 64 KB of memory on the smallest."""
    board.host.require()
    exported = export(DIGITS, Wishes(TARGETS[board.target], small=small, embed=True), tmp_path, rng)
    x = examples(exported, 3, rng)
    assert_close(exported.predict(x, host=board.host), reference(exported.trained, x), FORWARD["float32"], board.name)


@pytest.mark.devices
def test_the_report_is_that_of_the_linker(tmp_path: Path, rng: np.random.Generator) -> None:
    """Code and constants of a program that predicts, section by section, as the linker's map has them."""
    board = BOARDS[2]
    board.host.require()
    exported = export(DIGITS, Wishes(TARGETS[board.target], small=True, embed=True), tmp_path, rng)
    (tmp_path / "least.c").write_text(
        '#include "digits.h"\nint main(void)\n{\n    static float memory[9999], x[64], out[10];\n    digits_t net;\n'
        "    const size_t size = digits_memory_size(1, 0);\n"
        "    return digits_init(&net, memory, size, 1, 0, 0) || digits_predict(&net, x, 1, out);\n}\n"
    )
    network = exported.compile(tmp_path / "network.o", "-c", compiler=board.host.compiler)
    flags = (*exported.wishes.target.flags, *board.host.link, LEFT_OUT, f"-Wl,-Map={tmp_path}/map")
    run_compiler(board.host.compiler, str(tmp_path / "least.c"), str(network), *flags, "-o", str(tmp_path / "least"))
    linked = (tmp_path / "map").read_text().partition("Linker script and memory map")[2]
    found = re.findall(r"^ \.(text|rodata)\S*\s+0x\w+\s+(0x\w+) \S*network\.o$", linked, re.MULTILINE)
    sizes = {kind: sum(int(size, 16) for k, size in found if k == kind) for kind in ("text", "rodata")}
    code, header = ((tmp_path / f"digits.{kind}").read_text() for kind in "ch")
    report = footprint(code, header, "digits", exported.wishes.target, True, PREDICTS)
    assert report is not None
    assert (report.text, report.constants) == (sizes["text"], sizes["rodata"])
    assert report.text < 2800


@pytest.mark.devices
@pytest.mark.parametrize("board", BOARDS[1:], ids=lambda board: board.target)
def test_learns_on_microcontrollers(board: Board, tmp_path: Path, batches: Batches) -> None:
    board.host.require()
    assert_learns_as_numpy(learner(TARGETS[board.target], tmp_path), batches, host=board.host)


def learner(target: Target, folder: Path) -> Export:
    network = check_text(DIGITS_CNN)
    trained = Trained(network, random_parameters(network, np.random.default_rng(4)))
    return write(trained, Wishes(target, 8, training=True, embed=False), folder)
