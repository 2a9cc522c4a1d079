"""A layer under construction: what the body of `net` says about it, before `train` is read."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.inits import Init
from dslc.ir import Value
from dslc.language import ast
from dslc.language.source import Span
from dslc.layers import Layer, Weights
from dslc.regularizers import Constraint, Penalty

TIED = "weight"
"""The parameter of another layer that a layer may have for its own."""


@dataclass(frozen=True)
class Common:
    """The arguments that every layer with parameters takes; None where the call does not give one."""

    name: str | None = None
    init: Init | None = None
    penalties: tuple[Penalty, ...] | None = None
    constraints: tuple[Constraint, ...] | None = None
    freeze: bool = False
    lr_factor: float = 1.0


@dataclass(frozen=True)
class Tie:
    """Whose `weight` a layer has for its own. `decays`: only as a weight of the layer that is tied do regularizers
    apply to it, so that its call decides on them: the table of an embedding has none."""

    owner: str
    decays: bool


@dataclass(frozen=True)
class Draft:
    """A node whose parameters are not known yet, because their inits depend on what follows.

    `call` is the layer's call; `span` is that of the block it is in, if there is one, and `block` which run of it.
    `owner` names the draft whose parameters it shares; empty if it has its own. `tie`: its weight is that of another.
    """

    name: str
    kind: str
    layer: Layer
    inputs: tuple[Value, ...]
    output: Value
    common: Common
    call: ast.Call
    span: Span
    block: str = ""
    owner: str = ""
    tie: Tie | None = None

    @property
    def weights(self) -> tuple[Weights, ...]:
        """The parameters that it owns, as the layer declares them."""
        found = () if self.owner else self.layer.parameters(tuple(v.shape for v in self.inputs))
        return tuple(w for w in found if self.tie is None or w.role != TIED)

    @property
    def decays(self) -> bool:
        """Whether its call decides on the regularizers of a weight."""
        tied = self.tie is not None and self.tie.decays and not self.owner
        return tied or any(w.decays for w in self.weights)

    @property
    def learner(self) -> str:
        """The layer that is frozen if these weights are."""
        return self.name if self.tie is None else self.tie.owner

    @property
    def frozen(self) -> bool:
        """Whether the call has freeze=on; `train` may freeze it too."""
        return self.common.freeze

    @property
    def penalized(self) -> bool:
        """Whether the call has l1= or l2=, which replaces the penalties of `train`."""
        return self.common.penalties is not None

    @property
    def constrained(self) -> bool:
        """Whether the call has max_norm=, which replaces that of `train`."""
        return self.common.constraints is not None

    @property
    def initialized(self) -> bool:
        """Whether the call has init=."""
        return self.common.init is not None
