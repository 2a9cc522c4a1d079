"""Callbacks: when they are called, with what, how they end training, and the ready ones."""

from __future__ import annotations

import builtins
import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dslc
from dslc.callbacks import Callback, Checkpoints, CsvLog, LearningRates, TensorBoard, TimeBudget, TrainMetrics
from dslc.cli.main import run
from dslc.language.diagnostics import DataError, UsageError
from dslc.runtime.model import Model

SPEC = """net Watched {
  input x: 4
  dense(5) -> tanh -> dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer sgd(0.3)
  schedule warmup(20)
  regularize l2(0.1)
  batch 8
  epochs 3
  precision float64
}
"""


def examples(count: int = 30) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(2)
    y = random.integers(0, 3, count)
    return random.standard_normal((count, 4)) + np.eye(4)[y], y


class Tells(Callback):
    """Notes every call; may end training or raise at one of them, by its number."""

    def __init__(self, every_batch: bool = False, at: tuple[str, int] = ("", 0), ends: Any = None) -> None:
        self.every_batch, self.at, self.ends = every_batch, at, ends
        self.calls: list[tuple[str, Any]] = []

    def _call(self, name: str, value: Any) -> str | None:
        self.calls.append((name, value))
        if self.at != (name, len(self.of(name))):
            return None
        if isinstance(self.ends, BaseException):
            raise self.ends
        return self.ends

    def of(self, name: str) -> list[Any]:
        return [value for called, value in self.calls if called == name]

    def on_train_begin(self, model: Any) -> None:
        self._call("begin", model)

    def on_batch(self, record: dict[str, float]) -> str | None:
        return self._call("batch", record)

    def on_epoch(self, record: dict[str, float]) -> str | None:
        return self._call("epoch", record)

    def on_train_end(self, history: Any) -> None:
        self._call("end", history)


def test_every_call_of_a_training() -> None:
    """In order; `on_batch` with the epoch, the update, the examples done, their mean loss, the rate."""
    model, watched, plain = dslc.loads(SPEC), Tells(every_batch=True), dslc.loads(SPEC)
    x, y = examples()
    history = model.fit(x, y, callbacks=[watched])
    assert [name for name, _ in watched.calls] == ["begin", *(["batch"] * 4 + ["epoch"]) * 3, "end"]
    assert watched.of("begin") == [model] and watched.of("end") == [history]
    assert watched.of("epoch") == history.records
    batches = watched.of("batch")
    assert [b["step"] for b in batches] == list(range(1, 13))
    assert [b["examples"] for b in batches] == [8, 16, 24, 30] * 3
    assert [b["epoch"] for b in batches] == [1] * 4 + [2] * 4 + [3] * 4
    np.testing.assert_allclose([b["lr"] for b in batches], 0.3 * np.arange(1, 13) / 20)
    assert [b["loss"] for b in batches[3::4]] == [r["loss"] for r in history.records]
    plain.fit(x, y)
    for name, view in plain.parameters.items():
        np.testing.assert_array_equal(view.numpy(), model.parameters[name].numpy(), err_msg=name)


def test_one_callback_stands_alone() -> None:
    model, watched = dslc.loads(SPEC), Tells()
    model.fit(*examples(), epochs=1, callbacks=watched)
    assert [name for name, _ in watched.calls] == ["begin", "batch", "epoch", "end"]
    with pytest.raises(DataError, match="callbacks is a list"):
        model.fit(*examples(), callbacks=5)


def test_a_callback_that_trains_the_same_model_is_refused(tmp_path: Path) -> None:
    """With `fit` or `resume`: the epochs would count twice. A copy may be trained, and the model goes on later."""
    model, (x, y) = dslc.loads(SPEC), examples()
    model.checkpoint(tmp_path / "c")

    class Calls(Callback):
        def __init__(self, call: Any) -> None:
            self.call = call

        def on_epoch(self, record: dict[str, float]) -> None:
            self.call()

    for name, call in (("fit", lambda: model.fit(x, y)), ("resume", lambda: model.resume(tmp_path / "c"))):
        with pytest.raises(DataError, match=f"a callback calls {name}"):
            model.fit(x, y, callbacks=Calls(call))
    history = model.fit(x, y, epochs=1, callbacks=Calls(lambda: model.copy().fit(x, y, epochs=1)))
    assert history.stopped == "epochs" and model.epoch == 3


def test_the_mean_loss_of_the_mini_batches() -> None:
    """By the formula, with the parameters before each update."""
    model, x, y = dslc.loads(SPEC.replace("batch 8", "batch 8\n  shuffle off")), *examples()
    twin, watched = model.copy(), Tells(every_batch=True)
    model.fit(x, y, epochs=1, callbacks=[watched])
    total, wanted = 0.0, []
    for start in range(0, 30, 8):
        part = slice(start, start + 8)
        total += len(y[part]) * twin.evaluate(x[part], y[part])["loss"]
        wanted.append(total / min(start + 8, 30))
        twin.train_step(x[part], y[part])
    np.testing.assert_allclose([b["loss"] for b in watched.of("batch")], wanted, rtol=1e-12)


def test_train_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `evaluate` says after each epoch; callbacks behind it see the numbers, and so do history.csv and report."""
    x, y = examples()
    wanted, watched = [], Tells()

    class Measures(Callback):
        def on_train_begin(self, model: Any) -> None:
            self.model = model

        def on_epoch(self, record: dict[str, float]) -> None:
            wanted.append({f"train_{key}": value for key, value in self.model.evaluate(x[:9], y[:9]).items()})

    history = dslc.loads(SPEC).fit(x, y, callbacks=[Measures(), TrainMetrics(x[:9], y[:9]), watched])
    for record, seen, numbers in zip(history.records, watched.of("epoch"), wanted, strict=True):
        assert set(numbers) == {"train_loss", "train_accuracy"} and numbers.items() <= record.items() == seen.items()
    monkeypatch.chdir(tmp_path)
    Path("w.net").write_text(SPEC)
    np.savez("d.npz", x=x, y=y)
    train = ["train", "w.net", "--data", "d.npz", "--run", "r", "--progress", "none", "--train-metrics"]
    assert run([*train, "0"]) == 2 and run([*train, "1000"]) == 0
    rows = list(csv.DictReader(Path("r/history.csv").read_text().splitlines()))
    assert len(rows) == 3 and all(0 <= float(row["train_accuracy"]) <= 1 for row in rows)
    assert "train, measured as dev" in Path("r/report.html").read_text("utf-8")


def test_slices_by_default() -> None:
    """A tiny epoch is one slice."""
    watched = Tells()
    dslc.loads(SPEC).fit(*examples(), callbacks=[watched])
    assert [b["examples"] for b in watched.of("batch")] == [30, 30, 30]


def test_no_method_needs_to_be_there() -> None:
    class Nothing(Callback):
        pass

    assert dslc.loads(SPEC).fit(*examples(), callbacks=[Nothing(), Nothing()]).stopped == "epochs"


@pytest.mark.parametrize(("at", "records", "steps"), [(("batch", 6), 1, 6), (("batch", 8), 2, 8), (("epoch", 2), 2, 8)])
def test_a_word_ends_training(at: tuple[str, int], records: int, steps: int) -> None:
    """At once, or with the record of an epoch whose mini-batches are done; the others are called too."""
    model, watched, other = dslc.loads(SPEC), Tells(True, at, "enough"), Tells(True)
    history = model.fit(*examples(), callbacks=[watched, other])
    assert (history.stopped, len(history.records), model.step) == ("enough", records, steps)
    assert other.calls[-1] == ("end", history) and len(other.calls) == len(watched.calls)


@pytest.mark.parametrize("at", [("begin", 1), ("batch", 7), ("epoch", 2), ("end", 1)])
def test_an_exception_passes_and_leaves_the_best_weights(at: tuple[str, int], tmp_path: Path) -> None:
    """Every callback that has begun is told of the end, and a checkpoint goes on to the bits of a whole training."""
    x, y = examples()
    dev = (x[:10], y[:10])
    model, broken, other = dslc.loads(SPEC), Tells(True, at, OSError("disk full")), Tells()
    with pytest.raises(OSError, match="disk full"):
        model.fit(x, y, dev, callbacks=[other, broken])
    assert len(other.of("end")) == len(broken.of("end")) == 1
    state = model.fit_state
    assert state is not None and state.history.stopped == ("epochs" if at[0] == "end" else "failed")
    if state.history.records:
        best = min(record["dev_loss"] for record in state.history.records)
        assert model.evaluate(*dev)["loss"] == pytest.approx(best, rel=1e-12)
    if at[0] == "epoch":
        model.checkpoint(tmp_path / "c")
        again, whole = dslc.loads(SPEC), dslc.loads(SPEC)
        again.resume(tmp_path / "c")
        assert again.fit(x, y, dev).to_dict().keys() == whole.fit(x, y, dev).to_dict().keys()
        assert_same(again, whole)


def assert_same(a: Model, b: Model) -> None:
    assert (a.step, a.epoch) == (b.step, b.epoch)
    for name, view in a.parameters.items():
        np.testing.assert_array_equal(view.numpy(), b.parameters[name].numpy(), err_msg=name)


def test_what_is_no_callback_is_refused() -> None:
    class Misspelled(Callback):
        def on_epoch_end(self, record: dict[str, float]) -> None:
            raise AssertionError

    model = dslc.loads(SPEC)
    with pytest.raises(DataError, match=r"Misspelled\.on_epoch_end would never be called; there are on_train_begin"):
        model.fit(*examples(), callbacks=[Misspelled()])
    with pytest.raises(DataError, match=r"derived from dslc\.callbacks\.Callback"):
        model.fit(*examples(), callbacks=[print])  # type: ignore[list-item]


# ------------------------------------------------------------------------------------------- ready ones


def test_csv_goes_on(tmp_path: Path) -> None:
    """All records, over two calls of `fit`; a file with other columns is left alone."""
    path, model = tmp_path / "new" / "log.csv", dslc.loads(SPEC)
    records = [r for _ in range(2) for r in model.fit(*examples(), callbacks=[CsvLog(path)]).records]
    rows = [{key: float(cell) for key, cell in row.items()} for row in csv.DictReader(path.open())]
    assert rows == records and len(rows) == 6
    x, y = examples()
    with pytest.raises(DataError, match="has the columns epoch, loss, penalty"):
        model.fit(x, y, dev=(x, y), callbacks=[CsvLog(path)])
    assert len(path.read_text().splitlines()) == 7
    with pytest.raises(DataError, match="cannot write"):
        model.fit(x, y, callbacks=[CsvLog(tmp_path)])


def test_checkpoints(tmp_path: Path) -> None:
    """Of every second epoch, each of which goes on to the same end."""
    whole, (x, y) = dslc.loads(SPEC), examples()
    whole.fit(x, y, epochs=5, callbacks=[Checkpoints(tmp_path / "at-{epoch}", every=2)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["at-2", "at-4"]
    for path in tmp_path.iterdir():
        model = dslc.loads(SPEC)
        model.resume(path)
        model.fit(x, y)
        assert_same(model, whole)
    with pytest.raises(DataError, match="not 0"):
        Checkpoints("c", every=0)


def test_learning_rates() -> None:
    rates = LearningRates(every_batch=True)
    dslc.loads(SPEC).fit(*examples(), callbacks=[rates])
    assert rates.steps == list(range(1, 13))
    np.testing.assert_allclose(rates.rates, 0.3 * np.arange(1, 13) / 20)


def test_time_budget() -> None:
    """Of a training without end; resumed, it could go on."""
    model, started = dslc.loads(SPEC), time.monotonic()
    history = model.fit(*examples(3000), epochs=10**6, callbacks=[TimeBudget(0.3)])
    assert history.stopped == "time" and 0.3 <= time.monotonic() - started < 5
    assert model.fit_state is not None and not model.fit_state.over
    with pytest.raises(DataError, match="more than 0 seconds"):
        TimeBudget(0)


def test_tensorboard(tmp_path: Path) -> None:
    """Its file holds every number of the history, and loss and rate of every update."""
    board = pytest.importorskip("tensorboardX")
    model = dslc.loads(SPEC)
    history = model.fit(*examples(), callbacks=[TensorBoard(tmp_path / "board", every_batch=True)])
    (path,) = (tmp_path / "board").iterdir()
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events_in(path, board):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
    assert [step for step, _ in found["batch_loss"]] == list(range(1, 13))
    np.testing.assert_allclose([v for _, v in found["batch_lr"]], 0.3 * np.arange(1, 13) / 20, rtol=1e-6)
    for name in ("loss", "penalty", "lr"):
        assert [step for step, _ in found[name]] == [1, 2, 3]
        np.testing.assert_allclose([v for _, v in found[name]], [r[name] for r in history.records], rtol=1e-6)


def events_in(path: Path, board: Any) -> list[Any]:
    """The events of a file of TensorBoard: each is its length in 8 bytes, 4 of a checksum, the event, 4 of another."""
    from tensorboardX.proto.event_pb2 import Event

    data, events = path.read_bytes(), []
    while data:
        length = int.from_bytes(data[:8], "little")
        events.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return events


def test_tensorboard_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "tensorboardX":
            raise ImportError
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"pip install 'dslc\[tensorboard\]'"):
        TensorBoard("board")


# ------------------------------------------------------------------------------------------- the command line


@pytest.fixture
def table(tmp_path: Path) -> Path:
    x, y = examples(60)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    (tmp_path / "watched.net").write_text(SPEC)
    return tmp_path


def test_options_of_train(table: Path) -> None:
    """Checkpoints in the run folder and a board elsewhere, then a budget that is too short for anything."""
    call = ["train", str(table / "watched.net"), "--data", str(table / "data.npz"), "--progress", "none"]
    more = ["--checkpoint-every", "2", "--tensorboard", str(table / "board"), "--time-budget", "1h"]
    assert run([*call, "--run", str(table / "run"), *more]) == 0
    assert sorted(p.name for p in (table / "run").glob("checkpoint*")) == [
        "checkpoint",
        "checkpoint-2",
        "checkpoint.previous",
    ]
    assert list((table / "board").iterdir())
    many = [*call, "--run", str(table / "short"), "--epochs", "100000", "--time-budget", "0.3s"]
    assert run(many) == 0
    assert '"time"' in (table / "short" / "run.json").read_text()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--time-budget", "soon"), "as in 90s, 30m or 2h"),
        (("--time-budget", "0s"), "as in 90s, 30m or 2h"),
        (("--checkpoint-every", "0"), "at least 1, not 0"),
        (("--checkpoint-every", "often"), "wants a number of epochs or a time, as in 90s"),
    ],
)
def test_options_that_make_no_sense(
    option: tuple[str, str], words: str, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", str(table / "watched.net"), "--data", str(table / "data.npz"), *option]) == 2
    assert words in capsys.readouterr().err
