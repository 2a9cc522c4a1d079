"""What passes do and what they must leave alone, seen in plans: nothing is compiled. Left-out optimizations compute the
same, so no comparison of numbers notices them."""

from __future__ import annotations

import pytest

from dslc import kernels
from dslc.compiler import check_text, plan_network
from dslc.ir import Network
from dslc.lowering.lower import lower
from dslc.passes.small_batch import largest_small_batch
from dslc.planning.planner import default_setting
from dslc.target import TARGETS

TRAIN = "train {\n  loss mse\n  optimizer sgd(0.1)\n  batch 16\n}\n"


def net(*lines: str) -> Network:
    return check_text("net Decided {\n  " + "\n  ".join(lines) + "\n}\n" + TRAIN)


def kinds(network: Network, step: str = "predict", target: str = "generic") -> list[str]:
    """The operations of a step, in order."""
    planned = plan_network(network, TARGETS[target]).step(step)
    assert planned is not None
    return [kernel.operation.kind for kernel in planned.kernels]


@pytest.mark.parametrize(
    ("lines", "folds"),
    [
        (["x -> conv(4, 3x3) -> batchnorm -> relu"], 1),
        (["x -> conv(4, 3x3) -> batchnorm -> batchnorm"], 2),
        (["a = x -> conv(4, 3x3)", "b = a -> batchnorm", "add(a, b)"], 0),
        (["a = x -> conv(4, 3x3)", "output a_too = a -> relu", "output b = a -> batchnorm"], 0),
        (["x -> conv(4, 3x3) -> relu -> batchnorm"], 0),
        (["x -> batchnorm -> conv(4, 3x3)"], 0),
    ],
)
def test_batch_norms_are_folded_where_nothing_else_reads(lines: list[str], folds: int) -> None:
    text = "\n  ".join(["input x: 7x7x3", *lines])
    head = "loss a_too: mse\n  loss b: mse" if "a_too" in text else "loss mse"
    found = kinds(check_text(f"net Folded {{\n  {text}\n}}\n{TRAIN.replace('loss mse', head)}"))
    assert found.count("fold_batchnorm") == folds


@pytest.mark.parametrize(
    ("layer", "widened"),
    [
        ("conv(8, 3x3, groups=2)", 0),
        ("conv(6, 3x3, groups=2)", 1),
        ("conv(8, 3x3, groups=8)", 0),
        ("conv(8, 3x3)", 0),
        ("conv(48, 3x3, groups=16)", 1),
        ("conv(51, 3x3, groups=17)", 0),
    ],
)
def test_groups_are_widened_that_do_not_fit_vectors(layer: str, widened: int) -> None:
    """Vectors of 4 numbers; of a single channel a group is depthwise, and of more than 16 groups the zeros cost too
    much."""
    channels = int(layer[len("conv(") :].partition(",")[0])
    assert kinds(net(f"input x: 7x7x{channels}", layer)).count("widen_filters") == widened


@pytest.mark.parametrize(("target", "most"), [("generic", 2), ("x86-64-v3", 4), ("x86-64-v4", 8)])
def test_small_batches_fill_up_to_half_a_vector(target: str, most: int) -> None:
    """Of 4, 8 and 16 numbers; where no example has a lane of its own there are none."""
    for filters, wanted in ((3, most), (40, 0)):
        plan = plan_network(net("input x: 9x9x3", f"conv({filters}, 3x3) -> relu"), TARGETS[target])
        assert largest_small_batch(plan.graph.predict, plan.target.lanes(plan.itemsize)) == wanted


def test_the_cheapest_algorithm_is_chosen() -> None:
    network = net("input x: 30x30x16", "conv(32, 3x3, pad=same) -> relu -> flatten -> dense(9)")
    plan, graph = plan_network(network, TARGETS["generic"]), lower(network)
    setting = default_setting(graph, TARGETS["generic"], 16, 1)
    costs = {op.name: kernels.algorithms(op, setting) for step in graph.steps for op in step.operations}
    chosen = {k.operation.name: k.operation.choice for step in plan.steps for k in step.kernels}
    several = [name for name, known in costs.items() if len(known) > 1 and chosen.get(name) in known]
    assert len(several) == 2
    assert all(costs[name][chosen[name]] == min(costs[name].values()) for name in several)


def test_threads_share_the_update_of_many_weights_even_for_one_example() -> None:
    """The products are few then, but the weights and the optimizer's states are all read and written."""
    text = "net Wide {\n  input x: 784\n  dense(256) -> relu -> dense(8)\n}\n" + TRAIN.replace("batch 16", "batch 1")
    step = plan_network(check_text(text.replace("sgd(0.1)", "adam(0.1)")), threads=2).step("train")
    assert step is not None
    shared = {kernel.operation.name for kernel in step.kernels if kernel.parallel}
    assert "dense1_backward_weight_update" in shared
    assert "dense2_backward_weight_update" not in shared


def test_rows_are_spread_where_a_tile_has_more_of_them_than_a_set_of_the_cache() -> None:
    """Of 4 KB and where vectors are wide, but not for a layer that has no tiles."""
    network = net("input x: 32x32", "x -> flatten -> dense(2048) -> relu -> dense(1000) -> dense(20) -> dense(3)")
    assert kinds(network, target="x86-64-v4").count("spread_rows") == 2
    assert kinds(net("input x: 1024", "x -> dense(8)"), target="x86-64-v4").count("spread_rows") == 0
    assert "spread_rows" not in kinds(network, target="x86-64-v3")
