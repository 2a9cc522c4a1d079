"""A layer under construction: what the body of `net` says about it, before `train` is read."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.inits import Init
from dslc.ir import Value
from dslc.language import ast
from dslc.language.source import Span
from dslc.layers import Layer, Weights
from dslc.regularizers import Constraint, Penalty


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
class Draft:
    """A node whose parameters are not known yet, because their inits depend on what follows.

    `call` is the layer's call; `span` is that of the block it is in, if there is one, and `block` which run of it.
    `owner` names the draft whose parameters it shares; empty if it has its own.
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

    @property
    def weights(self) -> tuple[Weights, ...]:
        """The parameters that it owns, as the layer declares them."""
        return () if self.owner else self.layer.parameters(tuple(v.shape for v in self.inputs))

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
