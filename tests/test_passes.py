"""Passes: each can be left out, and then the network computes the same."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from dslc.compiler import check_file, check_text, plan_network
from dslc.ir import Network
from dslc.plan import Plan
from dslc.planning.planner import PASSES, Options
from dslc.proofs.verify import Comparison, verify
from dslc.runtime.model import Model
from helpers import NETWORKS, REPO

NETS = ("lenet5", "residual", "mlp_batchnorm", "grouped", "pooled", "large", "filters", "residual in little memory")


@cache
def network(name: str) -> Network:
    if name in NETWORKS:
        return check_text(NETWORKS[name])
    spec, _, little = name.partition(" in ")
    return check_file(REPO / "specs" / f"{spec}.net", {"memory": "low"} if little else {})


def decisions(plan: Plan) -> tuple[object, ...]:
    """What runs, phase by phase, whether threads share it, and how much memory it takes."""
    kernels = [(phase.name, k.function, k.parallel) for s in plan.steps for phase in s.phases for k in phase.kernels]
    return *kernels, plan.arena_bytes(True)


JUDGED: dict[tuple[object, str], list[Comparison]] = {}
"""What was found of each C with its memory: many networks are the same without a pass, with nothing to do there."""


@pytest.mark.parametrize("left_out", [(), *((name,) for name in PASSES), PASSES], ids="+".join)
@pytest.mark.parametrize("name", NETS)
def test_without_a_pass(name: str, left_out: tuple[str, ...]) -> None:
    """Outputs, gradients, and parameters and outputs after ten steps against NumPy."""
    net = network(name)
    model = Model(net, options=Options(left_out))
    ran = model.library.path, str(model.plan.memory_map)
    rows = JUDGED.get(ran) or JUDGED.setdefault(ran, verify(model, 7))
    assert len(rows) == 2 * len(net.heads) + sum(p.learns for p in net.parameters) + len(net.parameters)
    assert all(row.ok for row in rows), [row for row in rows if not row.ok]


@pytest.mark.parametrize("name", PASSES)
def test_every_pass_does_something(name: str) -> None:
    """Else the test above would try nothing."""
    plans = [(plan_network(network(n)), plan_network(network(n), options=Options((name,)))) for n in NETS]
    assert any(decisions(with_it) != decisions(without) for with_it, without in plans)


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [2, 4])
def test_pooling_in_winograd(outputs: int) -> None:
    """The largest of each window straight from the squares, against NumPy; in training all pixels are needed."""
    wanted = (("conv1_forward", f"winograd{outputs}x3"), ("conv2_forward", f"winograd{outputs}x5"))
    model = Model(network("pooled"), options=Options(algorithms=wanted))
    pools = [(step.name, k.function) for step in model.plan.steps for k in step.kernels if "maxpool" in k.function]
    assert not [name for step, name in pools if step == "predict"]
    assert len([name for step, name in pools if step == "train" and "forward" in name]) == 2
    for count in (7, 3, 1):
        assert all(row.ok for row in verify(model, count))


def test_an_unknown_pass() -> None:
    with pytest.raises(ValueError, match=r"there is no pass 'fussion'; there are .*fusion"):
        Options(("dead", "fussion"))


@pytest.mark.optimized
@pytest.mark.parametrize(
    "layers",
    [
        "conv(16, 3x3, pad=same) -> relu -> conv(16, 3x3, pad=same) -> relu -> conv(2, 1x1) -> softmax",
        "conv(32, 3x3, pad=same) -> relu -> conv(8, 1x1) -> maxpool(2) -> flatten -> dense(3)",
    ],
)
def test_alone_as_among_others(layers: str, rng: np.random.Generator) -> None:
    """An example is predicted with the same bits alone, by the phase for small batches, and in a whole one."""
    model = Model(check_text(f"net A {{\n input image: 12x12x3\n {layers}\n}}"), threads=1)
    assert any(phase.name == "small_batch" for phase in model.plan.graph.predict.phases)
    x = rng.standard_normal((64, 12, 12, 3)).astype(np.float32)
    together = model.predict(x)
    for n in (1, 3):
        np.testing.assert_array_equal(model.predict(x[:n]), together[:n])
