"""How fast a training goes, and how long it will take."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field


@dataclass
class Pace:
    """How fast a training goes: of so many epochs with so many examples each, if that is known. `last` is the number of
    the last epoch. What is done between epochs, as measuring the dev set, counts as time of the one before."""

    epochs: int
    examples: int | None
    last: int = 0
    done: int = 0
    before: int = 0
    started: float = field(default_factory=time.monotonic)

    def words(self, epoch: int, done: int, loss: float) -> str:
        """The loss so far in the epoch, examples a second, and the time that is left in all epochs; what is not known
        yet is left out."""
        self.last = self.last or epoch + self.epochs - 1
        if done < self.done:
            self.before += self.done
        self.done = done
        words = [] if math.isnan(loss) else [f"loss {loss:.4f}"]
        seconds = time.monotonic() - self.started
        if seconds > 0:
            rate = (self.before + done) / seconds
            words.append(f"{rate:,.0f} examples/s")
            if self.examples is not None and rate > 0:
                words.append(f"{duration((self.epochs * self.examples - self.before - done) / rate)} left")
        return "  ".join(words)


def duration(seconds: float) -> str:
    """As in 7s, 3:07 or 2:03:07."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest}s"
