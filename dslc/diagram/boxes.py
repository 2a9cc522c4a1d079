"""What a diagram shows of a network: boxes and the values between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from dslc.derived import unrounded
from dslc.ir import Network, Node
from dslc.language.arguments import show, slots
from dslc.layers import Layer
from dslc.registry import name_of
from dslc.shape import show_shape

Kind = Literal["input", "layer", "block", "merge", "output"]


@dataclass(frozen=True)
class Box:
    """One box: its kind, its lines of text, how many parameters are trained in it, which the last line says, and the
    names of the layers in it."""

    kind: Kind
    lines: tuple[str, ...]
    parameters: int = 0
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arrow:
    """A value that goes from the box with one number to that with another; `size` of one example."""

    source: int
    target: int
    size: str


@dataclass(frozen=True)
class Diagram:
    """Boxes in an order in which every arrow goes to a later one."""

    name: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def diagram_of(network: Network, unfold: bool = False) -> Diagram:
    """The diagram of a network. A block is one box, and so is a layer with the layers behind it that keep its size,
    such as its activation. unfold: the layers of blocks get boxes too. The rounding of `quantize int8` has none."""
    network = unrounded(network)
    groups = _groups(network, unfold)
    boxes = [Box("input", (value.name,)) for value in network.inputs]
    source = {value.name: place for place, value in enumerate(network.inputs)}
    arrows: dict[Arrow, None] = {}
    for group in groups:
        place = len(boxes)
        boxes.append(_box(group, unfold))
        inside = {node.output.name for node in group}
        for value in dict.fromkeys(value for node in group for value in node.inputs):
            if value.name not in inside:
                arrows[Arrow(source[value.name], place, show_shape(value.shape))] = None
        source |= dict.fromkeys(inside, place)
    for head in network.heads:
        arrows[Arrow(source[head.value.name], len(boxes), show_shape(head.value.shape))] = None
        loss = name_of(head.loss) if head.loss is not None else ""
        only = "only in training" if head.train_only else ""
        boxes.append(Box("output", tuple(line for line in (head.name, loss, only) if line)))
    return Diagram(network.name, tuple(boxes), tuple(arrows))


def _groups(network: Network, unfold: bool) -> list[list[Node]]:
    """The nodes that share a box, in order."""
    readers = Counter(value.name for node in network.nodes for value in node.inputs)
    readers.update(head.value.name for head in network.heads)
    groups: list[list[Node]] = []
    for node in network.nodes:
        last = groups[-1][-1] if groups else None
        if last is not None and _belongs(node, last, readers, unfold):
            groups[-1].append(node)
        else:
            groups.append([node])
    return groups


def _belongs(node: Node, last: Node, readers: Counter[str], unfold: bool) -> bool:
    """Whether a node shares the box of the one before it."""
    if node.block and not unfold:
        return node.block == last.block
    if last.block != node.block and not unfold:
        return False
    alone = node.inputs == (last.output,) and readers[last.output.name] == 1
    return alone and node.output.shape == last.output.shape and not any(p.decays for p in node.roles.values())


def _box(group: Sequence[Node], unfold: bool) -> Box:
    parameters = sum(p.elements for node in group for p in node.parameters if p.trained)
    folded = bool(group[0].block) and not unfold
    lines = [" ".join(group[0].span.text.split())] if folded else _chain(group)
    if parameters:
        lines.append(f"{parameters:,} parameter{'s' * (parameters > 1)}")
    kind: Kind = "block" if folded else "merge" if group[0].layer.merges else "layer"
    return Box(kind, tuple(lines), parameters, tuple(node.name for node in group))


def _chain(group: Sequence[Node]) -> list[str]:
    """The first layer, and those behind it on a line of their own."""
    first, *rest = (call_text(node.layer) for node in group)
    return [first, *([f"→ {' → '.join(rest)}"] if rest else [])]


def _shown(value: object, in_full: bool) -> str:
    """A value as the language writes it; 2x2 as 2 where that is not `in_full`."""
    if isinstance(value, tuple) and len(set(value)) == 1 and not in_full:
        value = value[0]
    return value if isinstance(value, str) else show(value)


def call_text(layer: Layer) -> str:
    """A layer as a call with the values that it has, without those that are the defaults."""
    defaults = {f.name: f.default for f in fields(layer)}  # type: ignore[arg-type]
    written = []
    for place, slot in enumerate(slots(type(layer))):
        value = getattr(layer, slot.field)
        if value != defaults[slot.field]:
            text = _shown(value, slot.required)
            written.append(text if slot.required or place == 0 else f"{slot.name}={text}")
    return f"{name_of(layer)}({', '.join(written)})" if written else name_of(layer)
