"""The best weights are the ones that are left, however training ends."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

import dslc
from dslc.runtime.training.divergence import Diverged
from dslc.runtime.training.fit import Fit
from dslc.runtime.training.progress import Progress

SPEC = """net A {
  input x: 4
  dense(3) -> softmax
}
train {
  loss      cross_entropy
  optimizer sgd(5)
  batch     8
  stop      early(patience=%d)
}
"""


class Ends(Progress):
    """Raises after so many epochs, as Ctrl-C or a broken callback would."""

    def __init__(self, ending: type[BaseException] | None, after: int) -> None:
        self.ending, self.after = ending, after

    def epoch(self, record: dict[str, float]) -> None:
        if self.ending is not None and record["epoch"] == self.after:
            raise self.ending


@pytest.mark.parametrize(
    ("ending", "patience", "stopped"),
    [(None, 99, "epochs"), (None, 3, "early"), (KeyboardInterrupt, 99, "interrupted"), (RuntimeError, 99, "failed")],
)
def test_best_weights(
    ending: type[BaseException] | None, patience: int, stopped: str, rng: np.random.Generator
) -> None:
    model = dslc.loads(SPEC % patience)
    x, y = rng.standard_normal((60, 4)), rng.integers(0, 3, 60)
    dev = (x[:20], y[:20])
    fit = Fit(model, model._training_batches(x, y), dev, Ends(ending, 11))
    with pytest.raises(RuntimeError) if ending is RuntimeError else contextlib.nullcontext():
        fit.run(12)
    losses = fit.history.to_dict()["dev_loss"]
    assert fit.history.stopped == stopped and losses[-1] > min(losses)
    assert model.evaluate(*dev)["loss"] == pytest.approx(min(losses))


def test_best_weights_after_divergence(rng: np.random.Generator) -> None:
    model = dslc.loads(SPEC % 99)
    x, y = rng.standard_normal((60, 4)), rng.integers(0, 3, 60)

    class Spoils(Progress):
        def epoch(self, record: dict[str, float]) -> None:
            if record["epoch"] == 12:
                model.parameters["dense1.weight"][0, 0] = np.nan

    fit = Fit(model, model._training_batches(x, y), (x[:20], y[:20]), Spoils())
    with pytest.warns(Diverged, match="the best weights so far are kept"):
        fit.run(20)
    losses = fit.history.to_dict()["dev_loss"]
    assert fit.history.stopped == "diverged" and len(losses) == 12
    assert model.evaluate(x[:20], y[:20])["loss"] == pytest.approx(min(losses))
