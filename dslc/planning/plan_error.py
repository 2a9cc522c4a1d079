"""The error for a wrong plan."""

from __future__ import annotations


class PlanError(AssertionError):
    """The plan's C would compute something else than the graph says, or access the wrong memory: a bug in the planner.
    The message is a sentence."""


def require(fine: bool, what: str) -> None:
    """Raises PlanError with the message `what` unless `fine`."""
    if not fine:
        raise PlanError(what)
