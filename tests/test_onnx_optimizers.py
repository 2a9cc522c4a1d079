"""ONNX's own node cases of Adagrad and Momentum. At their step T = 0 its conventions are those of `adagrad` and of
`sgd(momentum=...)`; its norm_coefficient is the slope of l2 on one example."""

from __future__ import annotations

import numpy as np
import pytest

import dslc
from helpers import state_of

onnx = pytest.importorskip("onnx")
node = pytest.importorskip("onnx.backend.test.case.node")
CASES = {
    "test_adagrad": ("adagrad({rate}, eps={epsilon})", "s"),
    "test_momentum": ("sgd({rate}, momentum={alpha})", "v"),
    "test_nesterov_momentum": ("sgd({rate}, momentum={alpha}, nesterov=on)", "v"),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # from other cases, which are collected along
@pytest.mark.parametrize("name", CASES)
def test_node_case(name: str) -> None:
    """The gradient G arises from a dense layer with the input G and an error of 1/2."""
    case = next(c for c in node.collect_testcases(None) if c.name == name)
    given = {a.name: onnx.helper.get_attribute_value(a) for a in case.model.graph.node[0].attribute}
    (rate, step, w, g, state), (w_after, state_after) = case.data_sets[0]
    assert step == 0
    text, state_name = CASES[name]
    optimizer = text.format(rate=float(rate), **given)
    model = dslc.loads(
        f"net Node {{\n  input x: {len(w)}\n  dense(1, bias=off)\n}}\n"
        f"train {{\n  loss mse\n  optimizer {optimizer}\n  regularize l2({given['norm_coefficient']})\n  batch 1\n}}\n",
        dtype="float64",
    )
    w, g = w.astype(np.float64), g.astype(np.float64)
    model.parameters["dense1.weight"] = w[None]
    model.compiled.view("dense1.weight", f"dense1_weight_{state_name}_state")[...] = state[None]
    model.train_step(g[None], np.array([[w @ g - 0.5]]))
    assert np.allclose(model.parameters["dense1.weight"].numpy()[0], w_after, rtol=1e-6)
    assert np.allclose(state_of(model, "dense1.weight", state_name)[0], state_after, rtol=1e-6)
