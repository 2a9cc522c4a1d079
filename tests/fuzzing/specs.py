"""Random `.net` files of the whole language.

Layers, losses, optimizers and all other things are found where the compiler finds them, and their arguments are drawn
by the types of their fields (`calls.py`), within the bounds of `rules.py`: a new one joins by being there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from hypothesis import strategies as st

from dslc import losses, registry
from dslc.checker.rounding import TiedInIntegers
from dslc.compiler import check_text
from dslc.integer_groups import CHANNELWISE, PRODUCTS, NotInIntegers
from dslc.language.arguments import show
from dslc.language.diagnostics import SpecError
from dslc.layers import Activation, Layer
from dslc.layers._pooling import Pool
from dslc.losses import Loss
from dslc.shape import Shape, SizeProblem, show_shape
from fuzzing.calls import arguments_of, made, turned, written
from fuzzing.constructs import construct, table
from fuzzing.draw import Draw
from fuzzing.layers import LAYERS, Flow, Layers
from fuzzing.rules import COUNTS, MOST_ELEMENTS, SIDES, settled
from fuzzing.training import QUANTIZE, settings

WEIGHT = {
    "conv": 3, "dense": 4, "maxpool": 2, "batchnorm": 2, "separable_conv": 2, "depthwise": 2, "conv_transpose": 2,
    "attention": 3, "rnn": 2, "gru": 2, "lstm": 2, "avgpool1d": 2, "maxpool1d": 2, "conv1d": 2, "lrn": 2,
    "groupnorm": 2, "upsample": 2, "spatial_dropout": 2,
}  # fmt: skip
"""How often a layer is drawn; the others once, and so are all activations together."""
MOST_STEPS = 9

WORDS = tuple(n for n, layer in LAYERS.items() if layer.whole_numbers is not Layer.whole_numbers and not layer.takes)
"""Layers that look up the whole numbers of an input."""
INNER = tuple(n for n, a in LAYERS.items() if not (a.merges or a.first or a.augments or n in WORDS))
MERGES = tuple(n for n, layer in LAYERS.items() if layer.merges)
OPENINGS = tuple(n for n, layer in LAYERS.items() if layer.augments)
FIRST = tuple(n for n, layer in LAYERS.items() if layer.first)
ACTIVATIONS = tuple(n for n in INNER if issubclass(LAYERS[n], Activation))
OTHERS = tuple(n for n in INNER if n not in ACTIVATIONS for _ in range(WEIGHT.get(n, 1)))
LOSSES = registry.every(losses, Loss)
SAME_IN_INTEGERS = ("flatten", "reshape", "linear", "add", "subtract", "concat")
IN_INTEGERS = frozenset(
    name for name, layer in LAYERS.items()
    if name in (*PRODUCTS, *CHANNELWISE, *SAME_IN_INTEGERS) or layer.drops or issubclass(layer, (Activation, Pool))
)  # fmt: skip
"""Layers that `quantize int8` has a form for, mostly."""


@dataclass(frozen=True)
class Judged:
    """An output: its loss and how that is written, its last layer, its shape."""

    loss: Loss
    text: str
    last: str
    shape: Shape


@dataclass
class Body(Layers):
    """A net under construction."""

    trains: bool = True
    integers: bool = False
    """Layers are such that `quantize int8` can round."""
    declarations: list[str] = field(default_factory=list)
    """What stands before the net: params and blocks."""
    heads: dict[str, Judged] = field(default_factory=dict)
    train_only: set[str] = field(default_factory=set)
    """Heads that predict nothing."""

    # ------------------------------------------------------------------------------------------- statements

    def input(self, number: int) -> None:
        """One input, with what may only stand behind it."""
        if self.chance(8) and not self.integers:
            table(self, f"x{number}")
            return
        vector = (self.of((*COUNTS, 70)),)
        image = (self.of(SIDES), self.of(SIDES), self.of(COUNTS))
        sequence = (self.of(SIDES), self.of(COUNTS))
        flow = Flow(f"x{number}", self.of((image, image, vector, sequence, sequence)))
        self.lines.append(f"input {flow.name}: {show_shape(flow.shape)}")
        self.values.append(flow)
        if len(flow.shape) == 1 and self.chance(2) and not self.integers:
            self.words(flow)
            return
        for names in (FIRST, OPENINGS, OPENINGS):
            if (names := self.among(names)) and self.chance(5):
                flow = self.behind(flow, self.of(names))

    def words(self, flow: Flow) -> None:
        """What looks up the words of a text: an embedding, how many there are, or both."""
        for name in self.some(WORDS, most=2):
            looked_up = self.behind(flow, name)
            if LAYERS[name].counts:
                self.lengths[looked_up.name] = flow.shape[0]

    def step(self) -> None:
        """One statement more: a layer behind some value, a merge of some, several statements, or a head."""
        flow = self.values[-1] if not self.chance(4) else self.of(self.values)
        kind = self.of(("layers",) * 8 + ("construct",) * 4 + ("merge",) * 2 + ("block",) * 3 + ("head",))
        if kind == "layers":
            for _ in range(self.of((1, 2))):
                flow = self.behind(flow, self.of(self.among(OTHERS if not self.chance(20) else ACTIVATIONS)))
        elif kind == "construct":
            construct(self, flow)
        elif kind == "merge":
            self.merge(flow, self.of(self.among(MERGES)))
        elif kind == "block":
            self.block(flow)
        elif flow.layer is not None:
            self.head(flow)

    def readers(self, flow: Flow) -> None:
        """Layers that read the same value, whose gradient is the sum of theirs: the last kernel to compute one adds the
        others, and what an activation before does to the sum."""
        value = self.behind(flow, self.of(self.among(OTHERS)))
        if self.chance(2):
            value = self.behind(value, self.of(self.among(ACTIVATIONS)))
        for _ in range(self.of((2, 2, 3))):
            self.behind(value, self.of(self.among(OTHERS)))

    def among(self, names: Sequence[str]) -> list[str]:
        """Those of these layers that the network may have."""
        return [name for name in names if name in IN_INTEGERS or not self.integers]

    def block(self, flow: Flow) -> None:
        """What most networks for images are made of, and most passes look for."""
        for names in (("conv",), ("batchnorm", ""), ACTIVATIONS, ("", "maxpool", "avgpool")):
            if name := self.of(names):
                flow = self.behind(flow, name)

    def behind(self, flow: Flow, name: str) -> Flow:
        """The layer behind a value, which takes another shape for it where it must; the value where nothing fits."""
        text, shape = self.call(name, flow.shape)
        if text:
            return self.define(flow, text, shape, name)
        if LAYERS[name].augments or LAYERS[name].first or name in WORDS:  # they want the input itself
            return flow
        for other in turned(self, flow.shape):
            text, shape = self.call(name, other)
            if text:
                turn = "flatten" if len(other) == 1 else f"reshape({show_shape(other)})"
                return self.define(flow, f"{turn} -> {text}", shape, name)
        return flow

    def merge(self, flow: Flow, name: str) -> None:
        """A merge with one or two values that fit; where there are none, the value with itself."""
        given, fit = arguments_of(self, LAYERS[name], flow.shape), []
        layer = made(LAYERS[name], given)
        for other in self.values:
            try:
                layer.infer((flow.shape, other.shape))
                fit.append(other)
            except SizeProblem:
                continue
        if not fit:  # a matrix that is not square, by itself
            return
        others = self.draw(st.lists(st.sampled_from(fit), min_size=1, max_size=2))
        try:
            shape = layer.infer((flow.shape, *(o.shape for o in others)))
        except SizeProblem:
            others = others[:1]
            shape = layer.infer((flow.shape, others[0].shape))
        if prod(shape) <= MOST_ELEMENTS:
            if name == "divide":  # not by numbers around zero
                others = [self.define(o, "sigmoid", o.shape, "sigmoid") for o in others]
            self.used.update(o.name for o in others)
            inside = [*(o.name for o in others), *(f"{key}={show(value)}" for key, value in given.items())]
            self.define(flow, f"{name}({', '.join(inside)})", shape, name)

    def define(self, flow: Flow, chain: str, shape: Shape, layer: str, name: str = "") -> Flow:
        """A statement that names what flows out of a chain; with a name it is a head."""
        value = name or self.fresh()
        self.lines.append(f"{'output ' if name else ''}{value} = {flow.name} -> {chain}")
        self.used.add(flow.name)
        return self.add(value, shape, layer)

    def fresh(self) -> str:
        """A name for the next value."""
        return f"v{len(self.values)}"

    def add(self, name: str, shape: Shape, layer: str | None) -> Flow:
        """A value that a statement names."""
        self.values.append(Flow(name, shape, layer))
        return self.values[-1]

    def head(self, flow: Flow, loss: str = "") -> None:
        """An output with the loss that judges it, any unless it is given, and the end that this loss asks for."""
        loss = loss or self.of(tuple(LOSSES))
        kind, links, shape = LOSSES[loss], [], flow.shape
        if (kind.classes and len(shape) > 1) or (kind.sequences and len(shape) > 2):
            links.append("flatten")
            shape = (prod(shape),)
        few = not 2 <= shape[-1] <= 40
        if ((kind.classes or kind.pixels or kind.sequences) and few) or not self.learning:
            more, shape = self.ending(shape)
            links += more
        if kind.through or not links:
            links.append(kind.through or "linear")
        name = f"h{len(self.heads) + 1}"
        last = links[-1].partition("(")[0]
        given = settled(loss, arguments_of(self, kind, shape), shape)
        judge = made(kind, given)
        if kind.sequences and self.trains and self.chance(2):
            given["lengths"] = self.input_of_steps(shape[0] if len(shape) > 1 else 1)
        self.define(flow, " -> ".join(links), shape, last, name)
        self.heads[name] = Judged(judge, written(loss, given), last, shape)

    def ending(self, shape: Shape) -> tuple[list[str], Shape]:
        """Layers that learn, to a few classes."""
        classes = self.of((3, 2, 5, 17))
        name = self.number("dense")
        self.learning.append(name)
        self.weighted.append(name)
        self.asking.append(name)
        return ["flatten"] * (len(shape) > 1) + [f"dense({classes})"], (classes,)


def _head_of(line: str) -> str:
    """The output that a statement declares, if it does."""
    word, _, rest = line.partition(" ")
    return rest.partition(" ")[0] if word == "output" else ""


@st.composite
def networks(draw: Any) -> str:
    """The text of a valid network that trains, or (one in twelve) only predicts."""
    body = Body(draw, trains=not Draw(draw).chance(12), integers=Draw(draw).chance(6))
    for number in range(1, 2 + body.of((0, 0, 0, 1, 2))):
        body.input(number)
    if body.chance(2):
        body.block(body.values[0])
    if body.chance(3):
        body.readers(body.values[0])
    else:
        for _ in range(draw(st.integers(1, MOST_STEPS))):
            body.step()
    for flow in [v for v in body.values if v.name not in body.used and v.name not in body.heads]:
        body.head(flow)
    if body.trains and len(body.heads) > 1 and body.chance(3):
        body.train_only.update(body.some(list(body.heads), most=len(body.heads) - 1))
    net = "\n  ".join(line + " train_only" * (_head_of(line) in body.train_only) for line in body.lines)
    train = "train {\n  " + "\n  ".join(settings(body)) + "\n}\n" if body.trains else ""
    before = "".join(f"{line}\n" for line in body.declarations)
    text = f"{before}net Random {{\n  {net}\n}}\n{train}"
    return text if has_form(text) else text.replace(f"  {QUANTIZE}\n", "")


def has_form(text: str) -> bool:
    """Whether the layers of a network have a form in integers, if it asks for them; what is wrong otherwise is for the
    judge."""
    try:
        check_text(text)
    except SpecError as error:
        return not all(isinstance(found, (NotInIntegers, TiedInIntegers)) for found in error.diagnostics)
    return True
