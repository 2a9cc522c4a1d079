"""Whether an error of float32 is rounding or a decision that fell otherwise: a relu near zero, the largest of a window.

    python benchmarks/kinks.py SPEC --seeds 8             # a row a mini-batch
    python benchmarks/kinks.py SPEC --seed 3 --layers     # one mini-batch, layer by layer

A relu whose input is nearer to zero than its rounding may open in float32 and not in float64. The gradient that flows
through it then appears or vanishes as a whole, however accurate the sums are. So gradients are compared a second time,
with those of the network in float64 that decides as the program in float32 did: what is left is rounding.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from accuracy import Array, Arrays, cancelled, error_of, unwrap_single, without_chance
from dslc.compiler import check_file
from dslc.ir import Network, Node
from dslc.layers import Layer, Mode, Reference
from dslc.layers._pooling import MaxPooling
from dslc.layers.conv import pad_image, window_taps
from dslc.layers.relu import Relu
from dslc.planning.planner import Options
from dslc.proofs.reference import Interpreter
from dslc.runtime.data.random import random_batch
from dslc.runtime.model import Model
from dslc.runtime.native.initial import start
from dslc.shape import Shape
from torch_network import TorchNetwork

SEPARATE = Options(disable=("memory", "fusion"))
"""The result of every layer stays where it can be looked at."""


# ----------------------------------------------------------------------------------------------- decisions


@dataclass(frozen=True)
class Decided(Layer):
    """A layer with kinks that does what was decided: it is linear."""

    layer: Layer
    decision: Array

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        return self.layer.infer(inputs)

    def reference(self, xs: tuple[Array, ...], p: Mapping[str, Array], mode: Mode) -> Reference:
        if isinstance(self.layer, Relu):
            return Reference(xs[0] * self.decision, lambda dy: ((dy * self.decision,), {}))
        taps, inside, padded = windows(self.layer, xs[0])
        largest = np.take_along_axis(np.stack([padded[at] for at in taps]), self.decision[None], axis=0)[0]

        def pull(dy: Array) -> tuple[tuple[Array, ...], dict[str, Array]]:
            dx = np.zeros_like(padded)
            for number, at in enumerate(taps):
                dx[at] += np.where(self.decision == number, dy.reshape(largest.shape), 0)
            return (dx[inside],), {}

        return Reference(largest.reshape(len(xs[0]), *self.infer((xs[0].shape[1:],))), pull)


def windows(layer: Any, x: Array) -> tuple[list[Any], Any, Array]:
    """The places of a window's pixels in the padded image, the place of the image in it, and the padded image."""
    shape = x.shape[1:]
    window, (rows, columns, _) = layer.window_for(shape), layer.pooled((shape,))
    padded, inside = pad_image(x, window, -np.inf)
    return [at for _, _, at in window_taps(window, rows, columns)], inside, padded


def decisions(network: Network, values: Arrays) -> Arrays:
    """By node with kinks, what it decides on these values: whether a number passes, or which one of a window is the
    largest."""
    found = {}
    for node in network.nodes:
        x = values[node.inputs[0].name]
        if isinstance(node.layer, Relu):
            found[node.name] = x >= 0
        elif isinstance(node.layer, MaxPooling):
            taps, _, padded = windows(node.layer, x)
            found[node.name] = np.stack([padded[at] for at in taps]).argmax(axis=0)
    return found


def decided(network: Network, decided_so: Arrays) -> Network:
    """The network that decides so."""

    def change(node: Node) -> Node:
        known = decided_so.get(node.name)
        return node if known is None else replace(node, layer=Decided(node.layer, known))

    return replace(network, nodes=tuple(map(change, network.nodes)))


# ----------------------------------------------------------------------------------------------- programs


@dataclass(frozen=True)
class Program:
    """What one program in float32 found: the values that flow forward, and the gradients."""

    name: str
    values: Arrays
    gradients: Arrays


def programs(network: Network, started: Arrays, x: Arrays, y: Arrays) -> list[Program]:
    """dslc, dslc without Winograd's algorithm, and PyTorch."""
    training = network.training
    assert training is not None
    found = []
    for name, precise in (("dslc", False), ("dslc, precise", True)):
        model = Model(replace(network, training=replace(training, precise=precise)), options=SEPARATE)
        model.restore_weights(started)
        gradients = model.gradients(unwrap_single(x), unwrap_single(y))
        found.append(Program(name, x | values_of(model), gradients))
    twin = TorchNetwork(network, started, torch.float32)
    return [*found, Program("PyTorch", twin.values(x), twin.gradients(x, y))]


def values_of(model: Model) -> Arrays:
    """The results of layers that the last call of `gradients` left, by value."""
    step = model.plan.step("gradients")
    assert step is not None
    found = {}
    for node in model.network.nodes:
        buffer = step.workspace.get(f"{node.name}_out")
        if buffer is not None:
            end = buffer.offset + buffer.layout.total(model.batch)
            images = model.compiled.arena.numbers[buffer.offset : end]
            images = images.reshape(-1, *node.output.shape, buffer.layout.examples)
            found[node.output.name] = np.moveaxis(images, -1, 1).reshape(-1, *node.output.shape)[: model.batch]
    return found


# ----------------------------------------------------------------------------------------------- the command


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec", type=Path)
    parser.add_argument("--count", type=int, default=2, help="examples of the mini-batch (2)")
    parser.add_argument("--seed", type=int, default=0, help="of the first mini-batch (0)")
    parser.add_argument("--seeds", type=int, default=1, help="how many mini-batches (1)")
    parser.add_argument("--layers", action="store_true", help="every layer")
    options = parser.parse_args()
    network = without_chance(check_file(options.spec))
    assert network.training is not None, "there are no gradients without `train`"
    network = replace(network, training=replace(network.training, batch=options.count, schedule=None))
    print("| seed | program | decided otherwise | gradients | beside the network that decides so |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for seed in range(options.seed, options.seed + options.seeds):
        show(network, options.count, seed, options.layers)


def show(network: Network, count: int, seed: int, layers: bool) -> None:
    """A row for each program on one mini-batch."""
    training = network.training
    assert training is not None
    started = {p.name: start(p, training.seed, "float32") for p in network.parameters}
    x, y = random_batch(network, count, seed)
    precise_x = {name: a.astype(np.float64) for name, a in x.items()}
    judge = Interpreter(network, {name: a.astype(np.float64) for name, a in started.items()})
    exact = judge.loss_and_gradients(precise_x, y)[1]
    exact_decisions = decisions(network, judge.run(precise_x, training=True)[0])
    names = [name for name in exact if name not in cancelled(network, started, precise_x, y, exact)]
    for program in programs(network, started, x, y):
        its = decisions(network, program.values)
        otherwise = {name: int((its[name] != exact_decisions[name]).sum()) for name in its}
        alike = Interpreter(decided(network, its), judge.parameters).loss_and_gradients(precise_x, y)[1]
        errors = {
            n: (error_of(program.gradients[n], exact[n]), error_of(program.gradients[n], alike[n])) for n in names
        }
        apart, rounding = (max(column) for column in zip(*errors.values(), strict=True))
        print(f"| {seed} | {program.name} | {sum(otherwise.values())} | {apart:.1e} | {rounding:.1e} |", flush=True)
        if layers:
            print(*(f"    {name}: {flips} decided otherwise" for name, flips in otherwise.items() if flips), sep="\n")
            print(*(f"    {name}: {a:.1e}, {b:.1e}" for name, (a, b) in errors.items()), sep="\n")


if __name__ == "__main__":
    main()
