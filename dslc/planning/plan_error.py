"""What is wrong with a plan."""

from __future__ import annotations


class PlanError(AssertionError):
    """A plan whose C would compute something else than the graph says, or touch memory that is not its own: a fault of
    the planner. The message is a sentence."""


def demand(fine: bool, what: str) -> None:
    """Raises PlanError if it is not fine."""
    if not fine:
        raise PlanError(what)
