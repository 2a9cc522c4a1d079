"""`precision mixed`: products of dense layers in bf16, with the same rounding of operands on every machine."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc import bf16, target
from dslc.compiler import check_text
from dslc.export.network import Wishes
from dslc.proofs.flips import flips, with_exact_products
from dslc.proofs.reference import Interpreter
from dslc.proofs.verify import verify
from dslc.runtime.model import Model
from dslc.runtime.training.cautions import slow_products
from dslc.target import TARGETS, Target, native
from exporting import export
from helpers import FORWARD, MIXED, WIDTHS, assert_all_close, assert_close, data, interpreter, runs, spoil_memory

FIRST = ("dense1", "dense3", "dense5")

LARGE = """net Large {
  input x: 130
  dense(257) -> relu -> dropout(0.2)
  dense(203) -> tanh
  dense(10) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(lr=0.01)
  regularize l2(0.01)
  batch 65
  precision mixed
}
"""


def test_rounds_to_the_nearest() -> None:
    """Against the neighbours in exact arithmetic: 8 bits of fraction, ties to even."""
    rng = np.random.default_rng(1)
    x = (rng.standard_normal(4000) * 10.0 ** rng.integers(-30, 30, 4000)).astype(np.float32)
    x[:64] = 1 + np.arange(64) / 256  # every other one is in the middle between two
    fraction, exponent = np.frexp(x.astype(np.float64))
    nearest = np.ldexp(np.rint(fraction * 256), exponent - 8)
    assert np.array_equal(bf16.rounded(x), nearest.astype(np.float32))
    special = np.array([np.inf, -np.inf, -0.0, 0.0, 3.4e38, np.nan], np.float32)
    wanted = np.array([np.inf, -np.inf, -0.0, 0.0, np.inf, np.nan], np.float32)
    assert np.array_equal(bf16.rounded(special), wanted, equal_nan=True)
    assert np.signbit(bf16.rounded(special))[2]
    full = np.array([0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001], np.uint32).view(np.float32)
    assert np.isnan(bf16.rounded(full)).all()


def on_a_grid(array: np.ndarray) -> np.ndarray:
    """Multiples of an eighth, whose products have an exact sum in float32: it is the same number in NumPy and in C, so
    that both round it alike."""
    return np.clip(np.round(8 * array), -16, 16) / 8


@pytest.fixture(scope="module", params=[*WIDTHS, native()], ids=lambda machine: machine.name)
def odd(request: pytest.FixtureRequest) -> Model:
    """The network with first layers on a grid, compiled for every number of lanes."""
    machine: Target = request.param
    if machine != native() and not runs(machine):
        pytest.skip(f"this CPU does not run {machine.name}")
    model = Model(check_text(MIXED), target=machine)
    rng = np.random.default_rng(7)
    for name, view in model.parameters.items():
        array = rng.standard_normal(view.shape)
        model.parameters[name] = on_a_grid(array) if name.split(".")[0] in FIRST else array / np.sqrt(view.shape[-1])
    return model


@pytest.mark.parametrize("n", [1, 2, 11])
def test_as_in_numpy(odd: Model, n: int) -> None:
    """Predictions, losses, gradients and a step, within float32's rounding of sums; without the rounding of operands
    none of them would be."""
    rng, start = np.random.default_rng(n), odd.copy_weights()
    xs, ys = data(odd.network, n, rng, "float32")
    xs, reference = {name: on_a_grid(x) for name, x in xs.items()}, interpreter(odd)
    spoil_memory(odd)
    found = odd.predict(xs)
    assert_all_close(found, reference.predict(xs), FORWARD["float32"])
    loss, gradients, _ = reference.loss_and_gradients(xs, ys)
    spoil_memory(odd)
    assert_close(odd.loss(xs, ys), loss, FORWARD["float32"], "loss")
    spoil_memory(odd)
    made = odd.gradients(xs, ys)
    assert_all_close(made, gradients, FORWARD["float32"])
    spoil_memory(odd)
    odd.train_step(xs, ys)
    reference.train_step(xs, ys, odd.learning_rate(0))
    assert_all_close(odd.copy_weights(), reference.parameters, FORWARD["float32"])
    for name, array in start.items():
        odd.parameters[name] = array
    exact = replace(interpreter(odd), network=with_exact_products(odd.network))
    _, unrounded, _ = exact.loss_and_gradients(xs, ys)
    for name in ("of_a", "of_s", "of_c"):
        assert differs(found[name], exact.predict(xs)[name])
    for name in ("dense1.weight", "dense2.weight", "dense3.weight", "dense4.weight", "dense6.weight"):
        assert differs(made[name], unrounded[name]), name


def differs(found: np.ndarray, exact: np.ndarray) -> bool:
    return bool(np.abs(found - exact).max() > 10 * FORWARD["float32"] * np.abs(exact).max())


def test_what_is_not_finite_stays_so(odd: Model) -> None:
    """A weight that is not a number, with all bits set that rounding could carry into the sign, and one that rounds to
    infinity."""
    start = odd.parameters["dense2.weight"].numpy()
    spoiled = start.copy()
    spoiled[0, 20] = np.array([0x7FFFFFFF], np.uint32).view(np.float32)[0]
    spoiled[1, 3] = 3.4e38
    odd.parameters["dense2.weight"] = spoiled
    xs = {value.name: np.ones((2, *value.shape), np.float32) for value in odd.network.inputs}
    made = odd.predict(xs)["of_a"]
    odd.parameters["dense2.weight"] = start
    assert np.isnan(made[:, 0]).all() and np.isinf(made[:, 1]).all() and np.isfinite(made[:, 2]).all()


@pytest.fixture(scope="module")
def large() -> Model:
    """The large network for one thread."""
    return dslc.loads(LARGE, threads=1)


def test_the_same_bits_with_any_number_of_threads(large: Model, rng: np.random.Generator) -> None:
    models = {1: large.copy(), **{threads: dslc.loads(LARGE, threads=threads) for threads in (2, 3)}}
    x, y = rng.standard_normal((65, 130)).astype(np.float32), rng.integers(0, 10, 65)
    results = set()
    for threads, model in models.items():
        assert model.plan.threads == threads
        shared = {k.operation.kind for k in model.plan.step("train").kernels if k.parallel}
        assert threads == 1 or shared > {"bf16_product", "bf16_weight_gradient"}
        losses = [model.train_step(x[:n], y[:n]) for n in (65, 64, 7)]
        weights = b"".join(w.tobytes() for w in model.copy_weights().values())
        results.add((*losses, weights, model.predict(x).tobytes(), model.predict(x[:1]).tobytes()))
    assert len(results) == 1


def test_verify_knows_what_may_be_rounded_apart(large: Model) -> None:
    """It allows for operands near the middle between two bf16 numbers, and finds what is wrong by more."""
    assert all(row.ok for row in verify(large, 9))
    start = large.copy_weights()
    large.parameters["dense3.weight"] = 1.01 * start["dense3.weight"]
    reference = replace(interpreter(large), parameters={n: a.astype(np.float64) for n, a in start.items()})
    x, y = data(large.network, 9, np.random.default_rng(0), "float32")
    (allowed,) = flips(reference, x, y, 1e-5, 0)[0].values()
    off = np.abs(large.predict(x) - reference.predict(x)["output"]).max()
    large.parameters["dense3.weight"] = start["dense3.weight"]
    assert 0 < np.abs(large.predict(x) - reference.predict(x)["output"]).max() < allowed < off


def test_a_network_of_mixed_precision_is_one_everywhere(large: Model, tmp_path: Path) -> None:
    """Its text and its settings: copies, pickles, checkpoints, overrides; float64 has exact products."""
    network = check_text(MIXED)
    assert (network.precision, network.dtype) == ("mixed", "float32")
    plain = MIXED.replace("precision mixed", "")
    for same in (check_text(plain, {"precision": "mixed"}), check_text(plain, dtype="mixed")):
        assert [node.layer for node in same.nodes] == [node.layer for node in network.nodes]
    assert "in bf16" in network.nodes[0].layer.formula(network.nodes[0].input_shapes)
    assert [node.layer for node in check_text(MIXED, dtype="float64").nodes] == [
        n.layer for n in check_text(plain).nodes
    ]
    x = np.random.default_rng(2).standard_normal((3, 130)).astype(np.float32)
    large.checkpoint(tmp_path / "checkpoint")
    resumed = dslc.loads(LARGE.replace("mixed", "float32"), dtype="mixed", threads=1)
    resumed.resume(tmp_path / "checkpoint")
    for other in (pickle.loads(pickle.dumps(large)), large.copy(), resumed):
        assert other.network.precision == "mixed"
        assert np.array_equal(other.predict(x), large.predict(x))


def test_fit_warns_where_it_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    network = check_text(MIXED)
    monkeypatch.setattr(target, "_cpu_flags", lambda: frozenset({"avx512f", "avx512_bf16"}))
    assert slow_products(network) is None
    monkeypatch.setattr(target, "_cpu_flags", lambda: frozenset({"avx512f"}))
    assert "no instruction for products in bf16" in str(slow_products(network))
    assert slow_products(check_text(MIXED, dtype="float32")) is None


@pytest.mark.parametrize("machine", [TARGETS["c99"], native()], ids=lambda machine: machine.name)
def test_exported_with_the_same_rounding(machine: Target, tmp_path: Path, rng: np.random.Generator) -> None:
    """The C that another program runs rounds operands too, and has its weights as pairs, also where they are in the
    source."""
    train = "train {\n  loss mse\n  optimizer sgd(0.1)\n  precision mixed\n}\n"
    text = MIXED[: MIXED.index("  input s")] + "  dense(21) -> dense(3)\n}\n" + train
    exported = export(text, Wishes(machine, 4, embed=machine.vector_bytes == 0), tmp_path, rng)
    x = rng.standard_normal((7, 37)).astype(np.float32)
    known = {name: array.astype(np.float64) for name, array in exported.trained.parameters.items()}
    network = exported.trained.network
    wanted = Interpreter(network, known).predict({"a": x.astype(np.float64)})["output"]
    unrounded = Interpreter(with_exact_products(network), known).predict({"a": x.astype(np.float64)})["output"]
    assert_close(exported.predict(x, "-O1"), wanted, FORWARD["float32"], machine.name)
    assert differs(wanted, unrounded)
