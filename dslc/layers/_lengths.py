"""How many steps each example of a sequence has: a second value, `lengths`, of one whole number; and pooling over these
steps alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dslc.layers import Pull
from dslc.lowering.site import Site
from dslc.numerics import Array, np
from dslc.shape import Shape, SizeProblem, describe


@dataclass(frozen=True)
class StepsDetail:
    """A sequence of `steps` at most, of which the mean or the maximum is taken."""

    steps: int
    channels: int
    mean: bool


def require_lengths(given: Iterable[Shape]) -> None:
    """Raises SizeProblem for lengths, if there are some, that are not one number."""
    for shape in given:
        if shape != (1,):
            raise SizeProblem(
                f"lengths is one number, the steps of an example, not {describe(shape)}", argument="lengths"
            )


def pooled_steps(x: Array, lengths: Array, mean: bool) -> tuple[Array, Pull]:
    """For references: the mean or maximum (n, channels) over the first steps of x (n, steps, channels), 0 where there
    are none, and what pulls its gradient back."""
    there = (np.arange(x.shape[1]) < lengths)[..., None]
    if mean:
        share = np.where(there, 1 / np.maximum(lengths, 1)[..., None], 0)
        return (x * share).sum(axis=1), lambda dy: ((dy[:, None] * share, np.zeros_like(lengths)), {})
    hidden = np.where(there, x, -np.inf)
    winner = (np.arange(x.shape[1])[:, None] == hidden.argmax(axis=1)[:, None]) & there
    y = np.where(winner, x, 0).sum(axis=1)
    return y, lambda dy: ((np.where(winner, dy[:, None], 0), np.zeros_like(lengths)), {})


def pool_steps(site: Site, mean: bool) -> None:
    """Emits one `steps_pool`."""
    steps, channels = site.x[0].shape
    site.op("steps_pool", "forward", site.x, (site.y,), StepsDetail(steps, channels, mean))


def pool_steps_back(site: Site, mean: bool) -> None:
    """Emits one `steps_pool_gradient`, which finds a maximum in x again."""
    if (dx := site.dx[0]) is not None:
        steps, channels = site.x[0].shape
        reads = (site.dy, site.x[1], None if mean else site.x[0])
        site.op("steps_pool_gradient", "backward", reads, (dx,), StepsDetail(steps, channels, mean))
