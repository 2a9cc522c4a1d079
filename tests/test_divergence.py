"""A step that is not finite changes nothing, is told with place, cause and remedy, and training ends or goes on as
`on_nan` says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.cli.main import run
from dslc.language.diagnostics import DataError
from dslc.runtime.model import Model
from dslc.runtime.training.divergence import Diverged

SPEC = """net Diverges {
  input x: 3
  dense(4) -> relu -> dense(1)
}
train {
  loss      mse
  optimizer sgd(lr=LR)
  batch     4
  epochs    200
}
"""
GOES_ON = """net GoesOn {
  input x: 3
  dense(4) -> batchnorm -> tanh -> dropout(0.2) -> dense(1)
}
train {
  loss      mse
  optimizer adam(lr=0.01)
  batch     4BATCH
  epochs    3
  shuffle   off
  MORE
}
"""


def data(count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return draw.standard_normal((count, 3)).astype(np.float32), draw.standard_normal((count, 1)).astype(np.float32)


def state_of(model: Model) -> dict[str, np.ndarray]:
    return model.trained_weights() | {name: view.numpy() for name, view in model.compiled.states().items()}


def assert_same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_a_learning_rate_that_is_too_high() -> None:
    x, y = data(16)
    model = dslc.loads(SPEC.replace("LR", "50"))
    words = r"in epoch \d+, step \d+: .* dense\d\.\w+ .*so the learning rate 50 is likely too high: try a tenth of it"
    with pytest.warns(Diverged, match=words):
        assert model.fit(x, y).stopped == "diverged"


def test_an_input_that_is_too_large() -> None:
    """The parameters stay as they were before the step, and the layer is named."""
    x, y = np.full((4, 3), 1e30, np.float32), np.zeros((4, 1), np.float32)
    model = dslc.loads(SPEC.replace("LR", "0.1"))
    before = state_of(model)
    words = (
        r"in epoch 1, step 1: .* is \d.\de\+3\d, in the output of (dense|relu)\d; no parameter is large, so an input"
    )
    with pytest.warns(Diverged, match=words):
        model.fit(x, y)
    assert_same(state_of(model), before)
    model.parameters["dense2.weight"][...] = 1e10
    with pytest.warns(Diverged, match=r"dense2\.weight has grown to 1\.0e\+10"):
        model.fit(x, y)


@pytest.mark.parametrize(("on_nan", "more"), [("skip", "clip norm(1)\n  average ema(0.9)"), ("halve_lr", "")])
@pytest.mark.parametrize("slices", ["", " in 2"])
def test_what_goes_on(on_nan: str, more: str, slices: str) -> None:
    """As if the mini-batches had not been there: one whose loss is infinite, and one whose loss is finite, but not the
    square of a gradient."""
    x, y = data()
    y[8:12], y[16:20] = 1e25, 1.2e19
    text = GOES_ON.replace("BATCH", slices).replace("MORE", f"on_nan {on_nan}\n  {more}")
    model, wanted = dslc.loads(text), dslc.loads(text)
    with pytest.warns(Diverged, match=r"the loss or a gradient is not finite in epoch 1, step 3: the step is left out"):
        history = model.fit(x, y)
    for _ in range(3):
        for first in (0, 4, None, 12, None, 20):
            if first is not None:
                wanted.train_step(x[first : first + 4], y[first : first + 4])
            elif on_nan == "halve_lr":
                wanted.lr_factor /= 2
    assert model.step == wanted.step == 12
    moved = () if not slices else ("batchnorm1.mean", "batchnorm1.var")  # by the slices of the second kind
    found = {name: array for name, array in state_of(model).items() if name not in moved}
    wanted_state = {name: array for name, array in state_of(wanted).items() if name not in moved}
    assert_same(found, wanted_state)
    assert [record["left_out"] for record in history.records] == [8, 8, 8]
    assert all(np.isfinite(record["loss"]) for record in history.records)
    rate = 0.01 / 64 if on_nan == "halve_lr" else 0.01
    assert history.records[-1]["lr"] == rate


def test_the_option_decides_and_the_factor_is_kept(tmp_path: Path) -> None:
    """An option of `fit`, where the file says nothing; a checkpoint, a copy and nothing else keep the learning rate."""
    x, y = data()
    y[8:12] = 1.2e19
    text = GOES_ON.replace("BATCH", "").replace("MORE", "")
    model, resumed = dslc.loads(text), dslc.loads(text)
    with pytest.warns(Diverged):
        model.fit(x, y, epochs=2, on_nan="halve_lr")
    model.checkpoint(tmp_path / "c")
    resumed.resume(tmp_path / "c")
    assert model.lr_factor == resumed.lr_factor == model.copy().lr_factor == 1 / 4
    with pytest.raises(DataError, match="on_nan is stop, skip or halve_lr, not 'halt'"):
        model.fit(x, y, on_nan="halt")


def test_an_update_that_spoils_what_the_optimizer_keeps() -> None:
    """Where only losses are looked at: adagrad's sum of squares becomes infinite, and its parameter would never move
    again."""
    x, y = data()
    y[8:12] = 1.2e19
    text = GOES_ON.replace("adam", "adagrad").replace("BATCH", "").replace("MORE", "")
    model = dslc.loads(text)
    with pytest.warns(Diverged, match=r"\w+\.\w+\.s is not finite after epoch 1, though every loss was"):
        assert model.fit(x, y).stopped == "diverged"


def test_training_ends_where_no_step_is_finite() -> None:
    x, y = data()
    text = GOES_ON.replace("BATCH", "").replace("MORE", "on_nan skip")
    model = dslc.loads(text)
    before = state_of(model)
    with pytest.warns(Diverged, match="for the 20th time in a row: training stops"):
        history = model.fit(x, np.full_like(y, 1.2e19), epochs=5)
    assert history.stopped == "diverged" and np.isnan(history.records[0]["loss"])
    assert_same(state_of(model), before)


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--on-nan`; where training stops, the run keeps a checkpoint of the state before the step."""
    monkeypatch.chdir(tmp_path)
    x, y = data()
    y[8:12] = 1e25
    np.savez("d.npz", x=x, y=y, x_dev=x[:8], y_dev=y[:8])
    Path("s.net").write_text(GOES_ON.replace("BATCH", "").replace("  MORE\n", ""))
    for on_nan, steps in (("skip", 15), ("stop", 2)):
        options = ["--run", on_nan, "--on-nan", on_nan, "--progress", "none"]
        with pytest.warns(Diverged):
            assert run(["train", "s.net", "--data", "d.npz", *options]) == 0
        assert f"on_nan {on_nan}" in Path(on_nan, "spec.net").read_text()
        model = dslc.load(Path(on_nan, "spec.net"))
        model.resume(Path(on_nan, "checkpoint"))
        assert model.step == steps
    assert run(["inspect", "s.net", "--data", "d.npz", "--checkpoint", "stop/checkpoint"]) == 0
    assert run(["train", "s.net", "--data", "d.npz", "--on-nan", "never"]) == 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_number_that_is_not_finite_is_found_wherever_it_is(dtype: str) -> None:
    """In whole groups of vectors, in single vectors, and behind them; each is looked at once."""
    model = dslc.loads("net Found {\n  input x: 17\n  dense(2)\n}\n", dtype=dtype)
    x = np.ones((21, 17), dtype)
    for place in range(x.size):
        x.flat[place] = (np.nan, np.inf, -np.inf)[place % 3]
        with pytest.raises(DataError, match=f"in example {place // 17}$"):
            model.predict(x)
        x.flat[place] = 1
    assert np.isfinite(model.predict(x)).all()
