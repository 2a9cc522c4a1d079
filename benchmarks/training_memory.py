"""The peak of a whole training beside PyTorch's: load, fit with a dev set, checkpoint, in fresh processes.

    python benchmarks/training_memory.py                             # AlexNet, VGG-16 and ResNet-18
    python benchmarks/training_memory.py alexnet:16 --memory low

Prints in MB what `dslc check` announces (the arena and the weights of the best epoch), the peak of resident memory of
a process that trains with dslc, that of one that does the same with PyTorch, and their ratio. Both train the network of
the spec with momentum and without dropout; of it PyTorch gets what `torch_network.py` makes. PyTorch keeps the best
weights too.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from dslc.compiler import check_text, plan_network
from dslc.language.shipped import shipped

NETWORKS = ("alexnet:16", "vgg16:4", "zoo/resnet18:16")
EXAMPLES = 2
"""Mini-batches in the training set; the dev set has one."""


def spec(name: str, memory: str) -> str:
    """The text of a spec that ships, as both train it. name: with the mini-batch behind a colon."""
    name, _, batch = name.partition(":")
    path = shipped(name)
    if path is None:
        sys.exit(f"no spec is called {name}")
    text = re.sub(
        r"^ *(optimizer|schedule|clip|regularize|batch|memory|stop|average) .*\n", "", path.read_text(), flags=re.M
    )
    text = re.sub(r" *-> dropout\([^)]*\)", "", text)
    lines = ["optimizer sgd(0.001, momentum=0.9)", f"batch {batch}", *([f"memory {memory}"] if memory else [])]
    return text.replace("train {\n", "".join(["train {\n", *(f"  {line}\n" for line in lines)]))


def data(text: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Inputs and class numbers, and how many a mini-batch has."""
    network = check_text(text)
    assert network.training is not None and network.training.batch is not None
    random, batch = np.random.default_rng(0), network.training.batch
    x = random.random((EXAMPLES * batch, *network.inputs[0].shape), np.float32)
    return x, random.integers(0, network.heads[0].value.shape[-1], len(x)), batch


def peak() -> float:
    """The most resident memory that this process has had, in MB."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1000


def train_dslc(text: str, folder: Path) -> None:
    """Two epochs with a dev set, and a checkpoint behind each."""
    import dslc

    model = dslc.loads(text, threads=1)
    x, y, batch = data(text)
    model.fit(x, y, (x[:batch], y[:batch]), epochs=2, on_epoch=lambda record: model.checkpoint(folder / "checkpoint"))
    model.checkpoint(folder / "checkpoint")


def train_torch(text: str, folder: Path) -> None:
    """The same in PyTorch; the best weights are kept as copies."""
    import torch

    from dslc.runtime.native.initial import initial_parameters
    from torch_network import TorchNetwork

    torch.set_num_threads(1)
    network = check_text(text)
    model = TorchNetwork(network, dict(initial_parameters(network, 0)), torch.float32)
    x, y, batch = data(text)
    value, head = network.inputs[0].name, network.heads[0].name
    for _ in range(2):
        for first in range(0, len(x), batch):
            at = slice(first, first + batch)
            model.train_step({value: x[at]}, {head: y[at]})
        model.predict({value: x[:batch]})
        best = {name: p.detach().clone() for name, p in model.parameters.items()}
        held = {"last": model.parameters, "best": best, "optimizer": model.optimizer.state_dict()}
        torch.save(held, folder / "checkpoint")


def measured(what: str, name: str, memory: str) -> float:
    """The peak of a fresh process; nan if it fails, as where PyTorch is missing."""
    call = [sys.executable, __file__, "--alone", what, name, "--memory", memory]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr.splitlines()[-1], file=sys.stderr)
        return float("nan")
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    """Prints a row a network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--memory", default="", help="low or bytes, as in the language")
    parser.add_argument("--alone", choices=("dslc", "torch"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        with tempfile.TemporaryDirectory() as folder:
            train = train_dslc if given.alone == "dslc" else train_torch
            train(spec(given.networks[0], given.memory), Path(folder))
        print(peak())
        return
    print(f"{'network':20} {'announced':>9} {'dslc':>9} {'PyTorch':>9} {'ratio':>6}   MB")
    for name in given.networks:
        plan = plan_network(check_text(spec(name, given.memory)))
        announced = (plan.arena_bytes(True) + plan.weights_bytes) / 1e6
        ours, theirs = measured("dslc", name, given.memory), measured("torch", name, "")
        print(f"{name:20} {announced:9.0f} {ours:9.0f} {theirs:9.0f} {ours / theirs:6.2f}")


if __name__ == "__main__":
    main()
