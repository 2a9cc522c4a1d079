"""One network, one number of threads: everyone agrees, then everyone is timed."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any

from agreement import build_alike
from machine import measure_peak
from net import Net
from reading import without_dropout
from rivals import CONTENDERS, OURS
from timing import JOBS, Absent, Pace, Worker, spread, take_turns


class Unstable(Exception):
    """Training ran into numbers that are not finite: nothing that was timed counts."""


def measure(
    net: Net, contenders: Iterable[str], threads: int, pace: Pace, jobs: Iterable[str] = tuple(JOBS)
) -> dict[str, Any]:
    """Medians in seconds by job and contender with their spread, who is absent and why, what rivals chose, and the
    machine's peak by precision.

    Raises:
        Mismatch: a contender computes something else.
        Unstable: a loss is not finite.
        Absent: dslc itself does not run.
    """
    workers = {name: Worker(name, threads) for name in (OURS, *contenders) if CONTENDERS[name].suits(net)}
    try:
        absent = build_alike(workers, net, without_dropout(net) if net.has_dropout else net)
        chosen = {name: choice for name in list(workers) if (choice := _settle(workers, name, absent))}
        blocks = {job: _time(workers, job, pace, absent) for job in jobs}
        return {
            "times": {job: {name: median(times) for name, times in found.items()} for job, found in blocks.items()},
            "spread": {job: {name: spread(times) for name, times in found.items()} for job, found in blocks.items()},
            "absent": absent,
            "chosen": chosen,
            "peak": measure_peak(threads, seconds=0.2),
        }
    finally:
        for worker in workers.values():
            worker.close()


def _settle(workers: dict[str, Worker], name: str, absent: dict[str, str]) -> str:
    """What a contender chose; takes it out if it fails."""
    try:
        return workers[name].ask("settle")
    except Absent as reason:
        absent[name] = str(reason)
        workers.pop(name).close()
        return ""


def _time(workers: dict[str, Worker], job: str, pace: Pace, absent: dict[str, str]) -> dict[str, list[float]]:
    """The blocks of one job; takes out who fails."""
    able = {name: w for name, w in workers.items() if job != "train" or CONTENDERS[name].trains}
    times, failed = take_turns(able, job, pace)
    for name, reason in failed.items():
        absent[name] = reason
        workers.pop(name).close()
    if OURS in absent:
        raise Absent(absent[OURS])
    for name in times:
        if not workers[name].ask("is_finite"):
            raise Unstable(f"{CONTENDERS[name].title}: {JOBS[job]} gave numbers that are not finite")
    return times
