"""Divides a large mini-batch: works through as many examples at a time as the caches hold the activations of.

What a slice costs on its own is one pass over the gradients of all parameters, which are added up (`accumulate`), so
that a slice must not be too small either. The sizes depend on the network alone: neither on the machine nor on the
number of threads, and so the bits do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from dslc.ir import Network

PREDICT_BATCH = 64
"""The batch capacity of a network without `train`."""
SLICE_NUMBERS = 1 << 18
"""So many results of layers in a slice stay in the caches from the forward to the backward pass."""
ACCUMULATION = 0.03
"""The most time that adding up gradients may take, as a share of what a slice takes."""
MULTIPLY_ADDS = 10
"""How many multiply-adds of the passes over a network take as long as adding up one number of a gradient."""
PASSES = 3
"""Multiply-adds forward, for the gradients of values and for those of parameters."""
FEWEST = 128
"""A slice has at least so many examples: eight vectors, where each lane holds one, for the threads to share.
Mini-batches of common sizes stay whole."""
MULTIPLE = 16
"""Slices are whole vectors of the widest target."""


@dataclass(frozen=True)
class Division:
    """How a mini-batch of up to `examples` is worked through: `slice` of them at a time, and `predicted` where nothing
    learns. `mixing`: the layer that has to see all of them together, without which it would be divided."""

    examples: int
    slice: int
    predicted: int
    mixing: str = ""

    @property
    def sliced(self) -> bool:
        """Whether there are several slices."""
        return self.slice < self.examples


def division(network: Network, batch: int | None = None, over_ranks: bool = False) -> Division:
    """How a network's mini-batches are divided: as the file says, else as is best.

    batch: the largest mini-batch, in place of the file's. over_ranks: it is one of several ranks' part of the
    mini-batch, and a slice its part of a slice, of which another may have one example less.
    """
    training = network.training
    examples = batch or (training.batch if training is not None else None) or PREDICT_BATCH
    best = _best_slice(network, examples)
    if training is None:
        return Division(examples, examples, best)
    if training.slices is not None:
        given = ceil(examples / training.slices)
        return Division(given * training.slices if over_ranks else examples, given, min(given, best))
    mixing = next((node.name for node in network.nodes if node.layer.mixes and not node.frozen), "")
    if mixing or best == examples:
        return Division(examples, examples, best, mixing if best < examples else "")
    return Division(ceil(examples / best) * best if over_ranks else examples, best, best)


def _best_slice(network: Network, examples: int) -> int:
    """The size of slices; all examples where it would not pay to divide them."""
    learning = sum(p.elements for p in network.parameters if p.learns)
    activations = sum(node.output.elements for node in network.nodes)
    products = PASSES * sum(node.layer.multiply_adds(node.input_shapes) for node in network.nodes)
    amortized = MULTIPLY_ADDS * learning / (ACCUMULATION * max(products, 1))
    wanted = max(SLICE_NUMBERS / max(activations, 1), amortized, FEWEST)
    count = max(int(examples / wanted), 1)
    best = min(ceil(ceil(examples / count) / MULTIPLE) * MULTIPLE, examples)
    return best if (examples - best) * activations > learning else examples
