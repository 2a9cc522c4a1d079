"""What a network holds after a few steps, as a hash: the same for any number of threads, in the epoch loop and step by
step, in another process, and for other compilers of the family.

    python tests/reproducible.py [--threads 8] [--only lenet5,vgg16] [--below 20]     a line for each shipped spec
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import time
from dataclasses import replace

import numpy as np

import dslc
from dslc.compiler import check_file
from dslc.ir import Network
from dslc.objective import Objective
from dslc.runtime.model import Model
from helpers import REPO, SPECS, all_threads_come, data

FOUND = {path.stem: path for path in [*SPECS, *sorted((REPO / "specs/zoo").glob("*.net"))]}
"""All that ship, the published networks too."""
BIG, FEW = 100, 3
"""From so many million multiply-adds for an example on, a mini-batch is so small, or a step would take minutes; the
output says so."""
EPOCHS = 3
Hashes = dict[str, str]


def hashes(names: list[str], planned: int, counts: tuple[int, ...]) -> Hashes:
    """For each spec the hash of all that training leaves; of networks planned for `planned` threads, run by each of
    these numbers of them.

    Raises:
        AssertionError: two of them differ.
    """
    found = {}
    for name in names:
        model = load(name, planned)
        kinds = {f"{kind}, {count} threads": _hash(model, kind, count) for kind in _kinds(model) for count in counts}
        assert len(set(kinds.values())) == 1, f"{name} differs: {kinds}"
        found[name] = next(iter(kinds.values()))
    return found


def load(name: str, threads: int) -> Model:
    """A spec as it ships, but for the mini-batches of big ones."""
    given = {"batch": FEW} if is_big(check_file(FOUND[name])) else {}
    return dslc.load(FOUND[name], threads=threads, **given)


def is_big(network: Network) -> bool:
    """Whether its mini-batches are small here."""
    return network.training is not None and millions(network) >= BIG


def millions(network: Network) -> float:
    """Million multiply-adds to predict an example."""
    return sum(node.layer.multiply_adds(node.input_shapes) for node in network.nodes) / 1e6


def _kinds(model: Model) -> tuple[str, ...]:
    return ("predict",) if model.network.training is None else ("epochs", "steps")


def _hash(model: Model, kind: str, threads: int) -> str:
    """Of a copy, trained in a loop or by steps: its loss, parameters, optimizer state and predictions."""
    twin = model.copy()
    twin.compiled.net.threads = threads
    if twin.network.training is not None:  # all epochs, and the last weights
        training = replace(twin.network.training, objective=Objective("loss"), patience=None)
        twin.network = replace(twin.network, training=training)
    x, y = examples(twin.network, twin.batch)
    if kind == "epochs":
        twin.fit(x, y, epochs=EPOCHS)
    elif kind == "steps":
        _by_steps(twin, x, y)
    digest = hashlib.sha256()
    parts = [*twin.parameters.values()] + ([] if kind == "predict" else [*twin.compiled.states().values()])
    for view in parts:
        digest.update(view.numpy().tobytes())
    predicted = twin.predict(x)
    for output in predicted.values() if isinstance(predicted, dict) else (predicted,):
        digest.update(output.tobytes())
    return digest.hexdigest()[:16]


def _by_steps(model: Model, x: dict[str, np.ndarray], y: dict[str, np.ndarray]) -> None:
    """What `fit` does, mini-batch by mini-batch, in the order that seed and epoch give."""
    count = len(next(iter(x.values())))
    batches = model._training_batches(x, y)
    model._fit_layers(batches, y)
    for epoch in range(EPOCHS):
        model.epoch = epoch
        model.begin_epoch(-(-count // model.batch))
        with batches.epoch(epoch) as pieces:
            (order,) = [piece.order for piece in pieces]
        for first in range(0, count, model.batch):
            at = order[first : first + model.batch]
            model.train_step({name: a[at] for name, a in x.items()}, {name: a[at] for name, a in y.items()})


def examples(network: Network, batch: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A whole mini-batch and a part of one."""
    found = data(network, batch + batch // 2 + 1, np.random.default_rng(3), "float32")
    return found if network.training is not None else (found[0], {})


def main() -> None:
    """Prints the hashes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1, help="plan for so many threads")
    parser.add_argument("--only", default=",".join(FOUND), help="specs, with commas between")
    parser.add_argument("--below", type=float, default=math.inf, help="only those with fewer million multiply-adds")
    options = parser.parse_args()
    all_threads_come(setattr)
    networks = {name: check_file(FOUND[name]) for name in options.only.split(",")}
    for name in sorted(networks, key=lambda name: millions(networks[name])):
        if millions(networks[name]) >= options.below:
            continue
        counts, begun = tuple(n for n in (1, 2, 3, 8) if n <= options.threads), time.monotonic()
        (digest,) = hashes([name], options.threads, counts).values()
        note = f", mini-batches of {FEW}" if is_big(networks[name]) else ""
        print(f"{name:20} {digest}  {time.monotonic() - begun:.0f} s{note}", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("DSLC_THREADS", "1")
    main()
