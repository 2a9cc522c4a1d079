"""Every setting of a training in words, those too that the spec leaves to their defaults."""

from __future__ import annotations

from typing import Any

from dslc.ir import Network, Training
from dslc.language.arguments import show, slots
from dslc.registry import name_of


def settings_of(network: Network) -> list[tuple[str, str]]:
    """Pairs of a name and a value as the language writes them; params of the file come first."""
    found = [(p.name, show(p.value)) for p in network.params]
    found += [("precision", network.precision)]
    if network.training is None:
        return found
    several = len(network.heads) > 1
    found += [(f"loss {head.name}" if several else "loss", call(head.loss)) for head in network.heads]
    found += _of_training(network.training)
    regularized: dict[str, list[str]] = {}
    for p in network.parameters:
        for each in (*p.regularizers, *p.constraints):
            regularized.setdefault(call(each), []).append(p.name)
    found += [("regularize", f"{text} of {', '.join(names)}") for text, names in regularized.items()]
    frozen = [p.name for p in network.parameters if p.frozen]
    return found + ([("frozen", ", ".join(frozen))] if frozen else [])


def _of_training(training: Training) -> list[tuple[str, str]]:
    batch = "all" if training.batch is None else str(training.batch)
    optimize = " ".join([training.objective.metric, *(f"subject_to {bound}" for bound in training.objective.bounds)])
    return [
        ("optimizer", call(training.optimizer)),
        ("schedule", call(training.schedule)),
        ("batch", batch if training.slices is None else f"{batch} in {training.slices}"),
        ("epochs", str(training.epochs)),
        ("stop", "no" if training.patience is None else f"early(patience={training.patience})"),
        ("optimize", optimize),
        ("shuffle", show(training.shuffle)),
        ("clip", call(training.clip)),
        ("average", call(training.average)),
        ("precise", show(training.precise)),
        ("quantize", training.quantize or "no"),
        ("memory", "no" if training.memory is None else str(training.memory)),
        ("seed", str(training.seed)),
    ]


def call(thing: Any) -> str:
    """A loss, an optimizer and their like as a call with all arguments, defaults too."""
    if thing is None:
        return "no"
    arguments = [f"{slot.name}={_value(getattr(thing, slot.field))}" for slot in slots(type(thing))]
    return f"{name_of(thing)}({', '.join(arguments)})" if arguments else name_of(thing)


def _value(value: object) -> str:
    if value is None:
        return "no"
    if isinstance(value, tuple):
        return f"({', '.join(map(_value, value))})"
    return value if isinstance(value, str) else show(value)
