"""How far rounding alone may take the numbers of a network.

`Rounded` is the NumPy interpreter in which every number that flows between layers, forward and back, is off by a few
parts in `eps` at random, as if it had been rounded. Its results scatter around the exact ones; by how much is the
measure for what compiled C may differ. So no number is judged more strictly or more loosely than it deserves: where
terms cancel (a gradient that is truly zero) or rounding decides (relu at 0, a tie of maxpool, a step of adam along a
gradient that is nothing but rounding), the scatter shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dslc.layers import Layer, Mode, Reference
from dslc.layers.batchnorm import BatchNorm
from dslc.numerics import Array, np
from dslc.proofs.reference import Arrays, Interpreter


@dataclass
class Rounded(Interpreter):
    """An interpreter whose numbers are off by `eps` at most, relatively. A layer that keeps the shape is one of single
    elements or nearly so: it may subtract (1 - y * y in tanh), and its rounding is relative to what flows in, too."""

    eps: float = 0.0
    random: np.random.Generator = field(default_factory=np.random.default_rng)

    def off(self, x: Array, beside: Array | float = 0.0) -> Array:
        """x, rounded; `beside` is what it may be the difference of."""
        return x + self.eps * self.random.uniform(-1, 1, x.shape) * np.maximum(np.abs(x), np.abs(beside))

    def run(self, inputs: Mapping[str, Array], training: bool) -> tuple[Arrays, dict[str, Reference]]:
        values: Arrays = {name: self.off(x) for name, x in inputs.items()}
        results: dict[str, Reference] = {}
        for index, node in enumerate(self.network.nodes):
            xs = tuple(values[v.name] for v in node.inputs)
            own = {p.name.removeprefix(f"{node.name}."): self.off(self.parameters[p.name]) for p in node.parameters}
            exact = node.layer.reference(xs, own, Mode(training, self.seed, self.step, index))
            gain = gain_of(node.layer, xs[0], own) if training else 1.0
            results[node.name] = self._rounded(exact, xs[0], gain)
            values[node.output.name] = results[node.name].y
        return values, results

    def _rounded(self, exact: Reference, x: Array, gain: Array | float) -> Reference:
        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            dxs, dps = exact.pull(self.off(dy))
            beside = gain * (1 + gain * np.abs(x)) * np.abs(dy).max() if x.shape == dy.shape else 0.0
            # Winograd's sums of squares have no exact zeros where a filter meets nothing but padding.
            dps = {role: self.off(dp, np.abs(dp).max()) for role, dp in dps.items()}
            return tuple(self.off(dx, beside) for dx in dxs), dps

        return Reference(self.off(exact.y, gain * x if x.shape == exact.y.shape else 0.0), pull, exact.updates)

    def _losses(self, values: Arrays, targets: Mapping[str, Array]) -> tuple[float, Arrays]:
        """The slope of a loss is a difference from a target, such as p - 1 where an output is sure of itself."""
        loss, flowing = super()._losses(values, targets)
        for head in self.network.heads:
            assert head.loss is not None
            judged, target = self.loss_input(head).name, targets[head.name]
            flowing[judged] = self.off(flowing[judged], head.loss.weight / target.size)
        return float(self.off(np.asarray(loss))), flowing

    def update(self, gradients: Arrays, results: Mapping[str, Reference], lr: float) -> None:
        super().update(gradients, results, lr)
        self.parameters = {name: self.off(p) for name, p in self.parameters.items()}


def gain_of(layer: Layer, x: Array, p: Mapping[str, Array]) -> Array | float:
    """By how much a layer multiplies what it subtracts: batchnorm computes scale * x + shift, whose terms are large
    where x hardly differs from its mean."""
    if not isinstance(layer, BatchNorm):
        return 1.0
    deviation = np.sqrt(x.var(axis=tuple(range(x.ndim - 1))) + layer.eps)
    return np.asarray(np.maximum(np.abs(p["gamma"]), 1) / deviation)
