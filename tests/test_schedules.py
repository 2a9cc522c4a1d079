"""Schedules against PyTorch's, and those that go by updates or by a metric within `fit`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dslc
from dslc.compiler import check_text
from dslc.language.diagnostics import DataError
from dslc.runtime.model import Model

SPEC = """net Scheduled {
  input x: 3
  dense(2)
}
train {
  loss mse
  optimizer sgd
  schedule SCHEDULE
  batch 4
  epochs 12
  precision float64
}
"""


def model_with(schedule: str, lr: str = "(0.1)") -> Model:
    return dslc.loads(SPEC.replace("SCHEDULE", schedule).replace("sgd", f"sgd{lr}"))


@pytest.fixture(scope="module")
def examples() -> tuple[np.ndarray, np.ndarray]:
    """Ten examples: 3 mini-batches an epoch, the last of them smaller."""
    random = np.random.default_rng(5)
    return random.standard_normal((10, 3)), random.standard_normal((10, 2))


def rates_of_torch(make: Callable[[Any, Any], Any], steps: Iterable[Any]) -> list[float]:
    """The learning rates of a scheduler of PyTorch before each of its steps."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    rates = []
    for arguments in steps:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*arguments)
    return rates


BY_EPOCH: dict[str, Callable[[Any, Any], Any]] = {
    "poly(0.9, 8)": lambda known, o: known.PolynomialLR(o, total_iters=8, power=0.9),
    "poly(power=3, epochs=5)": lambda known, o: known.PolynomialLR(o, total_iters=5, power=3),
    "milestones((3, 4, 9), 0.2)": lambda known, o: known.MultiStepLR(o, [3, 4, 9], gamma=0.2),
    "milestones(6, 0.5)": lambda known, o: known.MultiStepLR(o, [6], gamma=0.5),
}


@pytest.mark.torch
@pytest.mark.parametrize("schedule", BY_EPOCH)
def test_by_epoch_as_pytorch(schedule: str) -> None:
    model = model_with(schedule)
    wanted = rates_of_torch(BY_EPOCH[schedule], [()] * 12)
    np.testing.assert_allclose([model.learning_rate(epoch) for epoch in range(12)], wanted, rtol=1e-13, atol=1e-15)


ONE_CYCLES = {
    "one_cycle(0.5, steps=36)": {},
    "one_cycle(0.5, epochs=12)": {},
    "one_cycle(max=0.5, epochs=12, warm=0.1, start=4, end=50)": {
        "pct_start": 0.1, "div_factor": 4, "final_div_factor": 50,
    },
}  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("schedule", ONE_CYCLES)
def test_one_cycle_as_pytorch(schedule: str, examples: tuple[np.ndarray, np.ndarray]) -> None:
    """Over the updates of `fit`, each with the rate that the C gets; a length in epochs counts their mini-batches."""
    model, given = model_with(schedule, ""), ONE_CYCLES[schedule]
    wanted = rates_of_torch(
        lambda known, o: known.OneCycleLR(o, 0.5, total_steps=36, cycle_momentum=False, **given), [()] * 35
    )
    last_of_epochs = [record["lr"] for record in model.fit(*examples).records]
    np.testing.assert_allclose(last_of_epochs[:-1], wanted[2::3], rtol=1e-12)
    np.testing.assert_allclose([model.learning_rate(0, step) for step in range(35)], wanted, rtol=1e-12)


def test_the_ends_of_one_cycle() -> None:
    """The highest rate is reached, and after the last update it stays at the lowest, warm at all or not."""
    for warm, peak in ((0.3, 2), (0.1, 0)):
        model = model_with(f"one_cycle(0.5, steps=10, warm={warm})", "")
        rates = [model.learning_rate(0, step) for step in range(14)]
        assert rates[peak] == 0.5 == max(rates)
        np.testing.assert_allclose(rates[9:], 0.5 / 25 / 1e4, rtol=1e-12)
    model = model_with("one_cycle(0.5, steps=1)", "")
    assert model.learning_rate(0, 0) == pytest.approx(0.5 / 25 / 1e4)


def test_a_cycle_in_epochs_is_unknown_outside_of_fit(examples: tuple[np.ndarray, np.ndarray]) -> None:
    model = model_with("one_cycle(0.5, epochs=10)", "")
    with pytest.raises(DataError, match="one_cycle\\(steps"):
        model.train_step(examples[0][:4], examples[1][:4])


PLATEAUS: dict[str, dict[str, Any]] = {
    "plateau": {},
    "plateau(patience=2, factor=0.5)": {"patience": 2, "factor": 0.5},
    "plateau(0, 0.5, threshold=0.1)": {"patience": 0, "factor": 0.5, "threshold": 0.1},
    "plateau(1, 0.3, min=0.02)": {"patience": 1, "factor": 0.3, "min_lr": 0.02},
}
WALKS = {"falls": -0.02, "wanders": 0.0, "rises": 0.02}


@pytest.mark.torch
@pytest.mark.parametrize("trend", WALKS)
@pytest.mark.parametrize("schedule", PLATEAUS)
@pytest.mark.parametrize("score", [False, True])
def test_plateau_as_pytorch(schedule: str, trend: str, score: bool) -> None:
    """Over forty values of a metric; a score is better if it rises."""
    random = np.random.default_rng(3)
    values = np.exp(np.cumsum(WALKS[trend] + 0.05 * random.standard_normal(40)))
    values[7] = np.nan
    mode = "max" if score else "min"
    wanted = rates_of_torch(
        lambda known, o: known.ReduceLROnPlateau(o, mode=mode, **PLATEAUS[schedule]), [(v,) for v in values]
    )
    model, smaller_is_better = model_with(schedule), [float(-v if score else v) for v in values]
    found = []
    for epoch in range(40):
        model.watched = smaller_is_better[:epoch]
        model.begin_epoch(3)
        found.append(model.learning_rate(epoch))
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=2e-8)  # PyTorch skips changes of less than 1e-8


@pytest.mark.parametrize("with_dev", [True, False])
def test_plateau_goes_by_the_records_of_fit(with_dev: bool, examples: tuple[np.ndarray, np.ndarray]) -> None:
    """With a dev set by its loss, else by that of training."""
    model = model_with("warmup(4) -> plateau(0, 0.5, threshold=0.02)")
    dev = tuple(a[::-1] + 1 for a in examples) if with_dev else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if not with_dev else "error")
        records = model.fit(*examples, dev=dev, epochs=30).records
    best, rate = np.inf, 0.1
    for number, record in enumerate(records):
        assert record["lr"] == pytest.approx(rate * min(1, 3 * (number + 1) / 4), rel=1e-13)
        value = record["dev_loss" if with_dev else "loss"]
        best, rate = (value, rate) if value < best * 0.98 else (best, rate / 2)
    assert rate < 0.02, "the learning rate should have been reduced"


def test_plateau_says_that_it_lacks_a_dev_set(examples: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.warns(UserWarning, match="the schedule watches the training loss: no dev set was given"):
        model_with("plateau").fit(*examples, epochs=1)


def test_plateau_watches_what_it_names() -> None:
    """The file's metric, unless that does not change in training, or another is named."""
    text = SPEC.replace("SCHEDULE", "plateau")
    found = {
        "": "dev_loss",
        "metrics rmse\n  optimize rmse": "dev_rmse",
        "stop early(3, metric=loss)": "loss",
        "optimize parameters": "dev_loss",
    }
    for setting, metric in found.items():
        training = check_text(text.replace("  batch", f"  {setting}\n  batch")).training
        assert training is not None and training.schedule is not None and training.schedule.watched == metric
    named = check_text(text.replace("plateau", "warmup(3) -> plateau(metric=mae)")).training
    assert named is not None and named.schedule is not None and named.schedule.watched == "dev_mae"


@pytest.mark.parametrize("schedule", ["warmup(5) -> plateau(0, 0.5, threshold=0.1)", "one_cycle(0.5, epochs=9)"])
def test_a_checkpoint_goes_on_with_the_schedule(
    schedule: str, examples: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """Stopped after each of nine epochs, and in the middle of another call of fit: the same bits and records."""
    dev = tuple(a[::-1] + 1 for a in examples)
    whole = model_with(schedule, "")
    wanted = whole.fit(
        *examples, dev=dev, epochs=9, on_epoch=lambda r: whole.checkpoint(tmp_path / f"{r['epoch']:.0f}")
    )
    rates = [record["lr"] for record in wanted.records]
    assert len(set(rates)) > 3
    for epoch in range(1, 9):
        model = model_with(schedule, "")
        model.resume(tmp_path / str(epoch))
        history = model.fit(*examples, dev=dev)
        assert [record["lr"] for record in history.records] == rates
        for name, view in whole.parameters.items():
            np.testing.assert_array_equal(view.numpy(), model.parameters[name].numpy())


def test_two_calls_of_fit_are_one_schedule(examples: tuple[np.ndarray, np.ndarray]) -> None:
    """Epochs count on in a second `fit`, and so does what plateau has seen."""
    once, twice = (model_with("plateau(0, 0.5, threshold=0.2)") for _ in range(2))
    wanted = once.fit(*examples, epochs=8).records
    found = [*twice.fit(*examples, epochs=3).records, *twice.copy().fit(*examples, epochs=5).records]
    assert [r["lr"] for r in found] == [r["lr"] for r in wanted]
    assert len({r["lr"] for r in found}) > 2
