"""Contenders work one at a time, block by block, each in its process; what is not right is not timed."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from statistics import median, quantiles
from typing import Any

import numpy as np

from dslc.ir import MIXED, Network
from dslc.language.diagnostics import UsageError
from dslc.runtime.bench.contender import Array, Arrays, Job
from dslc.runtime.bench.worker import CONTENDERS, OURS
from dslc.runtime.training.spec_text import as_trained

PAUSE = 0.1
"""Seconds between blocks: rivals' threads spin for a while before they sleep."""
OUTPUTS = {"float32": 1e-4, "float64": 1e-9, MIXED: 3e-2}
"""How far predictions may differ, relative to the largest one: rivals do not round what they multiply to bf16."""
LOSSES = {"float32": 1e-3, "float64": 1e-6, MIXED: 3e-2}
"""How far the losses of the first steps may differ, relatively."""


class Absent(Exception):
    """A contender is not there, or cannot do what is asked; the message says why."""


@dataclass(frozen=True)
class Pace:
    """How long a block lasts, in seconds, and how many blocks a contender gets."""

    seconds: float = 0.2
    rounds: int = 5


@dataclass(frozen=True)
class Measured:
    """A contender at a job with so many examples: the median seconds of a call over the blocks, how far apart the
    middle half of them lies, relative to it, and what it chose. Where it is absent, `seconds` is None, and `why` says
    why."""

    contender: str
    job: Job
    examples: int
    seconds: float | None
    spread: float = 0.0
    choice: str = ""
    why: str = ""

    @property
    def title(self) -> str:
        """The contender's name for readers."""
        return CONTENDERS[self.contender].title


class Worker:
    """The parent's end of a contender's process, which ends with it."""

    def __init__(self, contender: str, threads: int) -> None:
        command = [sys.executable, "-m", "dslc.runtime.bench.worker", contender, str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.started = False

    def ask(self, command: str, *arguments: Any) -> Any:
        """The answer to a command. Raises Absent where there is none."""
        if not self.started:
            self._receive()
            self.started = True
        assert self.process.stdin is not None
        with suppress(OSError):  # then it has ended, which is found out below
            pickle.dump((command, arguments), self.process.stdin)
            self.process.stdin.flush()
        return self._receive()

    def _receive(self) -> Any:
        assert self.process.stdout is not None
        try:
            done, answer = pickle.load(self.process.stdout)
        except (EOFError, pickle.UnpicklingError):
            raise Absent(f"its process ended with status {self.process.wait()}") from None
        if not done:
            raise Absent(answer)
        return answer

    def close(self) -> None:
        """Ends the process."""
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Contest:
    """All contenders with one network. `weights` are everyone's, by name.

    Raises:
        UsageError: dslc itself does not run.
    """

    def __init__(self, network: Network, weights: Arrays, rivals: Iterable[str], threads: int) -> None:
        self.network, self.weights = network, weights
        self.absent: dict[str, str] = {}
        self.workers = {name: Worker(name, threads) for name in (OURS, *rivals)}
        for name in list(self.workers):
            self._try(name, lambda w: w.ask("read", as_trained(network), network.precision))

    def _try(self, name: str, do: Any) -> Any:
        """What a worker answers; one that is absent is out, ours with an error."""
        try:
            return do(self.workers[name])
        except Absent as reason:
            if name == OURS:
                raise UsageError(f"dslc itself cannot be measured: {reason}") from None
            self._drop(name, str(reason))

    def _drop(self, name: str, why: str) -> None:
        self.absent[name] = why
        self.workers.pop(name).close()

    def measure(self, job: Job, examples: int, pace: Pace) -> list[Measured]:
        """Everyone at a job, ours first."""
        able, why = self._alike(job, examples)
        choices = {name: self.workers[name].ask("ready", job, examples, self.weights) for name in able}
        blocks = take_turns({name: self.workers[name] for name in able}, pace)
        for name in able:
            if not self.workers[name].ask("is_finite"):
                raise UsageError(f"{CONTENDERS[name].title}: numbers are not finite; try a smaller -D lr=")
        done = [Measured(n, job, examples, median(t), spread(t), choices[n]) for n, t in blocks.items()]
        return done + [Measured(n, job, examples, None, why=reason) for n, reason in (why | self.absent).items()]

    def _alike(self, job: Job, examples: int) -> tuple[list[str], dict[str, str]]:
        """Who computes what we do, and why the others do not take part."""
        why: dict[str, str] = {}
        ours = self._try(OURS, lambda w: w.ask("results", job, examples, self.weights))
        for name in [name for name in self.workers if name != OURS]:
            try:
                theirs = self.workers[name].ask("results", job, examples, self.weights)
            except Absent as reason:
                why[name] = str(reason)
                continue
            if (apart := difference(ours, theirs)) > (LOSSES if job == "train" else OUTPUTS)[self.network.precision]:
                why[name] = f"computes something else: a relative difference of {apart:.2g}"
        return [name for name in self.workers if name not in why], why

    def close(self) -> None:
        """Ends all processes."""
        for worker in self.workers.values():
            worker.close()


def difference(ours: list[Array], theirs: list[Array]) -> float:
    """The largest difference of any array, relative to its largest number; infinite where shapes differ."""
    if [a.shape for a in ours] != [b.shape for b in theirs]:
        return float("inf")
    found = [float(np.abs(a - b).max() / max(float(np.abs(a).max()), 1e-30)) for a, b in zip(ours, theirs, strict=True)]
    return max(x if x == x else float("inf") for x in found)


def take_turns(workers: Mapping[str, Worker], pace: Pace) -> dict[str, list[float]]:
    """The seconds of one call in every block, by contender. Everyone is first, second, ... equally often."""
    counts = {name: _calibrated(worker, pace.seconds) for name, worker in workers.items()}
    blocks: dict[str, list[float]] = {name: [] for name in workers}
    names = list(workers)
    for turn in range(pace.rounds):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            time.sleep(PAUSE)
            blocks[name].append(workers[name].ask("time", counts[name]) / counts[name])
    return blocks


def _calibrated(worker: Worker, seconds: float) -> int:
    """How many calls fill a block."""
    time.sleep(PAUSE)
    worker.ask("time", 1)
    count, spent = 1, 0.0
    while (spent := worker.ask("time", count)) < seconds / 2:
        count = min(10 * count, ceil(count * seconds / max(spent, 1e-6)))
    return max(1, round(count * seconds / spent))


def spread(times: list[float]) -> float:
    """How far apart the blocks of the middle half lie, relative to the median."""
    low, _, high = quantiles(times, n=4, method="inclusive") if len(times) > 1 else (times[0],) * 3
    return (high - low) / median(times)
