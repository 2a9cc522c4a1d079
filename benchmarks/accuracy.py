"""How accurate float32 is: dslc's beside PyTorch's, each against itself in float64.

    python benchmarks/accuracy.py                         # the networks of docs/accuracy.md, as a table
    python benchmarks/accuracy.py --smooth                # the same without kinks
    python benchmarks/accuracy.py specs/lenet5.net FOLDER # these files, and all of a folder

The same parameters and the same mini-batch go to four programs: dslc's C and PyTorch in float32, dslc's NumPy
interpreter and PyTorch in float64. An error is the largest difference of a tensor from its own in float64, relative to
the largest number of that. The two in float64 must agree, or the translation to PyTorch is wrong.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dslc.compiler import check_file
from dslc.ir import Network, Node
from dslc.layers.avgpool import AvgPool
from dslc.layers.global_avgpool import GlobalAvgPool
from dslc.layers.linear import Linear
from dslc.layers.silu import Silu
from dslc.planning.planner import Options
from dslc.proofs.gradcheck import unwrap_single
from dslc.proofs.reference import Interpreter
from dslc.proofs.terms import DRAWS
from dslc.registry import name_of
from dslc.runtime.data.random import random_batch
from dslc.runtime.model import Model
from dslc.runtime.native.initial import start
from torch_network import TorchNetwork, Unknown

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
REPO = Path(__file__).resolve().parent.parent
DEFAULT = (
    "specs/logistic_regression.net", "specs/mlp.net", "specs/lenet5.net", "specs/multitask.net", "specs/residual.net",
    "specs/fashion.net", "benchmarks/specs/mlp_batchnorm_dropout.net", "benchmarks/specs/cifar_cnn.net",
    *(f"benchmarks/specs/untuned/{name}.net" for name in ("bottleneck", "depthwise", "dilated", "grouped", "batch_3",
                                                          "stem_7x7", "deep_narrow", "wide_map", "odd_channels")),
    *(f"benchmarks/specs/accuracy/{name}.net" for name in ("squeezenet1_1", "dcgan_generator", "vgg_small")),
)  # fmt: skip
Tensors = dict[tuple[str, str], Array]
"""What a program found, by kind and name."""

KINDS = ("outputs", "gradients", "parameters", "outputs after")
UPDATES = 3
MOST = 10.0
"""How many times PyTorch's error dslc's may be, on networks without kinks."""
RESOLUTION = float(np.finfo(np.float32).eps)
SAME = 1e-9
"""How far the two programs in float64 may differ."""
CANCELLED = 1e-9
"""A gradient that is so much smaller than its terms is zero but for rounding, as that of a bias before a batchnorm."""


class Mismatch(Exception):
    """PyTorch in float64 computes something else than the interpreter."""


# ----------------------------------------------------------------------------------------------- networks


def without_chance(network: Network) -> Network:
    """Without dropout and augmentation: random numbers differ from program to program."""

    def change(node: Node) -> Node:
        random = name_of(node.layer) == "dropout" or node.layer.augments
        if random and node.input_shapes[0] != node.output.shape:
            raise Unknown(f"the layer {name_of(node.layer)}")
        return replace(node, layer=Linear()) if random else node

    return replace(network, nodes=tuple(map(change, network.nodes)))


def smoothed(network: Network) -> Network:
    """The network without kinks: silu in place of relu, means in place of maxima."""
    makers: dict[str, Callable[[Any], Any]] = {
        "relu": lambda layer: Silu(),
        "leaky_relu": lambda layer: Silu(),
        "maxpool": lambda layer: AvgPool(layer.size, layer.stride, layer.pad),
        "global_maxpool": lambda layer: GlobalAvgPool(),
    }

    def change(node: Node) -> Node:
        make = makers.get(name_of(node.layer))
        return replace(node, layer=make(node.layer)) if make else node

    return replace(network, nodes=tuple(map(change, network.nodes)))


# ----------------------------------------------------------------------------------------------- programs


def by_head(network: Network, found: Any) -> Arrays:
    return found if isinstance(found, dict) else {network.heads[0].name: found}


def of_dslc(network: Network, start_at: Arrays, x: Arrays, y: Arrays, options: Options | None) -> Tensors:
    """What the C finds, in the network's precision."""
    model = Model(network, options=options)
    model.restore_weights(start_at)
    given = [unwrap_single(a) for a in (x, y)]
    return _trial(
        lambda: by_head(network, model.predict(given[0])),
        lambda: model.gradients(*given),
        lambda: model.train_step(*given),
        model.copy_weights,
    )


def of_interpreter(network: Network, start_at: Arrays, x: Arrays, y: Arrays) -> Tensors:
    """What the NumPy interpreter finds in float64."""
    judge = Interpreter(network, {name: a.astype(np.float64) for name, a in start_at.items()})
    training = network.training
    assert training is not None
    return _trial(
        lambda: judge.predict(x),
        lambda: judge.loss_and_gradients(x, y)[1],
        lambda: judge.train_step(x, y, training.optimizer.lr),
        lambda: judge.parameters,
    )


def of_torch(network: Network, start_at: Arrays, x: Arrays, y: Arrays, dtype: torch.dtype) -> Tensors:
    """What PyTorch finds."""
    twin = TorchNetwork(network, start_at, dtype)
    return _trial(lambda: twin.predict(x), lambda: twin.gradients(x, y), lambda: twin.train_step(x, y), twin.arrays)


def _trial(
    predict: Callable[[], Arrays],
    gradients: Callable[[], Arrays],
    update: Callable[[], object],
    parameters: Callable[[], Arrays],
) -> Tensors:
    found = {KINDS[0]: predict(), KINDS[1]: gradients()}
    for _ in range(UPDATES):
        update()
    found |= {KINDS[2]: parameters(), KINDS[3]: predict()}
    return {(kind, name): array for kind, arrays in found.items() for name, array in arrays.items()}


# ----------------------------------------------------------------------------------------------- errors


@dataclass(frozen=True)
class Errors:
    """One tensor: the errors of both, relative to its largest number."""

    kind: str
    name: str
    ours: float
    torch: float

    @property
    def ratio(self) -> float:
        """Ours over PyTorch's, where less than the distance of two neighbouring numbers counts as that."""
        return self.ours / max(self.torch, RESOLUTION)


def measure(network: Network, count: int, seed: int = 0, options: Options | None = None) -> list[Errors]:
    """The errors of every tensor, for a mini-batch of `count` examples.

    Raises:
        Unknown: PyTorch's twin of the network cannot be made.
        Mismatch: it computes something else.
    """
    network = without_chance(network)
    training = network.training
    if training is None:
        raise Unknown("a network without `train`")
    network = replace(network, training=replace(training, batch=count, schedule=None))
    started = {p.name: start(p, training.seed, "float32") for p in network.parameters}
    x, y = random_batch(network, count, seed)
    precise_x = {name: a.astype(np.float64) for name, a in x.items()}
    precise_y = {name: a if a.dtype.kind == "i" else a.astype(np.float64) for name, a in y.items()}
    exact = of_interpreter(network, started, precise_x, precise_y)
    exact_gradients = {name: array for (kind, name), array in exact.items() if kind == "gradients"}
    zero = cancelled(network, started, precise_x, precise_y, exact_gradients)
    twin = of_torch(network, started, x, y, torch.float64)
    theirs = of_torch(network, started, x, y, torch.float32)
    ours = of_dslc(network, started, x, y, options)
    judged = [key for key in exact if key[1] not in zero]
    for key in judged:
        if not (worst := error_of(twin[key], exact[key])) <= SAME:
            raise Mismatch(f"{key[0]} {key[1]}: PyTorch in float64 differs by {worst:.2g}")
    return [Errors(*key, error_of(ours[key], exact[key]), error_of(theirs[key], twin[key])) for key in judged]


def error_of(found: Array, exact: Array) -> float:
    """The largest difference, relative to the largest number."""
    return float(np.abs(found - exact).max() / (np.abs(exact).max() or 1.0))


def cancelled(network: Network, started: Arrays, x: Arrays, y: Arrays, gradients: Arrays) -> set[str]:
    """Parameters whose gradient is zero but for rounding: there is nothing to compare."""
    judge = Interpreter(network, {name: a.astype(np.float64) for name, a in started.items()})
    random = np.random.default_rng(0)
    draws = [judge.randomly_weighted_gradients(x, y, random) for _ in range(DRAWS)]
    terms = {name: max(float(np.abs(draw[name]).max()) for draw in draws) for name in draws[0]}
    return {n for n, size in terms.items() if float(np.abs(gradients[n]).max()) <= CANCELLED * size}


def of_kind(errors: list[Errors], kind: str) -> tuple[float, float]:
    """The largest errors of a kind, ours and PyTorch's."""
    rows = [e for e in errors if e.kind == kind]
    return max(e.ours for e in rows), max(e.torch for e in rows)


# ----------------------------------------------------------------------------------------------- the command


def main() -> int:
    options = parse_arguments()
    print(f"| network | {' | '.join(KINDS)} | ratio |\n| --- |{' ---: |' * (len(KINDS) + 1)}")
    largest = 0.0
    for path in options.files:
        try:
            errors = measure(changed(check_file(path), options), options.count, options.seed)
        except Unknown as reason:
            print(f"{path.stem} is left out: {reason}", file=sys.stderr)
            continue
        cells = [f"{ours:.1e} / {theirs:.1e}" for ours, theirs in (of_kind(errors, kind) for kind in KINDS)]
        worst = max(errors, key=lambda e: e.ratio)
        largest = max(largest, worst.ratio)
        print(f"| {path.stem} | {' | '.join(cells)} | {worst.ratio:.1f} |", flush=True)
        if options.tensors:
            print_tensors(errors)
    return int(options.smooth and largest > MOST)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=[REPO / name for name in DEFAULT], metavar="FILE",
                        help="specs, or folders of them")  # fmt: skip
    parser.add_argument("--smooth", action="store_true", help="without kinks; a ratio above 10 then exits with 1")
    parser.add_argument("--precise", action="store_true", help="as if `train` said `precise on`")
    parser.add_argument("--count", type=int, default=4, help="examples of the mini-batch (4)")
    parser.add_argument("--seed", type=int, default=0, help="of the mini-batch (0)")
    parser.add_argument("--tensors", action="store_true", help="the errors of every tensor too")
    options = parser.parse_args()
    options.files = [
        file for path in options.files for file in (sorted(path.glob("*.net")) if path.is_dir() else [path])
    ]
    return options


def changed(network: Network, options: argparse.Namespace) -> Network:
    """The network as the options want it."""
    network = smoothed(network) if options.smooth else network
    training = network.training
    return replace(network, training=training and replace(training, precise=options.precise or training.precise))


def print_tensors(errors: list[Errors]) -> None:
    for e in errors:
        print(f"    {e.ours:.1e} / {e.torch:.1e}  {e.ratio:5.1f}  {e.kind} {e.name}")


if __name__ == "__main__":
    sys.exit(main())
