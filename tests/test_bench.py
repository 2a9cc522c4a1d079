"""`dslc bench` and `train --profile`: the times are of the right kernels, and only what computes the same is timed."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest

from dslc.cli.main import run
from dslc.compiler import check_text
from dslc.runtime.bench.contender import Unknown
from dslc.runtime.bench.machine import Limits
from dslc.runtime.bench.profile import Spent, profile_of, shares
from dslc.runtime.bench.report import moved_weights
from dslc.runtime.bench.timed import TimedModel, restart, timings
from dslc.runtime.bench.turns import difference
from dslc.runtime.bench.worker import Server
from dslc.runtime.data.random import random_batch
from dslc.runtime.model import Model

NET = """net Timed {
  input image: 8x8x2
  conv(4, 3x3, pad=same) -> batchnorm -> relu -> maxpool(2)
  dropout(0.5)
  flatten
  dense(5) -> softmax
}
train {
  loss cross_entropy
  optimizer adamw(lr=0.01)
  batch 6
  epochs 1
}
"""


@pytest.fixture(scope="module")
def timed() -> TimedModel:
    """Ten steps of training, measured."""
    model = TimedModel(check_text(NET), 1)
    x, y = (next(iter(arrays.values())) for arrays in random_batch(model.network, 6, 0))
    restart(model)
    for _ in range(10):
        model.train_step(x, y)
    return model


def test_every_kernel_of_training_is_timed(timed: TimedModel) -> None:
    """And no others; together they take no longer than the calls."""
    found = timings(timed)
    assert all(t.seconds > 0 for t in found if t.lap.step == "train")
    assert not any(t.seconds for t in found if t.lap.step == "predict")
    x, y = (next(iter(arrays.values())) for arrays in random_batch(timed.network, 6, 0))
    before, start = sum(t.seconds for t in found), time.perf_counter()
    timed.train_step(x, y)
    assert 0 < sum(t.seconds for t in timings(timed)) - before < time.perf_counter() - start


def test_layers_have_the_work_of_their_kernels(timed: TimedModel) -> None:
    """Multiply-adds by hand: 6 examples, 64 places, 4 filters of 9 * 2 numbers; the first layer has no gradient of its
    input."""
    found = profile_of(timed.plan, timings(timed), "train", 10, 6)
    conv = 6 * 64 * 4 * 9 * 2
    assert found.of("conv1", "forward").multiply_adds == found.of("conv1", "backward").multiply_adds == conv
    assert found.of("dense1", "forward").multiply_adds == 6 * 64 * 5
    assert found.of("dense1", "backward").multiply_adds == 2 * 6 * 64 * 5
    assert {s.kind for s in found.spent} == {"forward", "backward", "update"}
    assert set(found.layers) | set(found.inside) >= {node.name for node in timed.network.nodes}
    assert found.of("dense1", "forward").bytes >= 4 * (6 * 64 + 64 * 5 + 5 + 6 * 5)


def test_shares_of_the_machine() -> None:
    assert shares(Spent("a", "forward", 0.5, 100, 40), Limits(1000.0, 160.0, 1)) == (0.2, 0.5)


def test_the_same_bits(timed: TimedModel) -> None:
    """Where kernels are timed nothing else changes."""
    plain = Model(timed.network, 1)
    x, y = (next(iter(arrays.values())) for arrays in random_batch(plain.network, 6, 0))
    twin = TimedModel(timed.network, 1)
    assert [plain.train_step(x, y) for _ in range(3)] == [twin.train_step(x, y) for _ in range(3)]
    assert np.array_equal(plain.predict(x), twin.predict(x))


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param("torch", marks=pytest.mark.torch), "jax", "onnxruntime"])
def test_rivals_compute_the_same(name: str) -> None:
    """Outputs and losses, and a change of one parameter is found."""
    pytest.importorskip(name)
    network = check_text(NET)
    weights, servers = moved_weights(network), [Server("dslc", 1), Server(name, 1)]
    other = weights | {"dense1.bias": weights["dense1.bias"] + np.float32([5, 0, 0, 0, 0])}
    for server in servers:
        server.read(NET, "float32")
    for job in ("predict", "train") if name != "onnxruntime" else ("predict",):
        ours, theirs = (server.results(job, 6, weights) for server in servers)
        assert difference(ours, theirs) < 1e-4
        assert difference(ours, servers[1].results(job, 6, other)) > 1e-3


@pytest.mark.torch
def test_what_is_not_translated_is_told() -> None:
    pytest.importorskip("torch")
    server = Server("torch", 1)
    server.read(NET.replace("adamw(lr=0.01)", "rmsprop(lr=0.01)"), "float32")
    with pytest.raises(Unknown, match="the optimizer rmsprop"):
        server.results("train", 6, moved_weights(server.network))


@pytest.mark.slow
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table by size of batch, by layer, and a page with all of it; a rival in a process of its own."""
    spec, page = tmp_path / "timed.net", tmp_path / "bench.html"
    spec.write_text(NET)
    call = ["bench", str(spec), "--rivals", "onnxruntime", "--seconds", "0.01", "--rounds", "1", "-o", str(page)]
    assert run(call) == 0
    said = capsys.readouterr().out
    assert re.search(r"^6 +[\d,.]+ +[\d,.]+ \([\d.]+x\)$", said, re.MULTILINE)  # prediction, and how many times ours
    assert re.search(r"^conv1 +[\d,.]+ +[\d,.]+ +[\d,.]+ +[\d.]+% +\d+% +\d+%$", said, re.MULTILINE)
    assert "ONNX Runtime, train: training is not translated" in said
    assert "time by layer and pass" in page.read_text()


def test_bad_calls(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "mlp", "--batches", "1,x"]) == 2
    assert run(["bench", "mlp", "--rivals", "tensorflow"]) == 2
    assert run(["bench", "mlp", "-o", "a.txt"]) == 2
    assert "--batches wants sizes" in capsys.readouterr().err


def test_train_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table of all steps, and a page in the run."""
    spec, data = tmp_path / "timed.net", tmp_path / "data.npz"
    spec.write_text(NET)
    x, y = (next(iter(arrays.values())) for arrays in random_batch(check_text(NET), 60, 0))
    np.savez(data, x=x, y=y)
    run_folder = tmp_path / "run"
    assert run(["train", str(spec), "--data", str(data), "--run", str(run_folder), "--profile", "--threads", "1"]) == 0
    assert re.search(r"a training step of 6 examples, the mean of 9", capsys.readouterr().out)
    assert "conv1" in (run_folder / "profile.html").read_text()
