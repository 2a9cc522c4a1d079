"""A sum and what follows it run in the layer before: for every kernel of a layer that a sum may follow."""

from __future__ import annotations

import pytest

from dslc.compiler import check_text
from dslc.ir import Network
from dslc.planning.planner import Options
from dslc.proofs.verify import verify
from dslc.runtime.model import Model

LAYERS = {
    "direct": ("7x9x5", "conv(17, 3x2, pad=same)", 3),
    "direct 1x1": ("6x7x33", "conv(33, 1x1)", 3),
    "lanes": ("7x9x3", "conv(4, 3x3, pad=same)", 20),
    "winograd": ("9x11x33", "conv(35, 3x3, pad=same)", 2),
    "depthwise": ("7x9x18", "conv(18, 3x3, pad=same, groups=18)", 3),
    "plain": ("7x9x6", "conv(9, 3x3, pad=same, groups=3)", 3),
    "dense": ("19", "dense(37)", 21),
    "narrow": ("19", "dense(3)", 5),
}


def network(shape: str, layer: str, batch: int) -> Network:
    after = " -> flatten" if "x" in shape else ""
    return check_text(f"""net Sums {{
      input x: {shape}
      left  = x -> {layer} -> tanh
      right = x -> {layer}
      both  = add(left, right) -> relu
      both{after} -> dense(3) -> softmax
    }}
    train {{
      loss cross_entropy
      optimizer sgd(lr=0.1)
      batch {batch}
    }}
    """)


def kinds(model: Model, step: str) -> list[str]:
    return [k.operation.kind for k in model.plan.step(step).kernels]  # type: ignore[union-attr]


@pytest.mark.parametrize("case", LAYERS)
def test_sum_after_a_layer(case: str) -> None:
    """Nothing is left of the sum, and outputs, gradients and steps are NumPy's."""
    model = Model(network(*LAYERS[case]), options=Options(("groups",) if case == "plain" else ()))
    for step in ("predict", "train"):
        assert "add" not in kinds(model, step)
    rows = verify(model, model.batch - 1)
    assert all(row.ok for row in rows), [row for row in rows if not row.ok]


def test_what_a_layer_reads_itself_is_not_added_in_it() -> None:
    """The layer reads a copy with zeros around it, and the sum wants none."""
    net = check_text("""net Itself {
      input x: 9x9x3
      stem = conv(17, 3x3, pad=same) -> relu
      side = stem -> conv(17, 3x3, stride=1, dilation=2, pad=same)
      both = add(stem, side) -> relu
      both -> flatten -> dense(3) -> softmax
    }
    train {
      loss cross_entropy
      optimizer sgd(lr=0.1)
      batch 4
    }
    """)
    rows = verify(Model(net), 3)
    assert all(row.ok for row in rows), [row for row in rows if not row.ok]


def test_a_sum_of_what_others_read_stays() -> None:
    """`left` is an input of the sum and of another layer, `right` too: neither may become the sum."""
    net = check_text("""net Read {
      input x: 5
      left  = x -> dense(20)
      right = x -> dense(20)
      sum   = add(left, right)
      output a = concat(sum, left, right) -> dense(1) -> sigmoid
    }
    """)
    assert "add" in kinds(Model(net), "predict")


@pytest.mark.parametrize("others", ["left, left", "left, right"])
def test_a_sum_of_three_stays(others: str) -> None:
    """A layer adds one other value to its own."""
    net = check_text(f"""net Three {{
      input x: 6x7x5
      left  = x -> conv(17, 1x1) -> tanh
      right = x -> conv(17, 1x1) -> sigmoid
      sum   = add(left, right) -> conv(17, 1x1) -> add({others})
      sum -> flatten -> dense(2)
    }}
    train {{
      loss mse
      optimizer sgd(lr=0.001)
      batch 3
    }}
    """)
    model = Model(net)
    assert "add" in kinds(model, "predict")
    rows = verify(model, 3)
    assert all(row.ok for row in rows), [row for row in rows if not row.ok]
