"""The lines that declare offsets: a layer's tensors of one step stand together."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from dslc.codegen.names import Constant

WIDTH = 160
"""Columns of a line, without its comment."""


@dataclass(frozen=True)
class Offsets:
    """Offsets that are declared in one line, and what is said of each, in order."""

    constants: tuple[Constant, ...]

    @property
    def declared(self) -> str:
        """`name = offset` of each, with commas between."""
        return ", ".join(f"{c.name} = {c.offset}" for c in self.constants)

    @property
    def comment(self) -> str:
        """The shape of each, or the one of all."""
        comments = [c.comment for c in self.constants]
        if len(set(comments)) == 1:
            return comments[0] if len(comments) == 1 else f"each {comments[0]}"
        return "; ".join(comments)


def offsets(constants: Iterable[Constant], layers: Collection[str]) -> list[Offsets]:
    """The constants in lines, in the order in which the first of a layer and step comes. layers: names in the net."""
    together: dict[tuple[str, str], list[Constant]] = {}
    for constant in constants:
        together.setdefault((constant.step, _layer(constant.tensor, layers)), []).append(constant)
    return [Offsets(line) for some in together.values() for line in _lines(some)]


def _layer(tensor: str, layers: Collection[str]) -> str:
    """The layer whose name the tensor's begins with; the tensor itself if there is none."""
    name = tensor
    while name not in layers and "_" in name:
        name = name.rpartition("_")[0]
    return name if name in layers else tensor


def _lines(constants: Iterable[Constant]) -> list[tuple[Constant, ...]]:
    """As many in a line as it takes."""
    lines: list[tuple[Constant, ...]] = []
    for constant in constants:
        longer = (*lines[-1], constant) if lines else ()
        if longer and len(Offsets(longer).declared) <= WIDTH:
            lines[-1] = longer
        else:
            lines.append((constant,))
    return lines
