"""What else a user waits for or pays: compiling, loading, memory, and an example's cost in small and large batches."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from measure import measure
from net import Net
from reading import with_batch
from rivals import CONTENDERS, OURS
from timing import Absent, Pace, Worker

BATCHES = (1, 4, 16, 64, 256, 1024)
LOAD = """
import sys, time
start = time.perf_counter()
import dslc
dslc.load(sys.argv[1])
print(time.perf_counter() - start)
"""


def compile_and_load(spec: Path, repeats: int) -> dict[str, float]:
    """Seconds of `dslc compile` with an empty cache, and of `import dslc; dslc.load(...)` in a new process afterwards.

    Python's own compiled files are there, as after any first use; they are kept apart from the working tree.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = os.path.join(folder, "pycache")

        def run(cache: str, *arguments: str) -> tuple[float, str]:
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, *arguments], env=environment | {"DSLC_CACHE": os.path.join(folder, cache)},
                cwd=folder, capture_output=True, text=True, check=True,
            )  # fmt: skip
            return time.perf_counter() - start, done.stdout

        run("kept", "-m", "dslc", "compile", str(spec))
        run("kept", "-c", LOAD, str(spec))
        compiling = [run(f"fresh{i}", "-m", "dslc", "compile", str(spec))[0] for i in range(repeats)]
        loading = [float(run("kept", "-c", LOAD, str(spec))[1]) for _ in range(repeats)]
    return {"compile": median(compiling), "load": median(loading)}


def training_memory(net: Net, contenders: Iterable[str], threads: int) -> dict[str, dict[str, int]]:
    """The peak memory of processes that only train, and what they had before the network was made."""
    found = {}
    for name in contenders:
        worker = Worker(name, threads)
        try:
            before = worker.ask("peak_memory")
            worker.ask("build", net, None)
            worker.ask("losses", 5)
            found[name] = {"before": before, "peak": worker.ask("peak_memory")}
        except Absent:
            continue
        finally:
            worker.close()
    return found


def cost_by_batch(net: Net, contenders: Iterable[str], threads: int, pace: Pace) -> dict[str, dict[str, float]]:
    """Seconds of training for one example, by size of the mini-batch and contender."""
    costs: dict[str, dict[str, float]] = {}
    for batch in BATCHES:
        times = measure(with_batch(net, batch), contenders, threads, pace, jobs=["train"])["times"]["train"]
        costs[str(batch)] = {name: seconds / batch for name, seconds in times.items()}
    return costs


def torch_contenders(net: Net, allowed: Iterable[str]) -> list[str]:
    """PyTorch as it is, in the formats that suit the network."""
    return [name for name in ("torch", "torch-channels-last") if name in allowed and CONTENDERS[name].suits(net)]


def measure_extras(
    net: Net, spec: Path, allowed: Iterable[str], threads: int, pace: Pace, scaled: bool
) -> dict[str, Any]:
    """All of the above for one network; the cost of an example only if `scaled`."""
    torch = torch_contenders(net, allowed)
    extras: dict[str, Any] = compile_and_load(spec, repeats=3)
    extras["memory"] = training_memory(net, [OURS, *torch], threads)
    if scaled:
        extras["cost"] = cost_by_batch(net, torch, threads, pace)
    return extras
