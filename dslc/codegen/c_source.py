"""What a network becomes in C: the type of the stage, and the names that belong to its interface."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.ir import Network

RUNS = {
    "predict": ("predict_prepack", "predict_forward", "predict_small_batch"),
    "evaluate": ("predict_prepack", "predict_forward", "predict_losses"),
    "loss": ("gradients_begin", "gradients_forward"),
    "gradients": ("gradients_begin", "gradients_forward", "gradients_backward", "gradients_finish"),
    "train_step": ("train_begin", "train_forward", "train_backward", "train_check", "train_update"),
}
"""The public functions that compute, and the phases that they run."""

PUBLIC = (
    *RUNS,
    "network",
    "all_finite",
    "all_within",
    "all_below",
    "memory_size",
    "max_batch",
    "pool",
    "train_batches",
    "lap_seconds",
)
"""Public symbols, without the prefix."""


@dataclass(frozen=True)
class CSource:
    """The C of a network: `declarations` is the interface, `code` a whole C file with it inside. Every public symbol
    starts with `prefix`."""

    prefix: str
    declarations: str
    code: str


def c_prefix(network: Network) -> str:
    """The net's name in lower case: every public symbol starts with it."""
    return network.name.lower()
