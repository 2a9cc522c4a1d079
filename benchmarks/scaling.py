"""How training grows with the number of ranks, on this machine beside PyTorch, and by a model on more than it has.

python benchmarks/scaling.py                           tables, about five minutes on two quiet cores
python benchmarks/scaling.py --write docs/scaling.md   the same, into the document

Weak scaling: a rank has as many examples as one alone; strong scaling: all ranks together have. Each rank is pinned to
a core and has one thread. Turns of dslc and of PyTorch's DDP (gloo), on one rank and on two, follow each other; medians
of turns.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import log2
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

EXAMPLES, EPOCHS = 2048, 4
"""How many examples an epoch has, and how many epochs are timed after one that is not."""
NETS = {
    "LeNet-5": (
        (28, 28, 1),
        "conv(6, 5x5, pad=2) -> relu -> maxpool(2x2) -> conv(16, 5x5) -> relu -> maxpool(2x2) -> flatten "
        "-> dense(120) -> relu -> dense(84) -> relu -> dense(10) -> softmax",
        64,
    ),
    "MLP, 6.3 million parameters": (
        (1024,),
        "dense(2048) -> relu -> dense(2048) -> relu -> dense(10) -> softmax",
        128,
    ),
}
"""Shape of an example, layers, and examples of a rank."""
SIZES = (1, 1 << 10, 1 << 14, 1 << 17, 1 << 20, 1 << 23)
"""Numbers of the sums that are timed."""
BEGIN, END = "<!-- measured: benchmarks/scaling.py writes this -->", "<!-- end -->"


# ------------------------------------------------------------------------------------------------ on a rank


def data(shape: tuple[int, ...]) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    return random.normal(size=(EXAMPLES, *shape)).astype(np.float32), random.integers(0, 10, EXAMPLES).astype(np.int32)


def of_dslc(name: str, batch: int) -> float:
    """Examples a second of all ranks together."""
    from mpi4py import MPI

    from dslc.compiler import check_text
    from dslc.runtime.model import Model

    shape, layers, _ = NETS[name]
    pin(MPI.COMM_WORLD.rank)
    sizes = "x".join(map(str, shape))
    train = f"train {{\n loss cross_entropy\n optimizer sgd(0.01, momentum=0.9)\n batch {batch}\n}}\n"
    model = Model(check_text(f"net N {{\n input x: {sizes}\n {layers}\n}}\n{train}"), 1)
    history = model.fit(*data(shape), epochs=EPOCHS + 1, comm=MPI.COMM_WORLD)
    return EXAMPLES / median(record["seconds"] for record in history.records[1:])


def of_torch(name: str, batch: int) -> float:
    """The same with DistributedDataParallel and gloo."""
    import torch
    from torch import distributed, nn
    from torch.nn.parallel import DistributedDataParallel

    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    pin(rank)
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    layers: dict[str, list[nn.Module]] = {
        "LeNet-5": [
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
        ],
        "MLP, 6.3 million parameters": [
            nn.Linear(1024, 2048), nn.ReLU(), nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 10),
        ],
    }  # fmt: skip
    network = DistributedDataParallel(nn.Sequential(*layers[name]))
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)
    x, y = data(NETS[name][0])
    images = torch.tensor(np.moveaxis(x, -1, 1) if x.ndim == 4 else x)
    labels, mine = torch.tensor(y).long(), batch // size
    seconds = []
    for _ in range(EPOCHS + 1):
        started = time.perf_counter()
        for first in range(rank * mine, EXAMPLES, batch):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[first : first + mine]), labels[first : first + mine]).backward()
            optimizer.step()
        distributed.barrier()
        seconds.append(time.perf_counter() - started)
    distributed.destroy_process_group()
    return EXAMPLES / median(seconds[1:])


def sums(_: str, __: int) -> list[float]:
    """The seconds of an Allreduce of each size."""
    from mpi4py import MPI

    pin(MPI.COMM_WORLD.rank)
    found = []
    for count in SIZES:
        numbers, times = np.ones(count, np.float32), []
        for _ in range(20):
            MPI.COMM_WORLD.Barrier()
            started = time.perf_counter()
            MPI.COMM_WORLD.Allreduce(MPI.IN_PLACE, numbers)
            times.append(time.perf_counter() - started)
        found.append(median(times))
    return found


def pin(rank: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[rank % len(cores)]})


WORKERS = {"dslc": of_dslc, "torch": of_torch, "sums": sums}


# ------------------------------------------------------------------------------------------------ turns


def turn(kind: str, ranks: int, name: str = "", batch: int = 0) -> Any:
    """What rank 0 of so many has measured."""
    call = [sys.executable, __file__, "--worker", kind, name, str(batch)]
    if kind != "torch":
        return json.loads(subprocess.check_output(["mpiexec", "-n", str(ranks), *call], text=True))
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    world = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(ranks)}
    started = [
        subprocess.Popen(call, env=os.environ | world | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(ranks)
    ]
    told = [process.communicate()[0] for process in started]
    return json.loads(told[0])


def measured(rounds: int) -> Iterator[str]:
    """The table of turns: examples a second, and the efficiency of two ranks."""
    yield "| network | | ranks | dslc, examples/s | PyTorch DDP | efficiency of dslc | of DDP |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for name, (_, _, each) in NETS.items():
        cases = {"one rank": (1, each), "weak": (2, 2 * each), "strong": (2, each)}
        found: dict[tuple[str, str], list[float]] = {}
        for _ in range(rounds):
            for case, (ranks, batch) in cases.items():
                for kind in ("dslc", "torch"):
                    found.setdefault((case, kind), []).append(turn(kind, ranks, name, batch))
        for case, (ranks, _) in cases.items():
            ours, theirs = (median(found[case, kind]) for kind in ("dslc", "torch"))
            shares = [median(found[case, kind]) / median(found["one rank", kind]) / ranks for kind in ("dslc", "torch")]
            yield f"| {name} | {case} | {ranks} | {ours:,.0f} | {theirs:,.0f} | {shares[0]:.0%} | {shares[1]:.0%} |"


# ------------------------------------------------------------------------------------------------ the model


@dataclass(frozen=True)
class Link:
    """What joins the ranks: seconds until a message arrives, and seconds for each of its bytes."""

    name: str
    latency: float
    byte: float

    def sum_seconds(self, ranks: int, size: float) -> float:
        """Of an Allreduce of `size` bytes, as Rabenseifner (2004) has it: halves are exchanged and added up, then the
        sums are collected: 2 log2(N) messages, and 2 (N - 1) / N of the bytes over the link of each rank."""
        return 2 * log2(ranks) * self.latency + 2 * (ranks - 1) / ranks * size * self.byte


@dataclass(frozen=True)
class Job:
    """A network: learned parameters, multiply-adds of an example forward, examples of a rank, layers of batch norm with
    their channels in all."""

    name: str
    parameters: float
    multiply_adds: float
    batch: int
    norms: int = 0
    channels: int = 0

    def efficiency(self, link: Link, ranks: int, flops: float) -> float:
        """The share of its time that a rank computes, in weak scaling. Three passes, two of them backward, behind which
        the sums hide but for the last bucket of 4 MB; small sums, of the loss and twice for each batch norm, do not
        hide."""
        compute = 3 * 2 * self.multiply_adds * self.batch / flops
        size, bucket = 4 * self.parameters, min(4 * self.parameters, 4 << 20)
        hidden = max(0.0, link.sum_seconds(ranks, size - bucket) - 2 / 3 * compute)
        small = link.sum_seconds(ranks, 24) + 2 * self.norms * link.sum_seconds(ranks, 0)
        small += 2 * 2 * (ranks - 1) / ranks * 16 * self.channels * link.byte
        return compute / (compute + hidden + link.sum_seconds(ranks, bucket) + small)


JOBS = (
    Job("LeNet-5", 61_706, 0.42e6, 64),
    Job("VGG-16", 138_357_544, 15.5e9, 32),
    Job("ResNet-50", 25_557_032, 4.1e9, 32, 53, 26_560),
)
LINKS = (Link("10 Gbit/s Ethernet", 25e-6, 8 / 10e9), Link("100 Gbit/s InfiniBand", 2e-6, 8 / 100e9))
"""Assumed, not measured: usual latencies of MPI over TCP and over InfiniBand, and the links' nominal rates."""
FLOPS = 1e12
"""Assumed of a rank, a socket with some 16 cores: multiply-adds count twice."""


def predicted() -> Iterator[str]:
    """The efficiency of weak scaling by the model."""
    yield "| network, examples a rank | link | 8 ranks | 64 | 1024 |"
    yield "| --- | --- | --- | --- | --- |"
    for job in JOBS:
        for link in LINKS:
            shares = " | ".join(f"{job.efficiency(link, ranks, FLOPS):.0%}" for ranks in (8, 64, 1024))
            yield f"| {job.name}, {job.batch} | {link.name} | {shares} |"


def here() -> Iterator[str]:
    """Latency and time of a byte between two ranks of this machine: of the smallest and the largest sum."""
    times = turn("sums", 2)
    link = Link("two ranks of this machine", times[0] / 2, times[-1] / (4 * SIZES[-1]))
    yield f"Two ranks of this machine: {link.latency * 1e6:.1f} us a message, {1e-9 / link.byte:.1f} GB/s."
    yield ""
    yield "| numbers | Allreduce | by the model |"
    yield "| --- | --- | --- |"
    for count, seconds in zip(SIZES, times, strict=True):
        yield f"| {count:,} | {seconds * 1e6:,.0f} us | {link.sum_seconds(2, 4 * count) * 1e6:,.0f} us |"


def write(path: Path, lines: list[str]) -> None:
    """Replaces the measured part of the document."""
    before, rest = path.read_text().split(BEGIN)
    _, after = rest.split(END)
    path.write_text("\n".join([before + BEGIN, *lines, END]) + after)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--predict", action="store_true", help="only the model's table")
    parser.add_argument("--worker", nargs=3, metavar=("KIND", "NET", "BATCH"))
    options = parser.parse_args()
    if options.worker:
        kind, name, batch = options.worker
        result = WORKERS[kind](name, int(batch))
        if os.environ.get("RANK", os.environ.get("PMI_RANK", "0")) == "0":
            print(json.dumps(result))
        return
    lines = list(predicted()) if options.predict else [*here(), "", *measured(options.rounds)]
    print("\n".join(lines))
    if options.write:
        write(options.write, lines)


if __name__ == "__main__":
    main()
