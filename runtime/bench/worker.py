"""A contender in a process of its own: two libraries' threads in one process would get in each other's way.

Run as `python -m dslc.runtime.bench.worker NAME THREADS`; takes pickled commands at its standard input and answers at
its standard output until its input ends. Between commands it sleeps in a read.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import signal
import sys
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dslc.compiler import check_text
from dslc.ir import Network
from dslc.runtime.bench.contender import Array, Arrays, Contender, Job, Unknown, given_for, without_dropout

STEPS = 4
"""Training steps whose losses are compared."""


@dataclass(frozen=True)
class Entry:
    """Where a contender is found, and its name for readers. `distribution` is the package that it needs."""

    title: str
    module: str
    kind: str
    distribution: str


OURS = "dslc"
CONTENDERS: Mapping[str, Entry] = {
    OURS: Entry("dslc", "our_contender", "OurContender", "dslc"),
    "torch": Entry("PyTorch", "torch_contender", "TorchContender", "torch"),
    "jax": Entry("JAX", "jax_contender", "JaxContender", "jax"),
    "onnxruntime": Entry("ONNX Runtime", "onnx_contender", "OnnxContender", "onnxruntime"),
}


class Server:
    """Carries out commands on one contender."""

    def __init__(self, name: str, threads: int) -> None:
        entry = CONTENDERS[name]
        module = importlib.import_module(f"dslc.runtime.bench.{entry.module}")
        self.kind: type[Contender] = getattr(module, entry.kind)
        self.threads = threads
        self.contender: Contender | None = None
        self.last: Any = None

    def read(self, text: str, precision: str) -> None:
        """Reads the spec. The learning rate stays that of the first step: a schedule costs nobody time."""
        network = check_text(text, dtype=precision)
        training = network.training and replace(network.training, schedule=None)
        self.network: Network = replace(network, training=training)

    def results(self, job: Job, count: int, weights: Arrays) -> list[Array]:
        """What is compared, with dropout off: the outputs, or the losses of the first steps."""
        contender = self._made(without_dropout(self.network), weights)
        contender.take(job, given_for(self.network, job, count))
        if job == "predict":
            return contender.arrays(contender.call(0))
        return [contender.arrays(contender.call(turn))[0] for turn in range(STEPS)]

    def ready(self, job: Job, count: int, weights: Arrays) -> str:
        """The network as it is timed; what was chosen."""
        self.contender = self._made(self.network, weights)
        self.contender.take(job, given_for(self.network, job, count))
        return self.contender.choice()

    def _made(self, network: Network, weights: Arrays) -> Contender:
        self.contender = None
        gc.collect()
        return self.kind(network, weights, self.threads)

    def time(self, calls: int) -> float:
        """Seconds that so many calls take, until the last result is there."""
        contender = self.contender
        assert contender is not None
        start = time.perf_counter()
        for turn in range(calls):
            result = contender.call(turn)
        self.last = contender.arrays(result)
        return time.perf_counter() - start

    def is_finite(self) -> bool:
        """Whether the last result that was timed holds numbers."""
        import numpy as np

        return all(bool(np.isfinite(array).all()) for array in self.last)


def confine(threads: int) -> None:
    """Before a framework is imported: as many cores as threads, for frameworks that count cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if threads == 1:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"


def answer(server: Server, command: str, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    """(True, the result) or (False, why there is none)."""
    try:
        return True, getattr(server, command)(*arguments)
    except Unknown as error:
        return False, f"{error} is not translated"
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"


def main() -> None:
    """Answers until the input ends."""
    name, threads = sys.argv[1], int(sys.argv[2])
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    confine(threads)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a framework prints is no answer
    try:
        server = Server(name, threads)
        _send(answers, (True, None))
    except ImportError:
        _send(answers, (False, "not installed"))
        return
    while True:
        try:
            command, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        _send(answers, answer(server, command, arguments))


def _send(answers: Any, message: object) -> None:
    pickle.dump(message, answers)
    answers.flush()


if __name__ == "__main__":
    main()
