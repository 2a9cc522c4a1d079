"""How far rounding alone may take the numbers of a network.

`Rounded` is the NumPy interpreter in which every number that flows between layers, forward and back, is off by a few
parts in `eps` at random, as if it had been rounded. Its results scatter around the exact ones; by how much is the
measure for what compiled C may differ. So no number is judged more strictly or more loosely than it deserves: where
terms cancel (a gradient that is truly zero) or rounding decides (relu at 0, a tie of maxpool, a step of adam along a
gradient that is nothing but rounding), the scatter shows it. So it is with numbers that are rounded to bf16 or to
integers: one in the middle between two of them falls on either side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dslc.ir import Node
from dslc.layers import Layer, Mode, Reference
from dslc.layers._group_norm import GroupNormalization
from dslc.layers._row_norm import RowNorm
from dslc.layers.attention import Attention
from dslc.layers.batchnorm import BatchNorm
from dslc.layers.layernorm import LayerNorm
from dslc.numerics import Array
from dslc.proofs.reference import Arrays, Interpreter

EXACT = {np.absolute, np.negative, np.maximum, np.minimum, np.sign, np.floor, np.ceil, np.rint, np.isfinite}
"""What NumPy computes without rounding."""
PRODUCTS = (np.einsum, np.dot)
WITHIN = (Attention, GroupNormalization, LayerNorm, RowNorm)
"""Layers in which rounding of one number moves many alike: attention's keys may hardly differ, and where a mean or a
norm is off, so is all that it divides."""


@dataclass
class Rounded(Interpreter):
    """An interpreter whose numbers are off by `eps` at most, relatively. A layer that keeps the shape is one of single
    elements or nearly so: it may subtract (1 - y * y in tanh), and its rounding is relative to what flows in, too."""

    eps: float = 0.0
    random: np.random.Generator = field(default_factory=np.random.default_rng)

    def off(self, x: Array, beside: Array | float = 0.0) -> Array:
        """x, rounded; `beside` is what it may be the difference of."""
        size = np.maximum(np.abs(x), np.abs(beside))
        return x + self.eps * self.random.uniform(-1, 1, x.shape) * np.where(np.isfinite(size), size, 0)

    def __post_init__(self) -> None:
        nodes = tuple(
            replace(node, layer=RoundedLayer(node.layer, self.off, self.network.dtype)) for node in self.network.nodes
        )
        self.network = replace(self.network, nodes=nodes)

    def run(self, inputs: Mapping[str, Array], training: bool) -> tuple[Arrays, dict[str, Reference]]:
        return super().run({name: self.off(x) for name, x in inputs.items()}, training)

    def own(self, node: Node, used: Mapping[str, Array]) -> Arrays:
        """Weights are off before they are rounded to integers, too."""
        return super().own(node, {p.name: self.off(used[p.name]) for p in node.roles.values()})

    def _losses(
        self, values: Arrays, targets: Mapping[str, Array], weights: Array | None = None
    ) -> tuple[float, Arrays]:
        """The slope of a loss is a difference from a target, such as p - 1 where an output is sure of itself."""
        loss, flowing = super()._losses(values, targets, weights)
        for head in self.network.heads:
            assert head.loss is not None
            judged, target = self.loss_input(head).name, targets[head.name]
            flowing[judged] = self.off(flowing[judged], head.loss.weight / target.size)
        return float(self.off(np.asarray(loss))), flowing

    def update(self, gradients: Arrays, results: Mapping[str, Reference], lr: float) -> None:
        super().update({name: self._perhaps_nothing(g) for name, g in gradients.items()}, results, lr)
        self.parameters = {name: self.off(p) for name, p in self.parameters.items()}

    def _perhaps_nothing(self, gradient: Array) -> Array:
        """A gradient, or 0 where it is nothing but rounding, which may cancel without a rest: lars takes a whole step
        along the smallest gradient, and none along 0."""
        nothing = np.abs(gradient).max() <= self.eps and self.random.integers(2) == 0
        return gradient * (not nothing)


class RoundedLayer(Layer):
    """A layer that takes rounded parameters, and rounds what flows out of it and back; within the layers of `WITHIN`
    every step is rounded."""

    def __init__(self, layer: Layer, off: Callable[..., Array], dtype: str) -> None:
        self.layer, self.off, self.dtype = layer, off, dtype
        self.mixes, self.by_slice, self.of_target = layer.mixes, layer.by_slice, layer.of_target  # type: ignore[misc]

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        p = {role: self.off(array) for role, array in p.items()}
        within = {role: self._within(array) for role, array in p.items()}
        exact, x = self.layer.reference(tuple(map(self._within, xs)), within, mode), xs[0]
        deviation = self._deviation(x) if mode.training else None

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            dxs, dps = exact.pull(self._within(self.off(dy)))
            beside: Array | float = np.abs(dy) if x.shape == dy.shape else 0.0
            # Winograd's sums of squares have no exact zeros where a filter meets nothing but padding.
            sums: dict[str, Array] = {role: np.abs(dp).max() for role, dp in dps.items()}
            if deviation is not None:  # gamma / deviation * (dy - (slope * x + shift))
                slope = np.abs(dps["gamma"]) / (x.size // x.shape[-1]) / deviation
                beside = np.abs(p["gamma"]) / deviation * (np.abs(dy) + slope * np.abs(x))
                terms = dy * x / deviation  # sum of dy * x, less that of dy times the mean
                sums["gamma"] = np.abs(terms).reshape(-1, x.shape[-1]).sum(axis=0) + self._drift(terms)
            sums |= {role: np.maximum(sums[role], self._drift(dy)) for role in ("bias", "beta") if role in dps}
            dps = {role: self.off(np.asarray(dp), sums[role]) for role, dp in dps.items()}
            return tuple(self.off(np.asarray(dx), beside if dx.shape == dy.shape else 0.0) for dx in dxs), dps

        beside: Array | float = x if x.shape == exact.y.shape else 0.0
        if deviation is not None:  # gamma / deviation * x + shift
            beside = p["gamma"] / deviation * x
        return Reference(self.off(np.asarray(exact.y), beside), pull, exact.updates)

    def _drift(self, terms: Array) -> Array:
        """By how many eps the sum over examples and pixels is off where they are added up one by one: where they are
        alike, each is rounded the same way."""
        rows = terms.reshape(-1, terms.shape[-1]).astype(self.dtype)
        return np.abs(rows.cumsum(axis=0)[-1] - rows.sum(axis=0, dtype=np.longdouble)) / np.finfo(self.dtype).eps

    def _within(self, x: Array) -> Array:
        """The numbers of x as the layer computes with them."""
        return Rounding.of(x, self.off) if isinstance(self.layer, WITHIN) else x

    def _deviation(self, x: Array) -> Array | None:
        """Of each channel of the mini-batch, for batchnorm: its terms are large where x hardly differs from its
        mean."""
        if not isinstance(self.layer, BatchNorm):
            return None
        return np.asarray(np.sqrt(x.var(axis=tuple(range(x.ndim - 1))) + self.layer.eps))


class Rounding(np.ndarray[Any, Any]):
    """An array of which all that is computed is rounded by `off`, and all that is computed of that."""

    off: Callable[..., Array]

    @classmethod
    def of(cls, x: Array, off: Callable[..., Array]) -> Array:
        """The numbers of x; whole ones stay what they are."""
        if x.dtype.kind != "f":
            return x
        rounding = x.view(cls)
        rounding.off = off
        return rounding

    def __array_finalize__(self, of: Array | None) -> None:
        self.off = getattr(of, "off", None)  # type: ignore[assignment]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        given = [np.asarray(x) if isinstance(x, Rounding) else x for x in inputs]
        options = {k: np.asarray(v) if isinstance(v, Rounding) else v for k, v in options.items()}
        result = getattr(ufunc, method)(*given, **options)
        if result is None or ufunc in EXACT or np.asarray(result).dtype.kind != "f":
            return self._into(out, result)
        if ufunc is np.matmul or (ufunc is np.add and method == "reduce"):
            return self._into(out, self.off(result, getattr(ufunc, method)(*map(np.abs, given), **options)))
        return self._into(out, self.off(np.asarray(result)))

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        result = super().__array_function__(function, types, args, options)
        if function in PRODUCTS:
            result = self.off(np.asarray(result), function(*map(_absolute, args), **options))
        return Rounding.of(result, self.off) if isinstance(result, np.ndarray) else result

    def _into(self, out: tuple[Array, ...] | None, result: Any) -> Any:
        """The result where NumPy was asked to write it."""
        if out is None:
            return Rounding.of(result, self.off) if isinstance(result, np.ndarray) else result
        np.asarray(out[0])[...] = result
        return out[0]


def _absolute(x: Any) -> Any:
    return np.abs(np.asarray(x)) if isinstance(x, np.ndarray) else x
