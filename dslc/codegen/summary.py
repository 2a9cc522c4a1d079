"""What the head of the C file tells its reader."""

from __future__ import annotations

from importlib import metadata

from dslc.plan import Plan


def version() -> str:
    """The version of this package."""
    return metadata.version("dslc")


def summary(plan: Plan) -> list[str]:
    """Size, memory, vectors and threads of a network, a line each."""
    network = plan.graph.network
    trained = sum(p.elements for p in network.parameters if p.trained)
    return [
        f"{len(network.nodes)} layers, {trained:,} parameters, {network.precision}, "
        f"at most {plan.batch} examples at a time.",
        f"Memory: {plan.arena_bytes(False):,} bytes for prediction"
        + (f", {plan.arena_bytes(True):,} for training" if plan.graph.train else "")
        + (f", {plan.bytes('requested_gradients'):,} more for gradients()." if plan.graph.train else "."),
        f"Vectors of {plan.target.lanes(plan.itemsize)} numbers ({plan.target.name}), "
        f"at most {plan.threads} thread{'s' * (plan.threads > 1)}.",
    ]
