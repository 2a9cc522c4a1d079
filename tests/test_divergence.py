"""A loss that is not finite ends training before the update, and what is said names place, cause and remedy."""

from __future__ import annotations

import numpy as np
import pytest

import dslc
from dslc.runtime.training.fit import Diverged

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


def test_a_learning_rate_that_is_too_high() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.standard_normal((16, 3)).astype(np.float32), draw.standard_normal((16, 1)).astype(np.float32)
    model = dslc.loads(SPEC.replace("LR", "50"))
    words = r"in epoch \d+, step \d+: .* dense\d\.\w+ .*so the learning rate 50 is likely too high: try a tenth of it"
    with pytest.warns(Diverged, match=words):
        assert model.fit(x, y).stopped == "diverged"


def test_an_input_that_is_too_large() -> None:
    """The parameters stay as they were before the step."""
    x, y = np.full((4, 3), 1e30, np.float32), np.zeros((4, 1), np.float32)
    model = dslc.loads(SPEC.replace("LR", "0.1"))
    before = model.copy_weights()
    with pytest.warns(Diverged, match=r"in epoch 1, step 1: .* no parameter is large, so an input, a target"):
        model.fit(x, y)
    for name, array in model.copy_weights().items():
        np.testing.assert_array_equal(array, before[name])
