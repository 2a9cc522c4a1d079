"""Compatibility of a checkpoint with a network, and the settings of `train` that differ: compares them in words."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, is_dataclass
from typing import Any

from dslc.columns import Table
from dslc.ir import Network
from dslc.optimizers import Optimizer
from dslc.optimizers.lookahead import Lookahead
from dslc.registry import name_of
from dslc.runtime.training.spec_text import to_source
from dslc.shape import show_shape


def differences(theirs: Network, ours: Network) -> list[str]:
    """Why the optimizer state and parameters of one network do not fit the other, a line each; empty if they do."""
    return _compared(_identity(theirs), _identity(ours))


def changed_settings(theirs: Network, ours: Network) -> list[str]:
    """Settings of `train` that differ but do not prevent training from continuing, a line each."""
    return _compared(_settings(theirs), _settings(ours))


def _compared(theirs: dict[str, str], ours: dict[str, str]) -> list[str]:
    pairs = [(what, theirs.get(what, "missing"), ours.get(what, "missing")) for what in theirs | ours]
    return [f"{what} is {mine} here and {its} in the checkpoint" for what, its, mine in pairs if its != mine]


def _identity(network: Network) -> dict[str, str]:
    facts = {"the precision": network.precision}
    facts |= {f"input {value.name}": show_shape(value.shape) for value in network.inputs}
    facts |= {f"the table {table.input}": _columns(table) for table in network.tables}
    facts |= _layers(network)
    facts |= {f"output {head.name}": head.value.name for head in network.heads}
    if network.training is not None:
        facts |= {f"loss of {head.name}": _shown(head.loss) for head in network.heads}
        facts["averaging of parameters"] = "off" if network.training.average is None else "on"
        facts["the optimizer"] = _kind(network.training.optimizer)
    return facts


def _layers(network: Network) -> dict[str, str]:
    """Layers with their arguments and output sizes; also with their inputs, unless these are just the value before.
    The values of hyperparameters are settings: here it counts only that they are not off."""
    facts, before = {}, network.inputs[:1]
    for node in network.nodes:
        reads = "" if node.inputs == before else f" of {', '.join(value.name for value in node.inputs)}"
        frozen = [p.name.removeprefix(f"{node.name}.") for p in node.parameters if p.frozen]
        held = f" with {' and '.join(frozen)} frozen" if frozen else ""
        layer = _shown(node.layer, node.layer.hyperparameters)
        facts[f"layer {node.name}"] = f"{layer}{reads} to {show_shape(node.output.shape)}{held}"
        before = (node.output,)
    return facts


def _columns(table: Table) -> str:
    return ", ".join(f"{column.name} {_shown(column.kind)}" for column in table.columns)


def _kind(optimizer: Optimizer) -> str:
    """An optimizer with its state arrays: sgd with and without momentum are not compatible."""
    kept = " and ".join(optimizer.states)
    inner = f" of {name_of(optimizer.optimizer)}" if isinstance(optimizer, Lookahead) else ""
    return name_of(optimizer) + inner + (f" (which keeps {kept})" if kept else "")


def _settings(network: Network) -> dict[str, str]:
    training = network.training
    facts = {}
    if training is not None:  # what is computed again for `memory` has the same bits
        facts = {f.name: _shown(getattr(training, f.name)) for f in fields(training) if f.name != "memory"}
    for node in network.nodes:
        facts |= {f"the {name} of {node.name}": _shown(value) for name, value in node.layer.hyperparameters.items()}
    return facts | {f"the regularization of {p.name}": _shown(p.regularizers) for p in network.parameters if p.decays}


def _shown(thing: Any, left_open: Collection[str] = ()) -> str:
    """In words; of a dataclass what is not as it is by default, without the values of the fields `left_open`."""
    if thing is None or thing == ():
        return "none"
    if isinstance(thing, tuple) and not all(isinstance(part, int) for part in thing):
        return " and ".join(map(_shown, thing))
    if is_dataclass(thing):
        differing = [f.name for f in fields(thing) if getattr(thing, f.name) != f.default]
        given = ", ".join(f"{n}={'...' if n in left_open else _shown(getattr(thing, n))}" for n in differing)
        return f"{name_of(thing)}({given})" if given else name_of(thing)
    return thing if isinstance(thing, str) else to_source(thing)
