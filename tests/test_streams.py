"""Data that are not in memory: bytes that C scales, arrays read by portions, streams of batches."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dslc
from dslc import DataError
from dslc.runtime.data import lazy
from dslc.runtime.data.arrays_on_disk import from_arrays
from dslc.runtime.data.lazy import Rows, windows
from dslc.runtime.model import Model
from dslc.runtime.native import conversion
from dslc.runtime.native.conversion import recut
from dslc.runtime.training import batches

IMAGES = """net Images {
  input image: 6x5x1
  %sflatten
  dense(4) -> tanh
  dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(0.01)
  batch 16
  epochs 2
}
"""
SPEC, STANDARDIZED = IMAGES % "", IMAGES % "standardize\n  "
TABLE = """net Table {
  input x: 3
  standardize
  dense(1)
}
train {
  loss mse
  optimizer sgd(0.01)
  batch 16
}
"""


@pytest.fixture
def data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Images of 8 bits and their classes; the last mini-batch is smaller."""
    return rng.integers(0, 256, (90, 6, 5), np.uint8), rng.integers(0, 3, 90)


def as_floats(x: np.ndarray) -> np.ndarray:
    """Converted before anything else, by the rule's own words."""
    return (x.astype(np.float32) / np.float32(255))[..., None]


def assert_same_bits(model: Model, other: Model) -> None:
    ours, theirs = model.copy_weights(), other.copy_weights()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def trained(x: Any, y: Any = None, spec: str = SPEC, epochs: int = 2, **more: Any) -> Model:
    model = dslc.loads(spec)
    model.fit(x, y, epochs=epochs, **more)
    return model


# ------------------------------------------------------------------------------------------------ bytes


@pytest.mark.parametrize("spec", [SPEC, STANDARDIZED])
@pytest.mark.filterwarnings("ignore:input image")
def test_bytes_train_as_their_numbers_do(spec: str, data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    ours, theirs = trained(x, y, spec), trained(as_floats(x), y, spec)
    assert_same_bits(ours, theirs)
    assert ours.evaluate(x, y) == theirs.evaluate(as_floats(x), y)
    assert np.array_equal(ours.predict(x), theirs.predict(as_floats(x)))


def test_every_byte_has_the_quotient_of_numpy() -> None:
    """The weights after a step of sgd tell what the layer has read: a gradient is a multiple of its input."""
    text = "net Q {\n input x: 16x16x1\n flatten\n dense(1, init=zeros, bias=off)\n}\ntrain {\n loss mse\n"
    model = dslc.loads(text + " optimizer sgd(1)\n batch 1\n}\n")
    x = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    with pytest.warns(UserWarning, match="255"):
        model.fit(x, np.array([[0.5]]), epochs=1)
    (weight,) = model.copy_weights().values()
    assert np.array_equal(weight.ravel(), (x.astype(np.float32) / np.float32(255)).ravel())


@pytest.mark.filterwarnings("ignore:input image")
def test_training_bytes_takes_no_floats_of_the_whole(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    found = dslc.loads(SPEC)._training_batches(x, y)
    assert isinstance(found, batches.InMemory) and np.shares_memory(found.inputs[0], x)


# ------------------------------------------------------------------------------------------------ by portions


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is large: portions of ten examples."""
    monkeypatch.setattr(lazy, "MOST_ROWS", 10)
    monkeypatch.setattr(batches, "IN_MEMORY", 0)
    monkeypatch.setattr(conversion.Conversion.wants_portions, "__defaults__", (0, False))


@pytest.mark.usefixtures("small_portions")
@pytest.mark.parametrize("kind", [np.float64, np.float16, np.uint16])
@pytest.mark.filterwarnings("ignore:input image")
def test_portions_have_the_bits_of_the_whole(kind: Any, data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    given = (x.astype(kind) * 257 if kind is np.uint16 else x / 255).astype(kind)
    ready = given.astype(np.float32) / np.float32(65535) if kind is np.uint16 else given.astype(np.float32)
    ours, theirs = trained(given, y), trained(ready[..., None], y)
    assert isinstance(dslc.loads(SPEC)._training_batches(given, y), batches.InPortions)
    assert_same_bits(ours, theirs)
    assert ours.evaluate(given, y) == theirs.evaluate(ready[..., None], y)
    assert np.array_equal(ours.predict(given), theirs.predict(ready[..., None]))
    assert np.array_equal(ours.confusion(given, y)["output"], theirs.confusion(ready[..., None], y)["output"])


@pytest.mark.usefixtures("small_portions")
def test_an_error_names_the_example_in_the_whole(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data[0] / 255, data[1]
    x[73, 2, 2] = np.nan
    model = dslc.loads(SPEC)
    for use in (model.fit, model.evaluate):
        with pytest.raises(DataError, match="example 73"):
            use(x, y)
    assert model.step == 0


def test_parts_of_a_large_array_are_no_copies(
    data: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They train with the bits of copies, shuffled as a whole."""
    x, y = data
    whole = from_arrays("data", {"x": x, "y": y})
    copied = whole.with_dev(0)
    monkeypatch.setattr(lazy, "NO_COPY", 0)
    parts = whole.with_dev(0)
    assert parts.dev is not None and copied.dev is not None
    assert isinstance(parts.train.x, Rows) and parts.train.x.base is x and isinstance(copied.train.x, np.ndarray)
    with pytest.warns(UserWarning, match="divided by 255"):
        ours = trained(parts.train.x, parts.train.y, dev=(parts.dev.x, parts.dev.y))
    with pytest.warns(UserWarning, match="divided by 255"):
        theirs = trained(copied.train.x, copied.train.y, dev=(copied.dev.x, copied.dev.y))
    assert_same_bits(ours, theirs)


# ------------------------------------------------------------------------------------------------ on the disk


def test_windows_hold_every_example_once() -> None:
    random = np.random.default_rng(3)
    found = list(windows(103, 4, 20, random))
    assert sorted(np.concatenate(found)) == list(range(103)) and max(map(len, found)) == 20
    for window in found:
        blocks = set(window // 4)
        assert len(window) == sum(min(4, 103 - 4 * block) for block in blocks)
    assert any(np.ptp(window // 4) > 5 for window in found)


@pytest.mark.filterwarnings("ignore:input image")
def test_a_large_memory_map_is_read_in_windows(
    data: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its epoch is that of the same examples in the windows' order, whose mini-batches go across windows."""
    x, y = data
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for name, value in (("ON_DISK", 100), ("BLOCK", 120)):
        monkeypatch.setattr(lazy, name, value)
    monkeypatch.setattr(batches, "WINDOW", 900)
    model = trained(mapped, y)
    random = [np.random.Generator(np.random.Philox(key=[0, (1 << 32) + epoch])) for epoch in (0, 1)]
    reference = dslc.loads(SPEC.replace("batch 16", "batch 16\n  shuffle off"))
    for one in random:
        at = np.concatenate(list(windows(90, 4, 30, one)))
        reference.fit(as_floats(x)[at], y[at], epochs=1)
    assert_same_bits(model, reference)
    assert np.array_equal(model.predict(mapped), reference.predict(as_floats(x)))
    assert np.array_equal(Rows(mapped, np.array([80, 3]))[:], x[[80, 3]])


# ------------------------------------------------------------------------------------------------ streams


class Batches:
    """Starts again each time it is iterated over; batches of any size."""

    def __init__(self, x: np.ndarray, y: np.ndarray, sizes: tuple[int, ...]) -> None:
        self.x, self.y, self.sizes = x, y, sizes

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        first = 0
        for size in self.sizes:
            yield self.x[first : first + size], self.y[first : first + size]
            first += size


SIZES = (1, 40, 3, 3, 30, 13)
IN_ORDER = SPEC.replace("batch 16", "batch 16\n  shuffle off")


@pytest.mark.parametrize("form", ["loader", "stream", "function", "subclass", "list"])
@pytest.mark.filterwarnings("ignore:input image")
def test_a_stream_trains_as_its_examples_do(form: str, data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    loader = Batches(x, y, SIZES)

    class Mine(dslc.Stream):
        def batches(self, epoch: int) -> Iterator[Any]:
            return iter(loader)

    given = {
        "loader": loader,
        "stream": dslc.Stream(loader, length=90),
        "function": dslc.Stream(lambda: iter(loader)),
        "subclass": Mine(),
        "list": list(loader),
    }[form]
    model, reference = trained(given, spec=IN_ORDER), trained(as_floats(x), y, IN_ORDER)
    assert_same_bits(model, reference)
    assert model.evaluate(given) == reference.evaluate(as_floats(x), y)
    assert np.array_equal(model.predict(dslc.Stream(loader)), reference.predict(as_floats(x)))
    assert np.array_equal(model.confusion(given)["output"], reference.confusion(as_floats(x), y)["output"])


def test_recut_keeps_the_order() -> None:
    blocks = [[np.arange(first, last)] for first, last in [(0, 3), (3, 4), (4, 20), (20, 21), (21, 40), (40, 41)]]
    pieces = [piece for (piece,) in recut(blocks, 8)]
    assert np.array_equal(np.concatenate(pieces), np.arange(41))
    assert all(len(piece) % 8 == 0 for piece in pieces[:-1]) and len(pieces[-1]) == 1


def test_a_window_shuffles_by_seed_and_epoch(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = as_floats(data[0]), data[1]
    stream = dslc.Stream(Batches(x, y, SIZES), shuffle=32)
    model = trained(stream)
    assert_same_bits(model, trained(stream))
    orders = []
    for epoch in (0, 1):
        random = np.random.Generator(np.random.Philox(key=[0, (1 << 32) + epoch]))
        orders.append(np.concatenate([np.arange(f, min(f + 32, 90))[random.permutation(min(32, 90 - f))]
                                      for f in (0, 32, 64)]))  # fmt: skip
    assert not np.array_equal(*orders)
    reference = dslc.loads(IN_ORDER)
    for order in orders:
        reference.fit(x[order], y[order], epochs=1)
    assert_same_bits(model, reference)


def test_a_resumed_stream_ends_with_the_same_bits(data: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    x, y = as_floats(data[0]), data[1]
    stream = dslc.Stream(Batches(x, y, SIZES), shuffle=40)
    whole, half = trained(stream, epochs=4), trained(stream, epochs=2)
    half.checkpoint(tmp_path / "half.safetensors")
    again = dslc.loads(SPEC)
    again.resume(tmp_path / "half.safetensors")
    again.fit(stream, epochs=2)
    assert_same_bits(whole, again)


def test_a_dev_set_may_be_a_stream(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = as_floats(data[0]), data[1]
    dev = dslc.Stream(Batches(x, y, SIZES))
    ours, theirs = dslc.loads(SPEC), dslc.loads(SPEC)
    assert (
        ours.fit(x, y, dev=dev, epochs=2).to_dict()["dev_loss"]
        == theirs.fit(x, y, dev=(x, y), epochs=2).to_dict()["dev_loss"]
    )


def test_the_first_example_alone_is_timed(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = as_floats(data[0]), data[1]
    model = dslc.loads(SPEC)
    one_at_a_time = Rows(x, np.arange(90))
    one_at_a_time.rows = lambda at: x[at] if len(at) == 1 else pytest.fail("read more")  # type: ignore[method-assign]
    for given in (x, one_at_a_time, dslc.Stream(Batches(x, y, SIZES)), {"image": x}):
        assert len(model.prediction_times(given, 2)) == 2


def test_standardize_and_offsets_on_a_stream(rng: np.random.Generator) -> None:
    """Unix seconds: the stream keeps what float32 would round away."""
    x = rng.standard_normal((90, 3)) + np.array([1.7e9, 0, 5])
    y = x[:, 0] - 1.7e9
    model, reference = trained(Batches(x, y, SIZES), spec=TABLE), trained(x, y, TABLE)
    found = model.predict(x), reference.predict(x)
    assert np.abs(np.corrcoef(*(f.ravel() for f in found))[0, 1]) > 0.99
    std = np.array(model.parameters["standardize1.std"])
    assert np.allclose(std, x.std(axis=0), rtol=1e-5)


def test_words_of_a_stream_are_learned(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = as_floats(data[0]), np.array(["ash", "elm", "oak"])[data[1]]
    model = trained(Batches(x, y, SIZES), spec=IN_ORDER)
    assert model.class_names == ("ash", "elm", "oak")
    assert_same_bits(model, trained(x, y, IN_ORDER))


def test_a_source_may_fill_one_array_again_and_again(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = as_floats(data[0]), data[1].astype(np.int32)

    def reused() -> Iterator[Any]:
        some_x, some_y = np.empty_like(x[:18]), np.empty_like(y[:18])
        for first in range(0, 90, 18):
            some_x[:], some_y[:] = x[first : first + 18], y[first : first + 18]
            yield some_x, some_y

    assert_same_bits(trained(dslc.Stream(reused), spec=IN_ORDER), trained(x, y, IN_ORDER))


# ------------------------------------------------------------------------------------------------ others' loaders


class FakeDataset:
    """The part of `datasets.Dataset` that is used: columns by name, rows by a list of places, formats."""

    def __init__(self, columns: dict[str, np.ndarray]) -> None:
        self.columns, self.column_names = columns, list(columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def with_format(self, kind: str) -> FakeDataset:
        assert kind == "numpy"
        return self

    def __getitem__(self, at: list[int]) -> dict[str, np.ndarray]:
        return {name: column[at] for name, column in self.columns.items()}


@pytest.mark.filterwarnings("ignore:input image")
def test_columns_by_name(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    found = trained(FakeDataset({"image": x, "label": y}), spec=IN_ORDER)
    named = trained(dslc.Stream(FakeDataset({"pixel": x, "kind": y}), x="pixel", y="kind"), spec=IN_ORDER)
    reference = trained(as_floats(x), y, IN_ORDER)
    assert_same_bits(found, reference)
    assert_same_bits(named, reference)
    with pytest.raises(DataError, match=r"columns pixel, label, and no image.*dslc\.Stream\(data, x=\.\.\.\)"):
        trained(FakeDataset({"pixel": x, "label": y}))


@pytest.mark.filterwarnings("ignore:input image")
def test_columns_are_shuffled(data: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = data
    given = FakeDataset({"image": x, "label": y})
    model = trained(given, epochs=1)
    at = np.concatenate(list(windows(90, 64, 1024, np.random.Generator(np.random.Philox(key=[0, 1 << 32])))))
    reference = trained(as_floats(x)[at], y[at], IN_ORDER, epochs=1)
    assert_same_bits(model, reference)


@pytest.mark.torch
def test_a_data_loader_of_pytorch(data: tuple[np.ndarray, np.ndarray]) -> None:
    torch = pytest.importorskip("torch")
    x, y = as_floats(data[0]), data[1]
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y)), batch_size=20
    )
    model, reference = trained(loader, spec=IN_ORDER), trained(x, y, IN_ORDER)
    assert_same_bits(model, reference)
    assert model.evaluate(loader) == reference.evaluate(x, y)
    assert np.array_equal(model.predict(loader), reference.predict(x))


def test_streams_import_no_torch() -> None:
    import subprocess

    code = "import dslc, sys; dslc.Stream([]); import dslc.runtime.model; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# ------------------------------------------------------------------------------------------------ faults


def broken(x: np.ndarray, y: np.ndarray, fault: str) -> Iterator[Any]:
    yield x[:20], y[:20]
    yield x[20:40], y[20:40]
    if fault == "raises":
        raise OSError("the disk is gone")
    if fault == "shape":
        yield x[40:60, :3], y[40:60]
    if fault == "count":
        yield x[40:60], y[40:50]
    if fault == "nan":
        yield np.full_like(x[40:60], np.nan), y[40:60]
    if fault == "class":
        yield x[40:60], y[40:60] + 3
    if fault == "alone":
        yield x[40:60]
    if fault == "kind":
        yield np.zeros((20, 6, 5), np.uint8), y[40:60]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("raises", "batch 3 of an epoch: OSError: the disk is gone"),
        ("shape", r"batch 3 of the stream: input image: expected the shape \(n, 6, 5, 1\)"),
        ("count", "batch 3 of the stream: .*20 examples in x, but 10 targets in y"),
        ("nan", "batch 3 of the stream: input image is not finite .* in example 0"),
        ("class", "batch 3 of the stream: target output: example 0 has the class"),
        ("alone", "batch 3 of the stream: it has no y"),
        ("kind", "batch 3 of the stream: images of 8 bits and other numbers"),
    ],
)
def test_a_fault_names_the_batch_and_leaves_the_model_usable(
    fault: str, words: str, data: tuple[np.ndarray, np.ndarray]
) -> None:
    x, y = as_floats(data[0]), data[1]
    model = dslc.loads(SPEC)
    before = threading.active_count()
    with pytest.raises(DataError, match=words):
        model.fit(dslc.Stream(lambda: broken(x, y, fault)))
    if fault != "kind":  # to evaluate, each batch is scaled by itself
        with pytest.raises(DataError, match=words):
            model.evaluate(dslc.Stream(lambda: broken(x, y, fault)))
    assert threading.active_count() == before
    assert model.epoch == 0
    model.fit(x, y, epochs=1)
    assert model.epoch == 1 and np.isfinite(model.predict(x)).all()


def test_nothing_and_what_is_used_up(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = as_floats(data[0]), data[1]
    model = dslc.loads(SPEC)
    with pytest.raises(DataError, match="yields nothing"):
        model.fit([])
    with pytest.raises(DataError, match="yields nothing"):
        model.predict(iter([]))
    once = iter(Batches(x, y, SIZES))
    with pytest.raises(DataError, match=r"used up.*dslc\.Stream"):
        model.fit(once, epochs=2)
    assert model.epoch == 1
    model.fit(iter(Batches(x, y, SIZES)), epochs=1)
    with pytest.raises(DataError, match="leave out y"):
        model.evaluate(dslc.Stream([]), y)
    for no_stream in (3, x, {"image": x}, "mnist"):
        for use in (model.fit, model.evaluate):
            with pytest.raises(DataError, match="y is missing"):
                use(no_stream)
    with pytest.raises(DataError, match="batch all"):
        dslc.loads(SPEC.replace("batch 16", "batch all")).fit(Batches(x, y, SIZES))


def test_ctrl_c_ends_the_reading_too(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = as_floats(data[0]), data[1]
    closed: list[bool] = []

    def forever() -> Iterator[Any]:
        try:
            while True:
                yield x, y
        finally:
            closed.append(True)

    model, before = dslc.loads(SPEC), threading.active_count()
    steps = model.train_batches

    def interrupted(*given: Any) -> Any:
        if model.step > 30:
            raise KeyboardInterrupt
        return steps(*given)

    model.train_batches = interrupted  # type: ignore[method-assign]
    history = model.fit(dslc.Stream(forever), epochs=1)
    assert history.stopped == "interrupted" and threading.active_count() == before and len(closed) == 2


def test_sample_weights_of_a_memory_map(tmp_path: Path) -> None:
    """They go along with the windows; what weighs nothing is left out, as in memory."""
    spec = (
        "net A {\n  input x: 3\n  standardize -> dense(2)\n}\n"
        "train {\n  loss mse\n  optimizer adam(0.1)\n  standardize_target on\n  batch 4\n  shuffle off\n}\n"
    )
    random = np.random.default_rng(3)
    x, y = random.normal(size=(30, 3)).astype(np.float32), random.normal(size=(30, 2)) * 50 + 7
    weights = np.where(random.random(30) < 0.3, 0, random.random(30))
    np.save(tmp_path / "x.npy", x)
    whole, mapped = dslc.loads(spec), dslc.loads(spec)
    stored = np.load(tmp_path / "x.npy", mmap_mode="r")
    for model, inputs in ((whole, x), (mapped, stored)):
        model.fit(inputs, y, epochs=2, sample_weight=weights)
    for name, value in whole.copy_weights().items():
        np.testing.assert_array_equal(mapped.parameters[name].numpy(), value)
    assert mapped.evaluate(stored, y, weights) == whole.evaluate(x, y, weights)
    with pytest.raises(DataError, match="sample_weight goes with arrays"):
        whole.fit([(x, y)], sample_weight=weights)
