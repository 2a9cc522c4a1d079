"""`standardize_target on`: a last layer for every output of numbers, which brings them back into the targets' unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from dslc.checker.draft import Draft
from dslc.inits.ones import Ones
from dslc.inits.zeros import Zeros
from dslc.ir import Head, Node, Parameter, Value
from dslc.language.diagnostics import Diagnostic
from dslc.language.record import record
from dslc.language.source import Span
from dslc.layers._target_unit import TargetUnit
from dslc.losses import Loss

BOUNDED = ("hard_sigmoid", "log_softmax", "relu", "relu6", "sigmoid", "softmax", "softplus", "softsign", "tanh")
"""Activations that cannot reach every standardized target."""
INITS = {"zeros": Zeros, "ones": Ones}


@record
class NoTargetToStandardize(Diagnostic):
    """`standardize_target on` with `loss cross_entropy`."""

    message = "standardize_target has no effect: no output predicts numbers"
    hints = ("it is for outputs with the loss mse, mae, huber, log_cosh or quantile",)


@record
class TargetOutOfReach(Diagnostic):
    """`standardize_target on` for an output that ends in an activation with bounds: `dense(1) -> sigmoid`."""

    head: str
    activation: str
    message = "standardized targets lie on both sides of 0, and '{head}' ends in {activation}, which cannot reach them"
    hints = ("help: remove the {activation}",)


def misused(
    losses: Mapping[str, Loss], heads: Mapping[str, tuple[Value, Span]], drafts: Sequence[Draft], span: Span
) -> Iterator[Diagnostic]:
    """What is wrong with the setting at `span` for these losses by head."""
    concerned = [name for name, loss in losses.items() if loss.numbers]
    if losses and not concerned:
        yield NoTargetToStandardize(span)
    for name in concerned:
        last = next((d.kind for d in drafts if d.output == heads[name][0]), "")
        if last in BOUNDED:
            yield TargetOutOfReach(span, name, last)


def with_target_units(
    heads: tuple[Head, ...], nodes: tuple[Node, ...], span: Span
) -> tuple[tuple[Head, ...], tuple[Node, ...]]:
    """The heads and nodes with a `TargetUnit` behind each head of numbers. span: the setting."""
    taken = {node.name for node in nodes} | {node.output.name for node in nodes}
    changed, added = [], []
    for head in heads:
        if head.loss is None or not head.loss.numbers:
            changed.append(head)
            continue
        name = f"{head.name}_unit"
        while name in taken:
            name += "_"
        taken.add(name)
        node = _unit(name, head.value, span)
        added.append(node)
        changed.append(replace(head, value=node.output))
    return tuple(changed), (*nodes, *added)


def _unit(name: str, value: Value, span: Span) -> Node:
    layer = TargetUnit()
    parameters = tuple(
        Parameter(f"{name}.{w.role}", w.shape, INITS[str(w.init)](), trained=False)
        for w in layer.parameters((value.shape,))
    )
    return Node(name, layer, (value,), Value(name, value.shape), parameters, span, call=span)
