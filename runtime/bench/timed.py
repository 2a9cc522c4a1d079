"""A model whose C measures how long each call of a kernel takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dslc.codegen.laps import Lap, laps
from dslc.plan_cache import Compilation
from dslc.runtime.model import Model
from dslc.runtime.native.compiled import compiled_plan


class TimedModel(Model):
    """Computes the same bits as `Model`, a little slower: the clock is read after every kernel, and kernels that repeat
    are called one by one. Of all copies of a network one at a time is measured."""

    def _made(self, batch: int | None) -> Compilation:
        return compiled_plan(replace(self._request(batch).plan(), timed=True))


@dataclass(frozen=True)
class Timing:
    """The seconds of all calls of a kernel in a phase."""

    lap: Lap
    seconds: float


def timings(model: TimedModel) -> tuple[Timing, ...]:
    """What was measured since the model was made or `restart` was called."""
    measured = model.library.function("lap_seconds")()
    return tuple(Timing(lap, float(measured[index])) for index, lap in enumerate(laps(model.plan)))


def restart(model: TimedModel) -> None:
    """Measures anew from here."""
    measured = model.library.function("lap_seconds")()
    for index in range(len(laps(model.plan))):
        measured[index] = 0.0
