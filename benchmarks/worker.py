"""A contender in a process of its own: two libraries' threads in one process would get in each other's way.

Started by `timing.Worker` as `worker.py CONTENDER THREADS DESCRIPTOR CORE ...`; answers commands until the other end of
the pipe closes. Between commands it sleeps in a read.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from net import LABEL_SETS, Net
from rivals import CONTENDERS, Array


class Server:
    """Carries out commands on one contender."""

    def __init__(self, contender: str, threads: int) -> None:
        self.cls, self.threads = CONTENDERS[contender].load(), threads
        self.rival: Any = None
        self.last = np.zeros(1)

    def build(self, net: Net, weights: str | None) -> None:
        """Makes the network, with the weights in a file if one is given."""
        self.rival = None
        gc.collect()
        self.rival = self.cls(net, dict(np.load(weights)) if weights else None, self.threads)

    def export(self, path: str) -> None:
        self.rival.export(path)

    def outputs(self) -> tuple[Array, Array]:
        """Predictions for the mini-batch and for one example."""
        self.rival.begin("predict")
        return self.rival.array(self.rival.predict()), self.rival.array(self.rival.predict_one())

    def losses(self, steps: int) -> list[float]:
        """Trains; the loss before each step."""
        self.rival.begin("train")
        return [float(self.rival.array(self.rival.train(turn % LABEL_SETS))) for turn in range(steps)]

    def settle(self) -> str:
        return self.rival.settle()

    def time(self, job: str, count: int) -> float:
        """Seconds that `count` calls take, until the last result is there."""
        self.rival.begin(job)
        start = time.perf_counter()
        self.last = self.rival.array(self._call(job, count))
        return time.perf_counter() - start

    def _call(self, job: str, count: int) -> Any:
        """The result of the last of many calls."""
        if job == "train":
            train = self.rival.train
            for turn in range(count):
                result = train(turn % LABEL_SETS)
        else:
            predict = self.rival.predict if job == "predict" else self.rival.predict_one
            for _ in range(count):
                result = predict()
        return result

    def is_finite(self) -> bool:
        """Whether the last result that was timed holds numbers."""
        return bool(np.isfinite(self.last).all())

    def peak_memory(self) -> int:
        """The largest resident memory so far, in bytes."""
        return peak_memory()


def peak_memory() -> int:
    """From /proc where there is one: what getrusage says is at least what the process had before it became this one."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def confine(threads: int, cores: list[int]) -> None:
    """Before a framework is imported: as many cores as threads, for frameworks that count cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    os.environ["OMP_NUM_THREADS"] = str(threads)


def answer(server: Server, command: str, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    """(True, the result) or (False, what went wrong)."""
    try:
        return True, getattr(server, command)(*arguments)
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"


def main() -> None:
    contender, threads, descriptor, *cores = sys.argv[1:]
    confine(int(threads), [int(core) for core in cores])
    connection = Connection(int(descriptor))
    try:
        server = Server(contender, int(threads))
    except Exception as error:
        connection.send((False, f"{type(error).__name__}: {error}"))
        return
    connection.send((True, None))
    while True:
        try:
            command, arguments = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(answer(server, command, arguments))


if __name__ == "__main__":
    main()
