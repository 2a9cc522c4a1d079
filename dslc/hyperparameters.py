"""Hyperparameters that compiled C takes as numbers at run time: with another value nothing is compiled again, as in a
search.

They are the rates of dropout, the deviation of noise, the strengths of l2 and l1, the limit of `clip`, and an
optimizer's momentum, betas and weight decay. The struct of a network has a field for each; layers that come from one
call, as in a `repeat`, share one. One of 0 switches something off, and so changes what is compiled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from dslc.clips import Clip
from dslc.ir import Network, Node, Parameter
from dslc.optimizers import Optimizer
from dslc.registry import name_of
from dslc.scalar import Hyperparameter

T = TypeVar("T")


def values(network: Network) -> dict[str, float]:
    """The values of the hyperparameters of training, by their fields in the struct of the network."""
    names = _Names()
    names.network(network)
    return names.values


def named(network: Network) -> Network:
    """The network with names in place of the values; what it computes can be lowered, but not evaluated."""
    return _Names().network(network)


def numbers_of(*things: object) -> tuple[tuple[str, str], ...]:
    """The hyperparameters among the arguments of layers, regularizers and so on: what kernels call them, and their
    fields."""
    values = [value for thing in things for value in vars(thing).values()]
    inner = [pair for value in values if isinstance(value, Optimizer) for pair in numbers_of(value)]
    return (*((value.code, value.field) for value in values if isinstance(value, Hyperparameter)), *inner)


@dataclass
class _Names:
    """Gives each hyperparameter a field. `values` and `fields` grow: the value by the field, and the field by the place
    in the spec and the value."""

    values: dict[str, float] = field(default_factory=dict)
    fields: dict[tuple[object, ...], str] = field(default_factory=dict)

    def network(self, network: Network) -> Network:
        """The network with names; without `train` nothing has one."""
        training = network.training
        if training is None:
            return network
        own = {p.name: self.parameter(p, node) for node in network.nodes for p in node.parameters}
        nodes = tuple(self.node(node, own) for node in network.nodes)
        clip = training.clip
        training = replace(
            training,
            optimizer=self.optimizer(training.optimizer),
            clip=None if clip is None else self.clip(clip),
        )
        return replace(network, nodes=nodes, training=training)

    def node(self, node: Node, own: Mapping[str, Parameter]) -> Node:
        """A node with names in its layer and parameters."""
        layer = node.layer
        names = {
            name: self.name(name, value, f"{node.name}_{name}", node.call)
            for name, value in layer.hyperparameters.items()
        }
        return replace(
            node,
            layer=_with(layer, **names) if names else layer,
            parameters=tuple(own[p.name] for p in node.parameters),
            borrowed=tuple(own.get(p.name, p) for p in node.borrowed),
        )

    def parameter(self, p: Parameter, node: Node) -> Parameter:
        """A parameter with names for the strengths of its regularizers: those of its layer's call, or of `train`."""
        if not p.regularizers:
            return p
        prefix, place = (f"{node.name}_", node.call) if p.own_regularizers else ("", None)
        kinds = [(name_of(regularizer), regularizer) for regularizer in p.regularizers]
        regularizers = tuple(_with(r, strength=self.name(k, r.strength, prefix + k, place)) for k, r in kinds)
        return replace(p, regularizers=regularizers)

    def optimizer(self, optimizer: Optimizer) -> Optimizer:
        """An optimizer with names in it, or in the one that it contains."""
        if isinstance(inner := getattr(optimizer, "optimizer", None), Optimizer):
            return _with(optimizer, optimizer=self.optimizer(inner))
        return _with(optimizer, **{name: self.name(name, value) for name, value in optimizer.hyperparameters.items()})

    def clip(self, clip: Clip) -> Clip:
        """A clip with a name for its limit."""
        return _with(clip, limit=self.name(f"clip_{name_of(clip)}", clip.limit))

    def name(self, code: str, value: float, field: str = "", place: object = None) -> Hyperparameter:
        """What kernels call `code`; its field is the one of the same value from the same place, or a new one."""
        known = self.fields.setdefault((place, code, value), field or code)
        self.values[known] = value
        return Hyperparameter(code, 9, field=known)


def _with(thing: T, **arguments: Any) -> T:
    """A frozen dataclass with other arguments."""
    return replace(thing, **arguments)  # type: ignore[type-var]


def _at_rate_of_one(optimizer: Optimizer) -> Optimizer:
    """An optimizer, or the one that it contains, with the learning rate 1."""
    if isinstance(inner := getattr(optimizer, "optimizer", None), Optimizer):
        return _with(optimizer, optimizer=_at_rate_of_one(inner))
    return _with(optimizer, lr=1.0)


def without_values(network: Network, batch: int | None) -> Network:
    """What a network's plan and C depend on: names in place of values, and nothing that only Python reads. batch: the
    largest mini-batch, where it does not come from `train`."""
    found = replace(named(network), params=(), notes=())
    training = found.training
    if training is None:
        return found
    training = replace(
        training, optimizer=_at_rate_of_one(training.optimizer), schedule=None, epochs=1, shuffle=True, patience=None,
        batch=training.batch if batch is None else None, metrics=(), confusion=False, seed=0,
    )  # fmt: skip
    return replace(found, training=training)
