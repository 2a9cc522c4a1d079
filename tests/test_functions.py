"""The functions that the emitted C brings along, in units of the last place, against NumPy's extended precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from dslc.compiler import check_text
from dslc.runtime.model import Model
from dslc.target import Target
from helpers import WIDTHS, runs

FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0),
}
ULPS = 6


def values(dtype: str) -> np.ndarray:
    """Numbers of all sizes, also those where a function turns flat, and 0."""
    rng = np.random.default_rng(1)
    small = rng.choice([-1, 1], 4000) * 10.0 ** rng.uniform(-30, 1.9, 4000)
    return np.concatenate([rng.uniform(-9, 9, 9000), small, [0.0, 87.0, -80.0, 300.0, 1e30]]).astype(dtype)[:, None]


@cache
def outputs(target: Target, dtype: str) -> dict[str, np.ndarray]:
    """The functions of `values`, as a network has them."""
    heads = "\n".join(f"  output y_{name} = x -> {name}" for name in FUNCTIONS)
    losses = "\n".join(f"  loss y_{name}: mse" for name in FUNCTIONS)
    net = check_text(f"""net Functions {{
      input x: 1
      output learns = x -> dense(1)
    {heads}
    }}
    train {{
      loss learns: mse
    {losses}
      optimizer sgd(lr=0.1)
      batch 64
      precision {dtype}
    }}
    """)
    return dict(Model(net, target=target).predict(values(dtype)))


@pytest.mark.parametrize("target", [t for t in WIDTHS if runs(t)], ids=lambda target: target.name)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_last_places(name: str, dtype: str, target: Target) -> None:
    found = outputs(target, dtype)[f"y_{name}"][:, 0]
    wanted = FUNCTIONS[name](values(dtype)[:, 0].astype(np.longdouble))
    apart = np.abs(found - wanted) / np.spacing(np.abs(found)).astype(np.longdouble)
    print(f"{name} {dtype}: {float(apart.max()):.2f} ulp")
    assert apart.max() < ULPS
