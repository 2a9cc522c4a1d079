"""How well dslc keeps company: what sharing the work costs, and what it is worth where the cores are busy.

python benchmarks/company.py                          every measurement, about two minutes
python benchmarks/company.py --only mlp --rounds 9    another network

Ratios only, medians of turns: the processes that are compared live side by side and work one after the other.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import dslc
from dslc.codegen.build import FLAGS
from dslc.compiler import check_text, emit_network
from dslc.cores import available_cores
from dslc.target import native
from net import make_data
from networks import ENTRIES

SHARED = "net Shared {\n  input x: 500\n  dense(500) -> softmax\n}\n"
"""Large enough to be shared: what the C of the regions is printed with."""
SPIN = "while True: pass"


class Trainer:
    """A process that trains a network when it is told to."""

    def __init__(self, name: str, threads: int, pin: str = "no") -> None:
        command = [sys.executable, __file__, "--worker", name, str(threads), pin]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def start(self, seconds: float) -> None:
        """Begins to train for so long; `answer` waits for the end."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()

    def answer(self) -> float:
        """The steps a second; 0 from one that has just been started."""
        assert self.process.stdout is not None
        return float(self.process.stdout.readline())

    def end(self) -> None:
        """Ends the process."""
        self.process.communicate()


def train(name: str, threads: int, pin: str) -> None:
    """What a Trainer's process does. `pin`: on one core only, from the start or once the network is loaded."""
    if pin == "before":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    net = ENTRIES[name].read()
    model = dslc.loads(net.text, threads=threads)
    x, labels = make_data(net)
    for turn in range(3):
        model.train_step(x, labels[turn])
    if pin == "after":
        for task in os.listdir("/proc/self/task"):
            os.sched_setaffinity(int(task), {min(os.sched_getaffinity(0))})
    print(0, flush=True)
    for line in sys.stdin:
        begun, steps = time.perf_counter(), 0
        while (spent := time.perf_counter() - begun) < float(line):
            model.train_step(x, labels[steps % len(labels)])
            steps += 1
        print(steps / spent, flush=True)


def rates(groups: Sequence[Sequence[Trainer]], seconds: float, rounds: int) -> list[float]:
    """Steps a second of each group together, whose members work at once; the groups take turns."""
    found: list[list[float]] = [[] for _ in groups]
    for _ in range(rounds):
        for group, numbers in zip(groups, found, strict=True):
            for trainer in group:
                trainer.start(seconds)
            numbers.append(sum(trainer.answer() for trainer in group))
    for trainer in (t for group in groups for t in group):
        trainer.end()
    return [median(numbers) for numbers in found]


@contextmanager
def busy_core() -> Iterator[None]:
    """Somebody else's process that never rests."""
    process = subprocess.Popen([sys.executable, "-c", SPIN])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def alone(name: str, threads: int, seconds: float, rounds: int) -> float:
    """One thread's time for a step divided by that of several."""
    one, several = rates([[Trainer(name, 1)], [Trainer(name, threads)]], seconds, rounds)
    return several / one


def two_at_once(name: str, threads: int, seconds: float, rounds: int) -> float:
    """Two trainings at once: the steps of both with several threads, divided by those with one thread each."""
    one, several = rates([[Trainer(name, n) for _ in range(2)] for n in (1, threads)], seconds, rounds)
    return several / one


def one_core_taken(name: str, threads: int, seconds: float, rounds: int) -> float:
    """While somebody else keeps a core busy: the time of a step with several threads divided by that with one."""
    trainers = [[Trainer(name, 1)], [Trainer(name, threads)]]
    with busy_core():
        one, several = rates(trainers, seconds, rounds)
    return one / several


def one_core_from_the_start(name: str, threads: int, seconds: float, rounds: int) -> float:
    """As under `taskset -c 0`: the time of a step where several threads were asked for, divided by that with one."""
    one, several = rates([[Trainer(name, n, "before")] for n in (1, threads)], seconds, rounds)
    return one / several


def one_core_afterwards(name: str, threads: int, seconds: float, rounds: int) -> float:
    """The same where the process was sent to one core when its threads had already run."""
    one, several = rates([[Trainer(name, n, "after")] for n in (1, threads)], seconds, rounds)
    return one / several


def regions(threads: int) -> str:
    """What `region.c` prints."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "region.c"), Path(folder, "region")
        code = emit_network(check_text(SHARED), threads=threads).code
        source.write_text(f"{code}\n{Path(__file__).with_name('region.c').read_text()}")
        compiler = os.environ.get("CC") or shutil.which("gcc") or "clang"
        subprocess.run([compiler, *FLAGS, *native().flags, "-w", source, "-o", program, "-lm"], check=True)
        said = subprocess.run([program, str(threads)], check=True, capture_output=True, text=True).stdout
    region, barrier, woken = map(float, said.split())
    return (
        f"region {region:.2f} us, barrier {barrier:.2f} us, together {region + barrier:.2f} us (at most 1 on a quiet "
        f"machine); region after a nap {woken:.0f} us"
    )


MEASUREMENTS: dict[str, tuple[Callable[[str, int, float, int], float], str]] = {
    "alone, threads=1's time / ours": (alone, "as large as can be"),
    "two trainings at once, steps / those with threads=1": (two_at_once, "at least 0.9"),
    "one core taken, time / threads=1's": (one_core_taken, "at most 1.35"),
    "on one core from the start, time / threads=1's": (one_core_from_the_start, "at most 1.15"),
    "on one core afterwards, time / threads=1's": (one_core_afterwards, "no goal"),
}


def main() -> None:
    """Prints a line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NETWORK", default=["lenet5"], help="networks (lenet5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a turn (1)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each process (5)")
    parser.add_argument("--worker", nargs=3, metavar=("NETWORK", "THREADS", "PIN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        name, threads, pin = options.worker
        train(name, int(threads), pin)
        return
    cores = available_cores()
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f}")
    print(regions(cores))
    for name in options.only:
        for title, (measurement, goal) in MEASUREMENTS.items():
            found = measurement(name, cores, options.seconds, options.rounds)
            print(f"{name}: {title}: {found:.2f} ({goal})", flush=True)


if __name__ == "__main__":
    main()
