"""Exported C on other machines, under an emulator, and training watched by sanitizers: against NumPy alone.

`-m neon` needs aarch64-linux-gnu-gcc and qemu-aarch64.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dslc.compiler import check_text
from dslc.export.network import Trained, Wishes
from dslc.export.training import plan_training, trained_buffers
from dslc.export.weights import HEAD_BYTES
from dslc.proofs.reference import Interpreter
from dslc.target import TARGETS, Target, native
from exporting import Export, export, random_parameters, run_compiler, write
from helpers import FORWARD, Arrays, assert_close
from test_export import CASES, DIGITS, GENERIC, PORTABLE, examples, reference

Batches = list[tuple[np.ndarray, np.ndarray]]
MAIN = Path(__file__).with_name("exported_training.c")
DIGITS_CNN = f"{DIGITS}train {{\n  loss cross_entropy\n  optimizer adam(0.003)\n  regularize l2(0.001)\n  batch 8\n}}\n"
RATE = 0.003
AARCH64 = TARGETS["aarch64"]
EMULATED = {"compiler": ("aarch64-linux-gnu-gcc",), "emulator": ("qemu-aarch64",)}


def require_emulator() -> None:
    for program in ("aarch64-linux-gnu-gcc", "qemu-aarch64"):
        if shutil.which(program) is None:
            reason = f"not installed: {program}"
            pytest.fail(reason) if os.environ.get("DSLC_REQUIRE_TARGETS") else pytest.skip(reason)


@pytest.mark.neon
@pytest.mark.parametrize("target", [AARCH64, GENERIC, PORTABLE], ids=lambda target: target.name)
@pytest.mark.parametrize("name", CASES)
def test_predicts_on_aarch64(name: str, target: Target, tmp_path: Path, rng: np.random.Generator) -> None:
    require_emulator()
    exported = export(CASES[name], Wishes(target, 3), tmp_path, rng)
    x = examples(exported, 5, rng)
    found = exported.predict(x, "-static", **EMULATED)
    assert_close(found, reference(exported.trained, x), FORWARD["float32"], name)


def ten_batches(rng: np.random.Generator) -> Batches:
    return [
        (rng.standard_normal((n, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, n).astype(np.int32))
        for n in (8, 8, 3, 8, 8, 1, 8, 8, 8, 8)
    ]


def train(
    exported: Export,
    batches: Batches,
    *flags: str,
    compiler: tuple[str, ...] = ("gcc",),
    emulator: tuple[str, ...] = (),
) -> tuple[np.ndarray, Arrays]:
    """The losses of the steps and the parameters behind them, from the program around the network."""
    folder, prefix = exported.folder, exported.prefix
    network = exported.compile(folder / "network.o", "-c", *flags, compiler=compiler)
    program, given, made = (folder / name for name in ("program", "given", "made"))
    names = (f"-DNET={prefix}", f"-DUPPER={prefix.upper()}", "-DSEED=0")
    include = ("-include", str(folder / f"{prefix}.h"))
    run_compiler(*compiler, "-std=gnu99", *flags, *names, *include, str(MAIN), str(network), "-lm", "-o", str(program))
    given.write_bytes(b"".join(np.int32(len(x)).tobytes() + x.tobytes() + y.tobytes() for x, y in batches))
    command = [*emulator, str(program), str(exported.weights), str(given), str(made)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:4000]
    left = made.read_bytes()
    losses = np.frombuffer(left, np.float32, len(batches))
    image = np.frombuffer(left, np.float32, offset=losses.nbytes + HEAD_BYTES)
    plan = plan_training(exported.trained.network, exported.wishes.target, exported.wishes.batch)
    return losses, {
        name: b.layout.unpack(image[b.offset : b.offset + b.layout.elements])
        for name, b in trained_buffers(plan).items()
    }


def assert_learns_as_numpy(exported: Export, batches: Batches, *flags: str, **how: object) -> None:
    """Ten steps against the interpreter in float64. Adam divides by the size of gradients, which is below rounding for
    some: parameters may differ by a part of what ten steps may move them."""
    losses, parameters = train(exported, batches, *flags, **how)
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
@pytest.mark.parametrize("target", [AARCH64, PORTABLE], ids=lambda target: target.name)
def test_learns_on_aarch64(target: Target, tmp_path: Path, batches: Batches) -> None:
    require_emulator()
    assert_learns_as_numpy(learner(target, tmp_path), batches, "-static", **EMULATED)


@pytest.mark.sanitizers
@pytest.mark.parametrize("target", [PORTABLE, native()], ids=lambda target: target.name)
def test_learning_touches_nothing_else(target: Target, tmp_path: Path, batches: Batches) -> None:
    """On memory to the byte, watched by the address and undefined behavior sanitizers."""
    watched = ("-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    assert_learns_as_numpy(learner(target, tmp_path), batches, *watched)


def learner(target: Target, folder: Path) -> Export:
    network = check_text(DIGITS_CNN)
    trained = Trained(network, random_parameters(network, np.random.default_rng(4)))
    return write(trained, Wishes(target, 8, training=True, embed=False), folder)
