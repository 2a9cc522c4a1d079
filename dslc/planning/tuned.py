"""Results of `--tune`: algorithms by operation, stored beside the compiled modules, for one network on one CPU."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from dslc.cache import cache_folder, write_whole
from dslc.cores import available_cores
from dslc.ir import Network
from dslc.json_text import parsed
from dslc.planning.planner import DEFAULT, Options
from dslc.planning.slicing import division
from dslc.target import cpu_identity


def tuned_options(network: Network, batch: int | None, threads: int) -> Options:
    """The algorithms that were fastest when the network was tuned; the default options if it never was."""
    try:
        found = parsed(_place(network, batch, threads).read_text())
    except (OSError, ValueError):
        return DEFAULT
    return Options(algorithms=tuple((str(name), str(choice)) for name, choice in found["algorithms"].items()))


def is_tuned(network: Network, batch: int | None) -> bool:
    """Whether the network was tuned, for mini-batches of this size and any number of threads that this machine has."""
    return any(_place(network, batch, threads).is_file() for threads in range(1, available_cores() + 1))


def save_tuned(network: Network, batch: int | None, threads: int, options: Options) -> Path:
    """Stores the algorithms where `tuned_options` finds them, and returns the path. Raises OSError if that fails."""
    path = _place(network, batch, threads)
    content = {"net": network.name, "threads": threads, "cpu": cpu_identity(), "algorithms": dict(options.algorithms)}
    write_whole(path, json.dumps(content, indent=1).encode())
    return path


def _place(network: Network, batch: int | None, threads: int) -> Path:
    """The file, named by a hash of all that the speed depends on: layers and sizes, precision, how many examples
    kernels take at once, threads, CPU."""
    layers = [(node.name, repr(node.layer), node.input_shapes) for node in network.nodes]
    divided = division(network, batch)
    at_once = divided.slice, divided.predicted
    what = repr((network.name, layers, network.precision, network.precise, at_once, threads, cpu_identity()))
    return cache_folder() / f"tuned-{hashlib.sha256(what.encode()).hexdigest()[:20]}.json"
