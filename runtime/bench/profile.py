"""Time by layer and pass, beside the work that it is spent on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from dslc.codegen.by_layer import layer_of
from dslc.codegen.functions import tensors_of
from dslc.codegen.laps import Lap
from dslc.plan import Plan
from dslc.runtime.bench.machine import Limits
from dslc.runtime.bench.timed import Timing

PASSES = ("forward", "backward", "update")
PASS_OF = {
    "prepack": "forward", "begin": "forward", "forward": "forward", "small_batch": "forward", "losses": "forward",
    "backward": "backward", "finish": "backward", "check": "update", "update": "update",
}  # fmt: skip
"""The pass that a phase belongs to. An update that is fused into the backward pass is counted there."""
INPUT, LOSS, ALL = "input", "loss", "all layers"
"""What kernels of no layer are counted under."""


@dataclass(frozen=True)
class Spent:
    """What a layer takes in one pass of one call: seconds, multiply-adds, and the bytes of the tensors that its kernels
    read and write, each once a kernel."""

    layer: str
    kind: str
    seconds: float
    multiply_adds: int
    bytes: int


@dataclass(frozen=True)
class Profile:
    """A step by layer and pass, in the order of the network. `examples`: in a call. `inside`: layers that are computed
    in the kernels of the layer before, without a time of their own."""

    step: str
    examples: int
    spent: tuple[Spent, ...]
    inside: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Of all kernels in a call."""
        return sum(s.seconds for s in self.spent)

    @property
    def layers(self) -> tuple[str, ...]:
        """Those that have a time."""
        return tuple(dict.fromkeys(s.layer for s in self.spent))

    def of(self, layer: str, kind: str | None = None) -> Spent:
        """A layer in one pass, or in all."""
        found = [s for s in self.spent if s.layer == layer and kind in (None, s.kind)]
        work, moved = sum(s.multiply_adds for s in found), sum(s.bytes for s in found)
        return Spent(layer, kind or "", sum(s.seconds for s in found), work, moved)


def profile_of(plan: Plan, timings: Iterable[Timing], step: str, calls: int, examples: int) -> Profile:
    """The profile of a step, `predict` or `train`, that was called so often with so many examples."""
    found: dict[tuple[str, str], Spent] = {}
    names = [node.name for node in plan.graph.network.nodes]
    order = {name: place for place, name in enumerate((INPUT, *names, LOSS, ALL))}
    for timing in (t for t in timings if t.lap.step == step and t.seconds):
        layer, kind = _layer(plan, timing.lap), PASS_OF[timing.lap.phase]
        before = found.get((layer, kind), Spent(layer, kind, 0.0, 0, 0))
        operation = timing.lap.kernel.operation
        found[layer, kind] = replace(
            before,
            seconds=before.seconds + timing.seconds / calls,
            multiply_adds=before.multiply_adds + operation.multiply_adds * examples,
            bytes=before.bytes + _bytes(plan, timing.lap, examples),
        )
    spent = sorted(found.values(), key=lambda s: (order[s.layer], PASSES.index(s.kind)))
    timed = {s.layer for s in spent}
    return Profile(step, examples, tuple(spent), tuple(name for name in names if name not in timed))


def shares(spent: Spent, limits: Limits) -> tuple[float, float]:
    """The shares of the machine's multiply-adds and of its memory bandwidth; the latter is above one where data come
    from the caches."""
    if not spent.seconds:
        return 0.0, 0.0
    return spent.multiply_adds / spent.seconds / limits.multiply_adds, spent.bytes / spent.seconds / limits.bytes


def _layer(plan: Plan, lap: Lap) -> str:
    network, name = plan.graph.network, lap.kernel.operation.name
    layer = layer_of(network, name)
    if layer is not None:
        return layer
    if any(name.startswith(f"{value.name}_in") for value in network.inputs):
        return INPUT
    return ALL if PASS_OF[lap.phase] == "update" else LOSS


def _bytes(plan: Plan, lap: Lap, examples: int) -> int:
    """Each tensor once a call; what has no examples once a slice."""
    in_slices = lap.step != "predict" and lap.phase in ("forward", "backward")
    slices = -(-examples // plan.batch) if in_slices else 1
    tensors = tensors_of(lap.kernel.operation)
    return plan.itemsize * sum(t.elements * (examples if t.batched else slices) for t in tensors)
