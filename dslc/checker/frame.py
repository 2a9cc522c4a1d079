"""Where statements run, and what flows between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Union

from dslc.checker.expressions import Scope
from dslc.checker.names import NOT_WANTED
from dslc.checker.towers import Tower
from dslc.ir import Value
from dslc.language import ast
from dslc.language.diagnostics import Diagnostic
from dslc.language.record import record
from dslc.language.source import Span


@record
class SeveralValues(Diagnostic):
    """A block with several results, or `split`, where one value must flow on: `split(2, 2) -> relu`."""

    count: int
    message = "{count} values flow on from here, where only one can"
    hints = ("help: give them names and go on from one of these: a, b = ...",)


@record
class ResultsTooEarly(Diagnostic):
    """The results of a block before its last statement: `a, b` and then `dense(4)`."""

    message = "the results of a block are its last statement"


@record
class NamesForValues(Diagnostic):
    """More or fewer names than values: `a, b = dense(4)`."""

    names: int
    values: int
    hints = (
        "help: split makes as many equal parts as there are names, and a block that ends with a, b has two results",
    )

    @property
    def title(self) -> str:
        """Gives both numbers."""
        return f"{self.names} names for {'one value' if self.values == 1 else f'{self.values} values'}"


@dataclass(frozen=True)
class Several:
    """What flows out of a block with several results, or of `split`; a None has failed."""

    values: tuple[Value | None, ...]


Flow = Union[Value, Several, None]
"""What a statement hands to the next; None if there is nothing, or it has failed."""


@dataclass(frozen=True)
class Frame:
    """Where statements run: the net itself, one call of a block or one turn of a repeat.

    `scope`: the names that are known; `blocks`: the calls around it; `site`: the outermost of them, and `run` its name
    with a number; `depth`: how many blocks, repeats and branches it is inside; `copy`: which call of shared layers it
    is in, 0 outside; `towers`: the shared layers that are declared here.
    """

    scope: Scope
    blocks: tuple[str, ...] = ()
    site: Span | None = None
    depth: int = 0
    run: str = ""
    copy: int = 0
    towers: dict[str, Tower] = field(default_factory=dict)


def defined(body: tuple[ast.Statement, ...]) -> Iterator[str]:
    """The names that statements define, whichever branches are taken."""
    for statement in body:
        names: tuple[str, ...] = ()
        if isinstance(statement, (ast.Assign, ast.Shared, ast.InputDecl, ast.OutputDecl)):
            names = (statement.name,)
        elif isinstance(statement, ast.AssignMany):
            names = tuple(name.name for name in statement.names)
        elif isinstance(statement, ast.When):
            names = (*defined(statement.body), *defined(statement.otherwise))
        yield from (name for name in names if name != NOT_WANTED)
