"""What an example costs in mini-batches of every size, beside PyTorch.

    python benchmarks/batch_sizes.py                                  # all, at one thread
    python benchmarks/batch_sizes.py --only lenet5 --sizes 64 4096 --rounds 3

Prints a table for each network: the time of a training step divided by its examples, how much that is above the best of
all sizes, the peak of resident memory, and the same of PyTorch in the faster of its memory formats. Every size is a
process of its own, and all of them take turns in one run. The goal: at most 10% above the best beyond 64 examples.
"""

from __future__ import annotations

import argparse
import re
from statistics import median

from agreement import build_alike
from net import Net
from networks import ENTRIES, TORCH
from reading import read_net, with_batch
from rivals import CONTENDERS, OURS
from timing import Pace, Worker, take_turns

SIZES = (1, 8, 64, 256, 1024, 4096)
PLAIN = "cifar_cnn_plain"
"""The CIFAR network without batch norm, which sees a whole mini-batch."""
NETWORKS = ("lenet5", PLAIN, "cifar_cnn", "mlp")
Key = tuple[str, int]


def network(name: str) -> Net:
    """One of the networks that `run.py` measures too."""
    if name != PLAIN:
        return ENTRIES[name].read()
    text = re.sub(r" -> batchnorm\b", "", ENTRIES["cifar_cnn"].path.read_text())
    return read_net(text.replace(", bias=off", ""))


def start(net: Net, sizes: list[int], threads: int) -> dict[Key, Worker]:
    """A process for each contender and size, all with networks that compute the same as ours."""
    workers: dict[Key, Worker] = {}
    for size in sizes:
        found = {name: Worker(name, threads) for name in (OURS, *TORCH) if CONTENDERS[name].suits(net)}
        sized = with_batch(net, size)
        for name, reason in build_alike(found, sized, sized).items():
            print(f"  without {CONTENDERS[name].title} at {size}: {reason}")
        workers |= {(name, size): worker for name, worker in found.items()}
    return workers


def measured(workers: dict[Key, Worker], pace: Pace) -> dict[Key, tuple[float, float]]:
    """Microseconds for an example, the median over the blocks, and the peak of memory in MB."""
    named = {f"{name} {size}": (name, size) for name, size in workers}
    blocks, _ = take_turns({label: workers[key] for label, key in named.items()}, "train", pace)
    found = {}
    for label, times in blocks.items():
        name, size = named[label]
        found[name, size] = (1e6 * median(times) / size, workers[name, size].ask("peak_memory") / 1e6)
    return found


def row(size: int, found: dict[Key, tuple[float, float]]) -> str:
    """A size's line of the table."""
    ours, memory = found[OURS, size]
    best = min(time for (name, _), (time, _) in found.items() if name == OURS)
    words = [f"{size:,}", f"{ours:.2f} us", f"+{100 * (ours / best - 1):.0f}%", f"{memory:.0f} MB"]
    rivals = [found[name, size] for name in TORCH if (name, size) in found]
    if rivals:
        time, peak = min(rivals)
        words += [f"{time:.2f} us", f"{peak:.0f} MB", f"{time / ours:.2f}"]
    return f"| {' | '.join(words)} |"


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=NETWORKS, metavar="NETWORK")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), metavar="N", help="mini-batches")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a block (0.5)")
    parser.add_argument("--rounds", type=int, default=9, help="blocks of each process (9)")
    options = parser.parse_args()
    for name in options.only:
        net = network(name)
        workers = start(net, options.sizes, options.threads)
        try:
            found = measured(workers, Pace(options.seconds, options.rounds))
        finally:
            for worker in workers.values():
                worker.close()
        print(f"\n{name}, {options.threads} thread(s)\n")
        print("| examples | an example | above the best | memory | PyTorch | memory | its time / ours |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for size in options.sizes:
            print(row(size, found), flush=True)


if __name__ == "__main__":
    main()
