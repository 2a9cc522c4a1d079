"""What to be warned of before training begins, about the data and the network together."""

from __future__ import annotations

from dslc.checker.cautions import FEW
from dslc.ir import MIXED, Network
from dslc.layers.batchnorm import BatchNorm
from dslc.target import native


def small_batches(network: Network, examples: int) -> str | None:
    """A warning where each mini-batch, or the last one of an epoch, has but one or two examples for a batchnorm that
    learns its running averages; None where that is not so.

    In slices, each or the last of them. examples: how many are trained with in an epoch.
    """
    training = network.training
    batch = training.slice if training is not None else None
    layers = [node for node in network.nodes if isinstance(node.layer, BatchNorm) and not node.frozen]
    if batch is None or not layers:
        return None
    names = " and ".join(node.name for node in layers)
    whole = training is None or not training.divided
    if batch <= FEW:
        each = (
            f"each {'mini-batch' if whole else 'slice'} has {'a single example' if batch == 1 else 'only 2 examples'}"
        )
        return f"{each} to give mean and variance to {names}: use a larger batch, or layernorm"
    if not 0 < examples % batch <= FEW:
        return None
    share = 1 - min(_momentum(node.layer) for node in layers)
    parts = "mini-batches" if whole else "slices"
    left = "a single example" if examples % batch == 1 else f"only {examples % batch} examples"
    advice = _advice(examples, batch, "batch" if whole else "slices of")
    return (
        f"of {examples} examples in {parts} of {batch} the last one has {left}, whose mean and variance make up "
        f"{share:.3g} of the running averages of {names} at the end of an epoch: {advice}"
    )


def slow_products(network: Network) -> str | None:
    """A warning where products in bf16 take longer than those of float32 on this machine; None where they do not."""
    if network.precision != MIXED or native().has_bf16:
        return None
    return "precision mixed: this CPU has no instruction for products in bf16, so that training is faster with float32"


def _momentum(layer: object) -> float:
    assert isinstance(layer, BatchNorm)
    return layer.momentum


def _advice(examples: int, batch: int, what: str) -> str:
    """The nearest size, of `what`, that leaves none or more."""
    fits = [b for b in range(FEW + 1, 2 * batch + 1) if not 0 < examples % b <= FEW]
    leave = f"leave out {examples % batch}"
    return f"use {what} {min(fits, key=lambda b: (abs(b - batch), -b))}, or {leave}" if fits else leave
