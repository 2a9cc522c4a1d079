"""A layer under construction: what the body of `net` says of it, before `train` is read."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.inits import Init
from dslc.ir import Value
from dslc.language import ast
from dslc.language.source import Span
from dslc.layers import Layer
from dslc.regularizers import Penalty


@dataclass(frozen=True)
class Common:
    """The arguments that every layer with parameters takes."""

    name: str | None = None
    init: Init | None = None
    penalties: tuple[Penalty, ...] | None = None
    freeze: bool = False


@dataclass(frozen=True)
class Draft:
    """A node before its parameters are known: their inits depend on what follows."""

    name: str
    kind: str
    layer: Layer
    inputs: tuple[Value, ...]
    output: Value
    common: Common
    call: ast.Call
    span: Span

    @property
    def frozen(self) -> bool:
        return self.common.freeze

    @property
    def penalized(self) -> bool:
        """It has l1= or l2= of its own."""
        return self.common.penalties is not None

    @property
    def initialized(self) -> bool:
        return self.common.init is not None
