"""The whole of `dslc bench`: who is measured at what, and the tables that come of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dslc.ir import Network
from dslc.runtime.bench.contender import Array, Job, given_for
from dslc.runtime.bench.machine import Limits, measure_limits
from dslc.runtime.bench.our_contender import OurContender
from dslc.runtime.bench.profile import PASSES, Profile, profile_of, shares
from dslc.runtime.bench.timed import TimedModel, restart, timings
from dslc.runtime.bench.turns import Contest, Measured, Pace
from dslc.runtime.bench.worker import OURS
from dslc.runtime.model import Model

PREDICTED = 64
"""Examples in a batch where the spec says none."""
UNSTEADY = 0.15
"""A spread above this is worth a note."""
Rows = list[tuple[str, ...]]


@dataclass(frozen=True)
class Bench:
    """What was measured of a network: everyone at every job and size of batch, the machine's limits, and our profiles
    at the first size."""

    net: str
    machine: str
    measured: tuple[Measured, ...]
    limits: Limits
    profiles: tuple[Profile, ...]

    @property
    def contenders(self) -> tuple[str, ...]:
        """Ours first."""
        return tuple(dict.fromkeys(m.contender for m in self.measured))

    def of(self, job: str, examples: int, contender: str = OURS) -> Measured:
        """One measurement. Raises StopIteration where there is none."""
        return next(m for m in self.measured if (m.job, m.examples, m.contender) == (job, examples, contender))


def bench(
    networks: Sequence[Network],
    rivals: Sequence[str],
    threads: int,
    pace: Pace,
    machine: str,
    tell: Callable[[str], None],
) -> Bench:
    """Measures the same network for several mini-batches, one network for each. tell: gets a line as things go on.

    Raises:
        UsageError: dslc itself cannot be measured, or numbers are not finite.
    """
    measured: list[Measured] = []
    for network in networks:
        count, weights = batch_of(network), moved_weights(network)
        contest = Contest(network, weights, rivals, threads)
        try:
            for job in jobs_of(network):
                tell(f"{job}, batch {count}")
                measured += contest.measure(job, count, pace)
        finally:
            contest.close()
    tell("time by layer, and what the machine can do")
    first = networks[0]
    model = TimedModel(first, "auto")
    profiles = tuple(_profile(model, first, job, pace) for job in jobs_of(first))
    limits = measure_limits(model.plan.target, model.plan.itemsize, model.threads)
    return Bench(first.name, machine, tuple(measured), limits, profiles)


def jobs_of(network: Network) -> tuple[Job, ...]:
    """What the network can do."""
    return ("train", "predict") if network.training is not None else ("predict",)


def batch_of(network: Network) -> int:
    """The mini-batch of the file."""
    return (network.training.batch if network.training else None) or PREDICTED


def moved_weights(network: Network) -> dict[str, Array]:
    """Initial parameters with vectors moved off their round values, so that none of them can be left out unnoticed."""
    random, weights = np.random.default_rng(1), Model(network, 1).copy_weights()
    return {n: (w + random.uniform(0, 0.2, w.shape)).astype(w.dtype) if w.ndim == 1 else w for n, w in weights.items()}


def _profile(model: TimedModel, network: Network, job: Job, pace: Pace) -> Profile:
    """Calls for as long as all blocks of a contender take, after one that warms up."""
    ours, count = OurContender.around(model), batch_of(network)
    ours.take(job, given_for(network, job, count))
    ours.call(0)
    restart(model)
    calls, end = 0, time.perf_counter() + pace.seconds * pace.rounds
    while calls < 2 or time.perf_counter() < end:
        ours.call(calls)
        calls += 1
    return profile_of(model.plan, timings(model), job, calls, count)


# ----------------------------------------------------------------------------------------------------- tables


def speed_table(found: Bench, job: str, titles: Sequence[str]) -> tuple[tuple[str, ...], Rows]:
    """Examples a second by size of batch, and how many times ours a rival takes."""
    sizes = dict.fromkeys(m.examples for m in found.measured if m.job == job)
    rows: Rows = []
    for size in sizes:
        ours, cells = found.of(job, size).seconds, []
        for contender in found.contenders:
            seconds = found.of(job, size, contender).seconds
            speed = "-" if seconds is None else _short(size / seconds)
            ratio = "" if seconds is None or ours is None or contender == OURS else f" ({seconds / ours:.2f}x)"
            cells.append(speed + ratio)
        rows.append((str(size), *cells))
    return ("batch", *titles), rows


def limit_table(found: Bench) -> tuple[tuple[str, ...], Rows]:
    """What dslc makes of the machine at each job, over the whole call as it is timed without a profile."""
    rows: Rows = []
    for profile in found.profiles:
        seconds = found.of(profile.step, profile.examples).seconds or profile.seconds
        work = sum(s.multiply_adds for s in profile.spent) / seconds
        moved = sum(s.bytes for s in profile.spent) / seconds
        rows.append((
            profile.step, f"{work / 1e9:,.1f}", f"{work / found.limits.multiply_adds:.0%}",
            f"{moved / 1e9:,.1f}", f"{moved / found.limits.bytes:.0%}",
        ))  # fmt: skip
    rows.append(("machine", f"{found.limits.multiply_adds / 1e9:,.1f}", "", f"{found.limits.bytes / 1e9:,.1f}", ""))
    return ("", "10^9 multiply-adds/s", "share", "GB/s", "share"), rows


def layer_table(profile: Profile, limits: Limits) -> tuple[tuple[str, ...], Rows]:
    """Microseconds of a call by layer and pass, their share of the call, and shares of what the machine can do."""
    kinds = [kind for kind in PASSES if any(s.kind == kind for s in profile.spent)]
    rows: Rows = []
    for layer in profile.layers:
        whole = profile.of(layer)
        cells = [f"{1e6 * profile.of(layer, kind).seconds:,.1f}" for kind in kinds]
        rows.append((layer, *cells, f"{whole.seconds / profile.seconds:.1%}", *_percent(*shares(whole, limits))))
    sums = [sum(s.seconds for s in profile.spent if s.kind == kind) for kind in kinds]
    rows.append(("total", *(f"{1e6 * x:,.1f}" for x in sums), "100.0%", "", ""))
    return ("layer", *(f"{kind}, us" for kind in kinds), "time", "of peak", "of bandwidth"), rows


def notes_of(found: Bench) -> list[str]:
    """What a reader has to know of the numbers: who is absent and why, what was chosen, what is unsteady."""
    notes = [f"{m.title}, {m.job}: {m.why}" for m in found.measured if m.seconds is None]
    notes += [f"{m.title}, {m.job}: {m.choice}" for m in found.measured if m.seconds is not None and m.choice]
    unsteady = [m for m in found.measured if m.spread > UNSTEADY]
    if unsteady:
        worst = max(unsteady, key=lambda m: m.spread)
        notes.append(
            f"the times are unsteady (half of {worst.title}'s lie {worst.spread:.0%} apart): something else is running"
        )
    notes += [note for profile in found.profiles for note in inside_note(profile)]
    return list(dict.fromkeys(notes))


def inside_note(profile: Profile) -> list[str]:
    """Which layers have no time, in a line if there are any."""
    names = ", ".join(profile.inside)
    return [f"{profile.step}: no time of their own, in the kernels of the layer before: {names}"] if names else []


def _percent(work: float, moved: float) -> tuple[str, str]:
    return f"{work:.0%}" if work else "", f"{moved:.0%}"


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
