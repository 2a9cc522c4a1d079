"""Turns and medians: contenders in processes of their own work one at a time, block by block."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from multiprocessing import Pipe
from pathlib import Path
from statistics import median, quantiles
from typing import Any

JOBS = {"train": "training step", "predict": "prediction of a batch", "one": "prediction of one example"}
PAUSE = 0.15
"""Seconds between blocks: rivals' threads spin before they sleep: OpenMP's some milliseconds, ONNX Runtime's 80."""
PATIENCE = 1800
"""Seconds after which a contender is given up."""


class Absent(Exception):
    """A contender is not installed, or cannot do what is asked."""


@dataclass(frozen=True)
class Pace:
    """How long a block lasts, in seconds, and how many blocks a contender gets."""

    seconds: float
    rounds: int


class Worker:
    """The parent's end of a contender's process."""

    def __init__(self, contender: str, threads: int) -> None:
        self.connection, theirs = Pipe()
        cores = [str(core) for core in pick_cores(threads)]
        command = [sys.executable, str(Path(__file__).with_name("worker.py")), contender, str(threads)]
        self.process = subprocess.Popen([*command, str(theirs.fileno()), *cores], pass_fds=[theirs.fileno()])
        theirs.close()
        self.started = False

    def ask(self, command: str, *arguments: Any) -> Any:
        """The answer to a command. Raises Absent where there is none."""
        if not self.started:
            self._receive()
            self.started = True
        try:
            self.connection.send((command, arguments))
        except OSError:
            raise Absent("its process ended") from None
        return self._receive()

    def _receive(self) -> Any:
        try:
            if not self.connection.poll(PATIENCE):
                raise Absent(f"no answer after {PATIENCE} s")
            done, answer = self.connection.recv()
        except (EOFError, OSError):
            raise Absent(f"its process ended with status {self.process.wait()}") from None
        if not done:
            raise Absent(answer)
        return answer

    def close(self) -> None:
        self.connection.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def available_cores() -> list[int]:
    """The cores that this process may use; of those that share a physical core, the others come last."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    first = [core for core in cores if _is_first_sibling(core)]
    return first + [core for core in cores if core not in first]


def _is_first_sibling(core: int) -> bool:
    siblings = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    return not siblings.exists() or siblings.read_text().replace("-", ",").split(",")[0].strip() == str(core)


def pick_cores(threads: int) -> list[int]:
    """One core a thread."""
    return available_cores()[:threads]


def calibrate(worker: Worker, job: str, seconds: float) -> int:
    """How many calls fill a block; the first call warms up."""
    worker.ask("time", job, 1)
    count = 1
    while (spent := worker.ask("time", job, count)) < seconds / 2:
        count = min(10 * count, ceil(count * seconds / max(spent, 1e-6)))
    return max(1, round(count * seconds / spent))


def take_turns(workers: Mapping[str, Worker], job: str, pace: Pace) -> tuple[dict[str, list[float]], dict[str, str]]:
    """The times of one call in every block, by contender, and the reasons of those that could not do it."""
    counts: dict[str, int] = {}
    blocks: dict[str, list[float]] = {name: [] for name in workers}
    absent: dict[str, str] = {}
    for turn in range(-1, pace.rounds):  # turn -1 calibrates
        for name in _rotated([name for name in workers if name not in absent], turn):
            time.sleep(PAUSE)
            try:
                if turn < 0:
                    counts[name] = calibrate(workers[name], job, pace.seconds)
                else:
                    blocks[name].append(workers[name].ask("time", job, counts[name]) / counts[name])
            except Absent as reason:
                absent[name] = str(reason)
    return {name: times for name, times in blocks.items() if name not in absent}, absent


def spread(times: list[float]) -> float:
    """How far apart the blocks of the middle half lie, relative to the median."""
    low, _, high = quantiles(times, n=4, method="inclusive") if len(times) > 1 else (times[0],) * 3
    return (high - low) / median(times)


def _rotated(names: list[str], turn: int) -> list[str]:
    """Everyone is first, second, ... equally often: heat and caches favour nobody."""
    start = turn % len(names) if names else 0
    return names[start:] + names[:start]
