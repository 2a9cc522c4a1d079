"""Model, fit, data and weights, as a person calls them."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import dslc
from dslc import free_memory
from dslc.cli.summary import summarize
from dslc.language.diagnostics import DataError
from dslc.runtime.model import Model
from dslc.runtime.training.divergence import Diverged
from helpers import REPO

SMALL = """
net Small {
  input x: 6
  dense(9) -> tanh
  dense(3) -> softmax
}
train {
  loss      cross_entropy
  optimizer adam(lr=0.01)
  batch     %s
  epochs    4
  seed      3
}
"""


def small(batch: object = 8) -> Model:
    return dslc.loads(SMALL % batch)


def learnable(count: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """Three classes that a small network can tell apart."""
    random = np.random.default_rng(0)
    y = random.integers(0, 3, count)
    return random.standard_normal((count, 6)) + 2 * np.eye(6)[y], y


def test_fit_learns_and_records_every_epoch() -> None:
    x, y = learnable()
    model = small()
    history = model.fit(x, y, dev=(x[:20], y[:20]), epochs=30)
    assert model.evaluate(x, y)["accuracy"] > 0.9
    assert [record["epoch"] for record in history.records] == list(range(1, 31))
    assert set(history.to_dict()) == {"epoch", "loss", "dev_loss", "dev_accuracy", "lr", "seconds"}
    assert model.step == 30 * 13, "100 examples in mini-batches of 8: twelve whole ones and a last of four"


def test_fit_is_train_step_over_shuffled_batches() -> None:
    """One epoch equals the same mini-batches given by hand, the last smaller one included."""
    x, y = learnable(21)
    whole, by_hand = small(), small()
    whole.fit(x, y, epochs=1)
    order = np.random.Generator(np.random.Philox(key=[3, 1 << 32])).permutation(21)
    for start in range(0, 21, 8):
        at = order[start : start + 8]
        by_hand.train_step(x[at], y[at])
    for name, view in whole.parameters.items():
        np.testing.assert_array_equal(view.numpy(), by_hand.parameters[name].numpy())


def test_batch_all_takes_the_whole_set_in_one_step() -> None:
    x, y = learnable(150)
    model = small("all")
    before = model.copy_weights()
    np.testing.assert_array_equal(before["dense1.weight"], small().parameters["dense1.weight"].numpy())
    model.fit(x, y, epochs=2)
    assert (model.batch, model.step) == (150, 2)


def test_the_best_weights_are_kept() -> None:
    x, y = learnable(60)
    text = (SMALL % 8).replace("seed", "stop early(patience=2)\n  seed").replace("0.01", "1.5")
    model = dslc.loads(text)
    history = model.fit(x, y, dev=(x[:20], y[:20]), epochs=40)
    best = min(history.records, key=lambda record: record["dev_loss"])
    assert history.best_epoch == best["epoch"]
    assert model.evaluate(x[:20], y[:20])["loss"] == pytest.approx(best["dev_loss"])


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A process that was started in the background may ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_interrupt_ends_training_cleanly(interruptible: None) -> None:
    x, y = learnable(5000)
    model = small()
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    assert model.fit(x, y, epochs=10**6).stopped == "interrupted"
    assert np.isfinite(model.parameters["dense1.weight"].numpy()).all()


def test_a_loss_that_is_not_finite_updates_nothing() -> None:
    text = (SMALL % 8).replace("adam(lr=0.01)", "sgd(lr=1e38)").replace("tanh", "relu")
    model = dslc.loads(text)
    x, y = learnable()
    with pytest.warns(Diverged, match="not finite"):
        history = model.fit(100 * x, y, epochs=5)
    assert history.stopped == "diverged"
    fresh = small()
    fresh.parameters["dense1.weight"][0, 0] = np.nan
    before = {name: view.numpy() for name, view in fresh.parameters.items()}
    assert np.isnan(fresh.train_step(x[:4], y[:4])) and fresh.step == 0
    for name, view in fresh.parameters.items():
        np.testing.assert_array_equal(view.numpy(), before[name])


def test_parameters_are_live() -> None:
    model = small()
    x, _ = learnable(4)
    for name in ("dense2.weight", "dense2.bias"):
        model.parameters[name][...] = 0
    model.parameters["dense2.bias"][1] = 5
    expected = np.exp([0, 5, 0]) / np.exp([0, 5, 0]).sum()
    np.testing.assert_allclose(model.predict(x), np.tile(expected, (4, 1)), rtol=1e-5)
    assert model.parameters["dense1.weight"].shape == (9, 6)
    with pytest.raises(ValueError, match="shape"):
        model.parameters["dense2.bias"] = np.zeros(4)


def test_what_was_read_cannot_be_written() -> None:
    """It is a copy: writing to it would change nothing. What NumPy is given to keep, and `numpy()`, may be."""
    weight = small().parameters["dense1.weight"]
    weight[...] = 1
    for read in (weight[0], weight[...], weight[1:, :], np.asarray(weight)):
        with pytest.raises(ValueError, match="read-only"):
            read[0] = 5
    with pytest.raises(ValueError, match="read-only"):
        weight[...].fill(5)
    with pytest.raises(ValueError, match="copy"):
        weight.__array__(copy=False)
    for own in (weight.numpy(), np.array(weight), weight[...].copy()):
        own[0] = 5
        own += 1
        assert own[0, 0] == 6 and weight[0, 0] == 1


def test_operators_in_place_write() -> None:
    weight = small().parameters["dense1.weight"]
    weight[...] = 1
    weight[...] += 1
    weight[0] *= 4
    weight[0, 1] -= 3
    weight[1:] /= 2
    weight[0] **= 2
    np.testing.assert_array_equal(weight[:2, :2], [[64, 25], [1, 1]])
    assert type(weight[...] * 2) is np.ndarray and np.isscalar(weight[...].max())


def test_gradients_and_evaluate_change_nothing() -> None:
    model = dslc.load(REPO / "specs" / "mlp_batchnorm.net")
    before = model.copy_weights()
    random = np.random.default_rng(0)
    x, y = random.standard_normal((16, 784)), random.integers(0, 10, 16)
    model.gradients(x, y)
    model.evaluate(x, y)
    model.predict(x)
    for name, array in before.items():
        np.testing.assert_array_equal(model.parameters[name].numpy(), array)


def test_evaluate_of_a_few_examples() -> None:
    """A convolution with one example a lane predicts few examples by other code: `evaluate` must judge its own logits.
    The loss against its formula in NumPy, for whole mini-batches and for rests of every length."""
    text = SMALL.replace("x: 6", "x: 8x8x1").replace("dense(9) -> tanh", "conv(3, 3x3) -> tanh\n  flatten") % 16
    model = dslc.loads(text)
    random = np.random.default_rng(0)
    x, y = random.random((33, 8, 8, 1)), random.integers(0, 3, 33)
    right = model.predict(x).astype(np.float64)[np.arange(33), y]
    assert any(phase.name == "small_batch" for phase in model.plan.graph.predict.phases)
    for count in range(1, 34):
        wanted = -np.log(right[:count]).mean()
        assert model.evaluate(x[:count], y[:count])["loss"] == pytest.approx(wanted, rel=1e-5), count


def test_weights_come_back(tmp_path: Path) -> None:
    x, y = learnable()
    model, other = small(), dslc.loads(SMALL.replace("seed      3", "seed      4") % 8)
    model.fit(x, y)
    model.save(tmp_path / "m.safetensors")
    assert not np.array_equal(model.predict(x), other.predict(x))
    other.load_weights(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(model.predict(x), other.predict(x))
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    small().save(tmp_path / "m.safetensors")
    wider = dslc.loads((SMALL % 8).replace("dense(3)", "dense(4)"))
    before = wider.parameters["dense1.weight"].numpy()
    with pytest.raises(DataError, match=r"dense2.weight has the shape \(3, 9\) in the file and \(4, 9\)"):
        wider.load_weights(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(wider.parameters["dense1.weight"].numpy(), before)
    wider.parameters["dense1.weight"][...] = 0
    assert wider.load_weights(tmp_path / "m.safetensors", only=["dense1"]) == []
    np.testing.assert_array_equal(wider.parameters["dense1.weight"].numpy(), before)
    wider.parameters["dense1.weight"][...] = 0
    assert wider.load_weights(tmp_path / "m.safetensors", strict=False) == [
        "dense2.weight has the shape (3, 9) in the file and (4, 9) in the network",
        "dense2.bias has the shape (3,) in the file and (4,) in the network",
    ]
    np.testing.assert_array_equal(wider.parameters["dense1.weight"].numpy(), before)
    with pytest.raises(DataError, match="no layer"):
        wider.load_weights(tmp_path / "m.safetensors", only=["dense9"])
    more = {"dense1.weight": before, "dense1.bias": before[:, 0].copy(), "dense1.gain": before[:, 1].copy()}
    save_file(more, tmp_path / "more.safetensors")
    with pytest.raises(DataError, match=r"dense1\.gain"):
        wider.load_weights(tmp_path / "more.safetensors", only=["dense1"])
    (tmp_path / "bad").write_bytes(b"\xff" * 100)
    with pytest.raises(DataError, match="cannot read"):
        wider.load_weights(tmp_path / "bad")


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.zeros((4, 5)), np.zeros(4), r"expected the shape \(n, 6\), found \(4, 5\)"),
        (np.full((4, 6), np.nan), np.zeros(4), "not finite"),
        (np.zeros((4, 6)), np.zeros(3), "4 examples in x, but 3 targets"),
        (np.zeros((4, 6)), np.full(4, 3), "classes go from 0 to 2"),
        (np.zeros((4, 6)), np.full(4, -1), "classes go from 0 to 2"),
        (np.zeros((4, 6)), np.full(4, 0.5), "whole numbers"),
        (np.zeros((4, 6)), np.zeros((4, 3)), "one-hot"),
        (np.zeros((4, 6)), np.zeros((4, 2)), "expected the shape"),
        (np.zeros((0, 6)), np.zeros(0), "no examples"),
        ("text", np.zeros(4), "numbers are wanted"),
        ([[1, 2], [3]], np.zeros(2), "no array"),
        (np.full((4, 6), None), np.zeros(4), "not finite|not numbers"),
        (np.zeros((9, 6)), np.zeros(9), "at most 8"),
        ([[10**400] * 6], [0], "whole number that is too large for float64"),
        (np.full((1, 6), 1e300), [0], r"has 1e\+300, which is too large for float32, in example 0"),
        (np.full((1, 6), np.inf), [0], "not finite"),
    ],
)
def test_data_that_do_not_fit(x: object, y: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        small().train_step(x, y)


@pytest.mark.torch
def test_tensors_and_matrices_that_numpy_does_not_read() -> None:
    """The message has the calls that make an array of them."""
    torch = pytest.importorskip("torch")
    model, x, y = small(), torch.ones(4, 6), np.zeros(4)
    learning = x.clone().requires_grad_()
    for given, call in (
        (learning, ".detach()"),
        (learning.bfloat16(), ".detach().float()"),
        (x.to_sparse(), ".to_dense()"),
        (x.to("meta"), "meta"),
        (pytest.importorskip("scipy.sparse").csr_matrix(x.numpy()), ".toarray()"),
    ):
        for use in (model.predict, lambda x: model.fit(x, y), lambda x: model.evaluate(x, y)):
            with pytest.raises(DataError, match=re.escape(f"{call}") + "(,.*)?$"):
                use(given)
    with pytest.raises(DataError, match=re.escape("target is a tensor that NumPy does not read: pass it with .to_den")):
        model.fit(x, torch.zeros(4).to_sparse())
    with pytest.raises(DataError, match=re.escape(".float()")):
        model.fit([(x.bfloat16(), y)])


def test_arguments_that_make_no_sense() -> None:
    model, (x, y) = small(), learnable(8)
    for epochs in (-1, 1.5, "3", True, float("nan")):
        with pytest.raises(DataError, match=re.escape(f"epochs is a whole number from 0 on, not {epochs!r}")):
            model.fit(x, y, epochs=epochs)
    assert len(model.fit(x, y, epochs=np.int64(1)).records) == 1 and model.epoch == 1
    with pytest.raises(DataError, match="on_epoch is a function"):
        model.fit(x, y, on_epoch=5)
    for epoch in ("a", -1, 1.5):
        with pytest.raises(DataError, match=f"epoch is a whole number from 0 on, not {epoch!r}"):
            model.learning_rate(epoch)
    with pytest.raises(DataError, match="step is a whole number"):
        model.learning_rate(0, -1)


def test_one_name_stands_alone(tmp_path: Path) -> None:
    model, (x, y) = small(), learnable(8)
    model.save(tmp_path / "m.safetensors")
    first = model.parameters["dense1.weight"].numpy()
    part = model.part("output", freeze="dense1")
    part.fit(x, y, epochs=1)
    np.testing.assert_array_equal(part.parameters["dense1.weight"], first)
    model.parameters["dense1.weight"] = 0 * first
    assert model.load_weights(tmp_path / "m.safetensors", only="dense1") == []
    np.testing.assert_array_equal(model.parameters["dense1.weight"], first)


def test_any_dtype_and_order() -> None:
    model = small()
    x = np.random.default_rng(0).integers(0, 9, (7, 6))
    expected = model.predict(x.astype(np.float32))
    for given in (x.astype(np.uint8), x.astype(np.float16), np.asfortranarray(x), x[::-1][::-1], x.tolist()):
        np.testing.assert_array_equal(model.predict(given), expected)


def test_memory_larger_than_the_machine_is_refused() -> None:
    with pytest.raises((dslc.UsageError, dslc.SpecError), match=r"memory|elements"):
        dslc.loads("net A {\n input x: 46000\n dense(46000) -> relu\n repeat 20 {\n dense(46000) -> relu\n }\n}")


WIDE = """net Wide {
  input x: 700
  dense(1500) -> tanh -> dense(700)
}
train {
  loss mse
  optimizer sgd(0.01)
  batch 4
}
"""


def present(numbers: np.ndarray, first: int, last: int) -> int:
    """Bytes of an array's bytes `first` to `last` that the system has given memory to: whole pages of it."""
    page = os.sysconf("SC_PAGE_SIZE")
    begin, end = -(-(numbers.ctypes.data + first) // page), (numbers.ctypes.data + last) // page
    with open("/proc/self/pagemap", "rb") as pagemap:
        pagemap.seek(8 * begin)
        entries = np.frombuffer(pagemap.read(8 * (end - begin)), np.uint64)
    return page * int((entries >> np.uint64(63)).sum())


@pytest.mark.skipif(not Path("/proc/self/pagemap").exists(), reason="this system does not tell")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_touches_no_memory_of_gradients_that_it_does_not_store(dtype: str) -> None:
    """Not one page of them before they are asked for; and then views that were handed out before are still live."""
    model = dslc.loads(WIDE, dtype=dtype)
    x, y = np.ones((9, 700)), np.zeros((9, 700))
    kept = model.parameters["dense1.weight"]
    announced = summarize(model.network, model.plan).memory
    weights = 2 * 700 * 1500 * model.dtype.itemsize
    assert announced.requested_gradients >= weights and announced.gradients < weights / 100
    assert announced.training < 1.1 * weights
    model.fit(x, y, epochs=1)
    model.train_step(x[:4], y[:4])
    model.loss(x[:4], y[:4])
    arena = model.compiled.arena
    assert model.memory_bytes == arena.bytes == announced.training
    whole = announced.training + announced.requested_gradients
    assert present(arena.numbers, 0, announced.training) > weights * 0.99
    assert present(arena.numbers, announced.training, whole) == 0
    gradients = model.gradients(x[:4], y[:4])
    assert present(arena.numbers, announced.training, whole) > weights * 0.99
    assert model.memory_bytes == arena.bytes == whole
    assert np.abs(gradients["dense1.weight"]).min() > 0
    kept[...] = 0
    assert not model.copy_weights()["dense1.weight"].any()
    np.testing.assert_allclose(model.predict(x[:1]), model.predict(0 * x[:1]))


def test_gradients_that_the_machine_has_no_memory_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training goes on: it needs no more than before."""
    model = dslc.loads(WIDE)
    x, y = np.ones((4, 700)), np.zeros((4, 700))
    monkeypatch.setattr(free_memory, "room", lambda: free_memory.Room(1000, "this machine"))
    with pytest.raises(dslc.UsageError, match=r"the gradients .* bytes of memory, and this machine leaves 1,000"):
        model.gradients(x, y)
    assert model.train_step(x, y) > model.loss(x, y)


def test_a_network_without_train_predicts_only() -> None:
    model = dslc.loads("net A {\n input x: 3\n dense(2) -> softmax\n}")
    assert model.predict(np.zeros((5, 3))).shape == (5, 2)
    with pytest.raises(DataError, match="predicts only"):
        model.fit(np.zeros((5, 3)), np.zeros(5))


def test_several_inputs_and_heads() -> None:
    text = """
    net Two {
      input a: 3
      input b: 4
      both = concat(a, b)
      output kind = both -> dense(2) -> softmax
      output size = both -> dense(1)
    }
    train {
      loss kind: cross_entropy
      loss size: mse(weight=0.5)
      optimizer  sgd(0.1)
    }
    """
    model = dslc.loads(text)
    random = np.random.default_rng(0)
    x = {"a": random.random((10, 3)), "b": random.random((10, 4))}
    y = {"kind": random.integers(0, 2, 10), "size": random.random(10)}
    model.fit(x, y, epochs=2)
    assert {k: v.shape for k, v in model.predict(x).items()} == {"kind": (10, 2), "size": (10, 1)}
    results = model.evaluate(x, y)
    assert results["loss"] == pytest.approx(results["kind_loss"] + results["size_loss"])
    with pytest.raises(DataError, match="dict"):
        model.predict(x["a"])


@pytest.mark.parametrize("passing", ["reshape(3x2x1)", "dropout(0.5)", "dropout(0.5) -> reshape(1x6x1)"])
def test_a_head_is_passed_on(passing: str) -> None:
    """A head lies in the caller's array; a layer that only hands it on gives what is computed with next."""
    net = dslc.loads(f"""net Middle {{
      input x: 4
      output early = dense(6) -> tanh
      output late = early -> {passing} -> linear
    }}""")
    found = net.predict(np.random.default_rng(0).random((5, 4)))
    assert found["early"].any()
    assert (found["late"].reshape(5, 6) == found["early"].reshape(5, 6)).all()


def test_the_loss_of_few_examples() -> None:
    """Predictions of few examples take another way through the network; the loss belongs to them all the same."""
    model = dslc.load(REPO / "specs" / "lenet5.net")
    x = np.random.default_rng(5).random((64 + 3, 28, 28, 1))
    y = np.arange(len(x)) % 10
    losses = -np.log(model.predict(x)[np.arange(len(x)), y])
    for count in (1, 2, 3, 5, 8, 9, 64 + 3):
        assert model.evaluate(x[:count], y[:count])["loss"] == pytest.approx(losses[:count].mean(), rel=1e-5)


def test_check_again() -> None:
    """The function keeps its name when the modules that it imports are there."""
    spec = REPO / "specs" / "mlp.net"
    assert dslc.check(spec) == dslc.check(spec)


REGRESSION = """net R {
  input x: 4
  dense(3, init=zeros)
}
train {
  loss mse
  optimizer sgd(lr=0.01)
  batch 8
%s}"""
TWO_HEADS = """net Two {
  input x: 4
  h = x -> dense(5) -> tanh
  output a = h -> dense(1)
  output b = h -> dense(2) -> sigmoid
}
train {
  loss a: mse
  loss b: binary_cross_entropy
  optimizer sgd(lr=0.01)
  batch 8
}
"""


def with_missing(count: int, missing: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of three numbers of which the last examples' are not there."""
    random = np.random.default_rng(0)
    y = random.random((count, 3))
    y[count - missing :] = np.nan
    return random.random((count, 4)), y


@pytest.mark.parametrize("call", ["fit", "dev", "evaluate", "confusion"])
def test_data_without_one_label_are_refused(call: str) -> None:
    """Nothing can be learned from them or judged by them: their loss would be 0, the best there can be."""
    model, (x, y) = dslc.loads(REGRESSION % ""), with_missing(40, 0)
    before, nothing = model.copy_weights(), np.full((40, 3), np.nan)
    words = r"target output has no label: all 40 are missing \(NaN\)"
    if call == "dev":
        with pytest.raises(DataError, match=f"^dev set: {words}"):
            model.fit(x, y, dev=(x, nothing))
    else:
        with pytest.raises(DataError, match=f"^{words}"):
            getattr(model, call)(x, nothing)
    assert model.step == 0
    for name, array in before.items():
        np.testing.assert_array_equal(model.parameters[name].numpy(), array)


def test_one_label_is_enough() -> None:
    model, (x, y) = dslc.loads(REGRESSION % ""), with_missing(8, 7)
    y[0, 1:] = np.nan
    assert model.evaluate(x, y)["loss"] == pytest.approx(y[0, 0] ** 2, rel=1e-6)
    assert len(model.fit(x, y, dev=(x, y), epochs=1).records) == 1


def test_every_head_needs_a_label() -> None:
    model, x = dslc.loads(TWO_HEADS), np.ones((10, 4))
    a, b = np.ones(10), np.full((10, 2), np.nan)
    with pytest.raises(DataError, match=r"^target b has no label"):
        model.evaluate(x, {"a": a, "b": b})
    b[3, 1] = 1
    assert np.isfinite(model.evaluate(x, {"a": a, "b": b})["loss"])


@pytest.mark.parametrize(
    ("dev", "words"),
    [
        (lambda x, y: (np.where(x == x[7, 1], np.nan, x), y), r"^dev set: input x is not finite .* in example 7$"),
        (lambda x, y: (x[:0], y[:0]), r"^dev set: input x holds no examples$"),
        (lambda x, y: (x[:, :3], y), r"^dev set: input x: expected the shape \(n, 4\), found \(40, 3\)$"),
        (lambda x, y: (x, y[:3]), r"^dev set: output: 40 examples in x, but 3 targets in y$"),
        (lambda x, y: (x, None), r"^the dev set has no targets: give x and y$"),
        (lambda x, y: (x, y, y), r"^dev set: sample_weight: expected the shape \(40,\), a number for each example"),
        (
            lambda x, y: x,
            r"^dev is a pair, as in dev=\(x_dev, y_dev\), or has sample weights behind it, or is a stream$",
        ),
    ],
)
def test_messages_about_the_dev_set_say_so(dev: object, words: str) -> None:
    x, y = with_missing(40, 0)
    with pytest.raises(DataError, match=words):
        dslc.loads(REGRESSION % "").fit(x, y, dev=dev(x, y))


@pytest.mark.parametrize("bound", [False, True])
def test_a_dev_loss_that_is_never_finite_is_told(bound: bool) -> None:
    """No epoch is the best then; the last weights are left."""
    more = " optimize loss subject_to parameters <= 100\n" if bound else " stop early(patience=2)\n"
    x, y = with_missing(40, 0)
    far = x.copy()
    far[0] = 1e30
    with pytest.warns(RuntimeWarning, match=r"dev_loss was not finite in any of the 2 epochs: .* last weights"):
        history = dslc.loads(REGRESSION % more).fit(x, y, dev=(far, y), epochs=2)
    assert history.best_epoch is None and len(history.records) == 2


def test_a_dev_loss_that_is_finite_once_is_not_told(recwarn: pytest.WarningsRecorder) -> None:
    x, y = with_missing(40, 0)
    assert dslc.loads(REGRESSION % "").fit(x, y, dev=(x, y), epochs=2).best_epoch == 2
    assert not recwarn.list
