"""Random `.net` files of the whole language.

Layers, losses, optimizers and all other things are found where the compiler finds them, and their arguments are drawn
by the types of their fields: a new one joins by being there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import prod
from typing import Any

from hypothesis import strategies as st

import dslc.layers
from dslc import clips, inits, losses, optimizers, registry, regularizers, schedules
from dslc.checker.formulas import FormulaReader
from dslc.clips import Clip
from dslc.formula import Formula
from dslc.inits import Init
from dslc.language import arguments, ast
from dslc.language.arguments import Items, Slot, Symbol, show, slots
from dslc.language.parse import parse
from dslc.language.source import Source
from dslc.layers import Activation, Layer, Weights
from dslc.layers._reduction import AXES
from dslc.losses import Loss
from dslc.optimizers import Optimizer
from dslc.regularizers import Penalty, Regularizer
from dslc.schedules import Schedule
from dslc.shape import Shape, SizeProblem, as_image, show_shape
from fuzzing.constructs import construct, table

PRECISE = re.compile(r"\bconv\(\w+, 3x3, pad=same\)")
"""What `precise on` has an effect on."""
COUNTS = (3, 1, 2, 4, 5, 7, 8, 15, 16, 17, 33)
"""Channels, filters, units: around the numbers of lanes of all targets."""
SIDES = (4, 1, 2, 3, 5, 6, 7, 8, 9, 13)
REALS = (0.5, 0.1, 0.9, 0.01, 0.001, 1.5, 20.0, 0.0)
SMALL_REALS = (0.01, 0.1, 0.001)
REALS_OF = {"lr": SMALL_REALS, "eps": (1e-8, 1e-5, 1e-3, 0.1), "c": (0.1, -0.2), "std": (0.3, 0.05)}
"""Numbers that keep what is computed from them finite, by the name of the argument."""
BATCHES = (3, 1, 2, 5, 8, 17)
WEIGHT = {
    "conv": 8, "dense": 4, "maxpool": 3, "avgpool": 2, "batchnorm": 3, "relu": 3,
    "separable_conv": 2, "conv1d": 3, "maxpool1d": 3, "avgpool1d": 3, "attention": 3, "rnn": 2, "gru": 2, "lstm": 3,
}  # fmt: skip
"""How often a layer is drawn; the others once."""
MOST_ELEMENTS, MOST_WORK, MOST_WEIGHTS = 4000, 1_000_000, 20_000
"""Of a value, a layer's multiply-adds for one example, and a layer's weights: what NumPy computes in a moment."""
MOST_STEPS = 9

LAYERS = registry.every(dslc.layers, Layer)
WORDS = tuple(n for n, layer in LAYERS.items() if layer.whole_numbers is not Layer.whole_numbers and not layer.takes)
"""Layers that look up the whole numbers of an input."""
INNER = tuple(n for n, a in LAYERS.items() if not (a.merges or a.first or a.augments or n in WORDS))
MERGES = tuple(n for n, layer in LAYERS.items() if layer.merges)
OPENINGS = tuple(n for n, layer in LAYERS.items() if layer.augments)
FIRST = tuple(n for n, layer in LAYERS.items() if layer.first)
ACTIVATIONS = tuple(n for n in INNER if issubclass(LAYERS[n], Activation))
DRAWN = ("linear", *(n for n in INNER for _ in range(WEIGHT.get(n, 1))))
LOSSES = registry.every(losses, Loss)
FORMULAS = {
    ("x",): ("x * sigmoid(1.702 * x)", "max(x, 0.1 * x) - tanh(x)^2", "(x^2 + 1)^0.5 / (2 + abs(x))"),
    ("y", "t"): ("(y - t)^2 * 0.5", "log(1 + (y - t)^2)", "softplus(-y * t) + min(abs(y - t), 1)"),
}


@dataclass(frozen=True)
class Flow:
    """A value of the network: its name, its shape, and the layer that makes it (None for an input)."""

    name: str
    shape: Shape
    layer: str | None = None


@dataclass
class Body:
    """A net under construction: the statements so far and what `train` must know of them."""

    draw: Any
    lines: list[str] = field(default_factory=list)
    declarations: list[str] = field(default_factory=list)
    """What stands before the net: params and blocks."""
    values: list[Flow] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    heads: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    learning: list[str] = field(default_factory=list)
    """Layers that learn, and that `freeze` may name."""
    penalized: set[str] = field(default_factory=set)
    """Layers with arguments of their own that would have no effect if they were frozen."""
    weighted: list[str] = field(default_factory=list)
    """Layers with weights that learn; those with an init of their own are in `started`."""
    started: set[str] = field(default_factory=set)
    asking: list[str] = field(default_factory=list)

    def chance(self, one_in: int) -> bool:
        """Yes once in so many times; it shrinks to no."""
        return bool(self.draw(st.integers(0, one_in - 1)) == one_in - 1)

    def of(self, choices: Sequence[Any]) -> Any:
        return self.draw(st.sampled_from(choices))

    # ------------------------------------------------------------------------------------------- statements

    def input(self, number: int) -> None:
        """One input, with what may only stand behind it."""
        if self.chance(8):
            table(self, f"x{number}")
            return
        vector = (self.of((*COUNTS, 70)),)
        image = (self.of(SIDES), self.of(SIDES), self.of(COUNTS))
        sequence = (self.of(SIDES), self.of(COUNTS))
        flow = Flow(f"x{number}", self.of((image, image, vector, sequence, sequence)))
        self.lines.append(f"input {flow.name}: {show_shape(flow.shape)}")
        self.values.append(flow)
        if len(flow.shape) == 1 and self.chance(3):
            self.behind(flow, self.of(WORDS))
            return
        for names in (FIRST, OPENINGS, OPENINGS):
            if self.chance(6):
                flow = self.behind(flow, self.of(names))

    def step(self) -> None:
        """One statement more: a layer behind some value, or a merge of some."""
        flow = self.values[-1] if not self.chance(4) else self.of(self.values)
        if self.chance(5):
            self.merge(flow, self.of(MERGES))
        elif self.chance(12) and flow.layer is not None:
            self.head(flow)
        elif self.chance(3):
            self.block(flow)
        elif self.chance(3):
            construct(self, flow)
        else:
            self.behind(flow, self.of(DRAWN))

    def block(self, flow: Flow) -> None:
        """What most networks for images are made of, and most passes look for."""
        for names in (("conv",), ("batchnorm", ""), ACTIVATIONS, ("", "maxpool", "avgpool")):
            if name := self.of(names):
                flow = self.behind(flow, name)

    def behind(self, flow: Flow, name: str) -> Flow:
        """The layer behind a value, where it fits; a vector becomes an image for it, or what is none a vector."""
        call, shape = self.call(name, flow.shape)
        other = flow.shape if call else self.turned(flow.shape)
        turn = "" if call else "flatten -> " if len(other) == 1 else f"reshape({show_shape(other)}) -> "
        if not call and not LAYERS[name].augments:
            call, shape = self.call(name, other)
        return self.define(flow, f"{turn}{call}", shape, name) if call else flow

    def turned(self, shape: Shape) -> Shape:
        """A vector of an image or a sequence, or of a vector some image or sequence."""
        if len(shape) > 1:
            return (prod(shape),)
        (size,) = shape
        rows = self.of([n for n in range(1, size + 1) if size % n == 0])
        if self.chance(3):
            return rows, size // rows
        columns = self.of([n for n in range(1, size // rows + 1) if size // rows % n == 0])
        return rows, columns, size // rows // columns

    def merge(self, flow: Flow, name: str) -> None:
        """A merge with one or two values that fit; where there are none, the value with itself."""
        given, fitting = self.given(LAYERS[name], flow.shape), []
        layer = LAYERS[name](**{s.field: s.convert(given[s.name]) for s in slots(LAYERS[name]) if s.name in given})
        for other in self.values:
            try:
                layer.infer((flow.shape, other.shape))
                fitting.append(other)
            except SizeProblem:
                continue
        if not fitting:  # a matrix that is not square, by itself
            return
        others = self.draw(st.lists(st.sampled_from(fitting), min_size=1, max_size=2))
        try:
            shape = layer.infer((flow.shape, *(o.shape for o in others)))
        except SizeProblem:
            others = others[:1]
            shape = layer.infer((flow.shape, others[0].shape))
        if prod(shape) <= MOST_ELEMENTS:
            if name == "divide":  # not by numbers around zero
                others = [self.define(o, "sigmoid", o.shape, "sigmoid") for o in others]
            self.used.update(o.name for o in others)
            written = [*(o.name for o in others), *(f"{key}={show(value)}" for key, value in given.items())]
            self.define(flow, f"{name}({', '.join(written)})", shape, name)

    def define(self, flow: Flow, chain: str, shape: Shape, layer: str, name: str = "") -> Flow:
        """A statement that names what flows out of a chain; with a name it is a head."""
        made = name or f"v{len(self.values)}"
        self.lines.append(f"{'output ' if name else ''}{made} = {flow.name} -> {chain}")
        self.used.add(flow.name)
        return self.add(made, shape, layer)

    def add(self, name: str, shape: Shape, layer: str | None) -> Flow:
        """A value that a statement names."""
        self.values.append(Flow(name, shape, layer))
        return self.values[-1]

    def head(self, flow: Flow) -> None:
        """An output with the loss that judges it, and the end that this loss asks for."""
        loss = self.of(tuple(LOSSES))
        kind, links, shape = LOSSES[loss], [], flow.shape
        if (kind.classes and len(shape) > 1) or (kind.sequences and len(shape) > 2):
            links.append("flatten")
            shape = (prod(shape),)
        few = not 2 <= shape[-1] <= 40
        if ((kind.classes or kind.pixels or kind.sequences) and few) or not self.learning:
            call, shape = self.ending(shape)
            links += call
        if kind.through or not links:
            links.append(kind.through or "linear")
        name = f"h{len(self.heads) + 1}"
        self.define(flow, " -> ".join(links), shape, links[-1].partition("(")[0], name)
        self.heads[name] = self.things(kind, loss, shape)

    def ending(self, shape: Shape) -> tuple[list[str], Shape]:
        """Layers that learn, to a few classes."""
        classes = self.of((3, 2, 5, 17))
        name = self.number("dense")
        self.learning.append(name)
        self.weighted.append(name)
        self.asking.append(name)
        return ["flatten"] * (len(shape) > 1) + [f"dense({classes})"], (classes,)

    # ------------------------------------------------------------------------------------------- calls

    def number(self, kind: str) -> str:
        self.numbers[kind] = self.numbers.get(kind, 0) + 1
        return f"{kind}{self.numbers[kind]}"

    def call(self, kind: str, shape: Shape) -> tuple[str, Shape]:
        """A call of the layer with arguments that fit, and what flows out; nothing where it does not fit."""
        layer = LAYERS[kind]
        first = self.usual(layer) if takes_padding(layer) and self.chance(2) else self.given(layer, shape)
        for given in (first, self.given(layer, shape, optional=False)):
            if {"groups", "filters"} <= given.keys():
                given["filters"] = given["groups"] * -(-given["filters"] // given["groups"])
            try:
                made = layer(**{s.field: s.convert(given[s.name]) for s in slots(layer) if s.name in given})
                result = made.infer((shape,))
            except SizeProblem:
                continue
            weights = made.parameters((shape,))
            large = sum(prod(w.shape) for w in weights) > MOST_WEIGHTS or prod(result) > MOST_ELEMENTS
            if large or made.multiply_adds((shape,)) > MOST_WORK:
                continue
            common = self.common(self.number(kind), weights)
            written = [f"{name}={show(value)}" for name, value in given.items()] + common
            written += self.taken(layer, shape, given)
            return f"{kind}({', '.join(written)})" if written else kind, result
        return "", shape

    def taken(self, layer: type[Layer], shape: Shape, given: dict[str, Any]) -> list[str]:
        """Over a sequence sometimes the arguments that name inputs, of one number each or a sequence, and these
        inputs."""
        if len(shape) != 2:
            return []
        usable = [a for a in layer.takes if not (a in layer.flows and given.get("causal"))]
        wanted = [a for a in usable if self.chance(3)]
        names = {argument: f"n{len(self.lines)}_{argument}" for argument in wanted}
        sizes = {argument: f"{self.of((5, 2, 17))}x{self.of((3, 1, 8))}" for argument in layer.flows}
        self.lines += [f"input {name}: {sizes.get(argument, 1)}" for argument, name in names.items()]
        return [f"{argument}={name}" for argument, name in names.items()]

    def given(self, thing: type[Any], shape: Shape, optional: bool = True) -> dict[str, Any]:
        """Arguments by name: those that must be given, and some of the others."""
        free = [s for s in slots(thing) if not isinstance(s.kind, arguments.NameOf)]  # of which few would fit
        chosen = [s for s in free if s.required or (optional and self.chance(2))]
        given = {s.name: self.value(s, shape) for s in chosen}
        if given.get("soft_labels"):
            given.pop("class_weights", None)  # they weigh class numbers
        if given.get("centered"):
            given.pop("beta", None)  # of a small one s - mean^2 is a small difference, and float32 is far off
        return given

    def usual(self, layer: type[Layer]) -> dict[str, Any]:
        """A square window that keeps rows and columns, or halves them."""
        side = self.of((3, 1, 2, 5))
        steps = isinstance(next(slot.kind for slot in slots(layer) if slot.name == "size"), arguments.Whole)
        size, one = (side, 1) if steps else ((side, side), (1, 1))
        given: dict[str, Any] = {"size": size, "pad": Symbol("same")}
        if any(slot.name == "filters" for slot in slots(layer)):
            return {"filters": self.of(COUNTS), **given}
        return {**given, "stride": one} if self.chance(2) else {"size": size}

    def value(self, slot: Slot, shape: Shape) -> Any:
        """A value of the slot's kind, near what suits a value of this shape."""
        kind = slot.kind
        if isinstance(kind, arguments.Whole):
            divisors = [n for n in range(1, shape[-1] + 1) if shape[-1] % n == 0]
            known = {"groups": divisors, "block": (2, 1, 3), "multiplier": (2, 1, 3), "start": (0, 1, 2)}
            counts = known.get(slot.name, COUNTS)
            return max(kind.low, self.of(counts))
        if isinstance(kind, arguments.Real):
            return self.of([x for x in REALS_OF.get(slot.name, REALS) if fits(kind, x)])
        if isinstance(kind, arguments.HeightWidth):
            return self.pair(slot, shape)
        if isinstance(kind, (arguments.Border, arguments.PaddingKind, arguments.StepPaddingKind)):
            return self.padding(kind)
        if isinstance(kind, arguments.OnOff):
            return self.draw(st.booleans())
        if isinstance(kind, (arguments.OneOf, arguments.AxisOrder, arguments.AxisNames)):
            return self.words(kind, shape)
        if isinstance(kind, arguments.Weighting):
            return Items(tuple(self.of((1.0, 0.5, 2.0, 3.0)) for _ in range(shape[-1])))
        if isinstance(kind, arguments.Increasing):
            return Items((1, self.of((2, 3))))
        if isinstance(kind, (arguments.MetricName, arguments.FormulaOf, optimizers.Inner)):
            return self.of(things_for(kind))
        assert isinstance(kind, arguments.Dims), f"no values for {slot.name}, a {type(kind).__name__}"
        return self.turned(shape) if len(shape) == 1 else self.of(((prod(shape),), shape[::-1]))

    def words(self, kind: arguments.OneOf | arguments.AxisOrder | arguments.AxisNames, shape: Shape) -> Any:
        """One of some words; all axes in some order, or the names of some."""
        if isinstance(kind, arguments.OneOf):
            return Symbol(self.of(kind.words))
        if isinstance(kind, arguments.AxisOrder):
            return Items(tuple(self.draw(st.permutations(range(max(2, len(shape)))))))
        names = self.draw(st.lists(st.sampled_from(AXES[len(shape)]), min_size=1, unique=True))
        return Items(tuple(map(Symbol, names))) if len(names) > 1 else Symbol(names[0])

    def padding(self, kind: arguments.Border | arguments.PaddingKind | arguments.StepPaddingKind) -> Any:
        """`same` or `valid`, for both directions, or for each side; of steps also `causal`."""
        if isinstance(kind, arguments.StepPaddingKind):
            return self.of((*map(Symbol, ("same", "causal", "valid")), 1, 0, 2, Items((0, 1)), Items((2, 0))))
        words, side = isinstance(kind, arguments.PaddingKind), st.integers(0, 2)
        both, sides = st.tuples(side, side), st.tuples(side, side, side, side).map(Items)
        return self.draw(st.one_of(*[st.sampled_from((Symbol("same"), Symbol("valid")))] * words, both, sides))

    def pair(self, slot: Slot, shape: Shape) -> tuple[int, int]:
        """Height and width: a window up to the whole image, a stride also beyond it."""
        if slot.name == "stride":
            most = [(1, 2, 3, 4)] * 2
        elif slot.name == "dilation":
            most = [(1, 2, 3)] * 2
        elif slot.name == "scale":
            most = [(2, 1, 3)] * 2
        elif slot.name == "pad":
            most = [(1, 0, 2)] * 2
        elif slot.name == "output_pad":
            most = [(0, 1)] * 2
        else:
            sides = (3, 3) if len(shape) == 1 else as_image(shape)[:2]
            most = [tuple(n for n in (3, 1, 2, 5, side, 4, 7) if n <= side) for side in sides]
        both = self.of(most[0])
        return (both, both) if both in most[1] and not self.chance(2) else (both, self.of(most[1]))

    def common(self, name: str, weights: Sequence[Weights]) -> list[str]:
        """The arguments that every layer with parameters takes, and the book-keeping for `train`."""
        written: list[str] = []
        if self.chance(12):
            name = f"named_{len(self.lines)}"
            written.append(f"name={name}")
        decays, trained = any(w.decays for w in weights), any(w.trained for w in weights)
        frozen = trained and self.chance(12)
        if frozen:
            written.append("freeze=on")
        elif trained:
            self.learning.append(name)
            if self.chance(12):
                written.append(f"lr_factor={self.of((0.1, 2.0))}")
                self.penalized.add(name)
        if decays:
            written += self.weight_arguments(name, weights, frozen)
        return written

    def weight_arguments(self, name: str, weights: Sequence[Weights], frozen: bool) -> list[str]:
        """init=, l1=, l2= and max_norm=."""
        written, size = [], max(prod(w.shape) for w in weights if w.decays)
        self.asking.append(name)
        if not frozen:
            self.weighted.append(name)
            for penalty in [n for n, r in registry.every(regularizers, Regularizer).items() if issubclass(r, Penalty)]:
                if self.chance(8):
                    written.append(f"{penalty}={self.of((0.1, 0.01))}")
                    self.penalized.add(name)
            if self.chance(12):
                written.append(f"max_norm={self.of((0.5, 1.0))}")
                self.penalized.add(name)
        if self.chance(8):
            written.append(f"init={self.init(size)}")
            self.started.add(name)
        return written

    def init(self, size: int | None = None) -> str:
        """An init; one that lists its numbers only where few are asked for."""
        known = registry.every(inits, Init)
        name = self.of([n for n in known if not lists_numbers(known[n]) or (size and size <= 20)])
        if lists_numbers(known[name]):
            return f"{name}({', '.join(show(self.of((0.5, -0.25, 1.0, 0.0))) for _ in range(size or 0))})"
        if name == "uniform":
            return "uniform(-0.3, 0.4)"
        return self.things(known[name], name)

    def things(self, thing: type[Any], name: str, shape: Shape = (3,)) -> str:
        """A call of something other than a layer."""
        given = self.given(thing, shape)
        if given.get("nesterov") and not given.get("momentum"):
            given["momentum"] = 0.9
        if name == "ctc":
            steps = shape[0] if len(shape) > 1 else 1
            given |= {"labels": self.of((1, min(3, steps), steps)), "blank": self.of((0, shape[-1] - 1))}
        if name == "one_cycle":
            given |= {"epochs": None, "steps": 3}
        written = [f"{key}={show(value)}" for key, value in given.items() if value is not None]
        return f"{name}({', '.join(written)})" if written else name

    # ------------------------------------------------------------------------------------------- train

    def train(self) -> Iterator[str]:
        """The settings."""
        yield from (f"loss {head}: {loss}" for head, loss in self.heads.items())
        optimizer = self.one(registry.every(optimizers, Optimizer))
        yield f"optimizer {optimizer}"
        batch = self.of(BATCHES)
        slices = [k for k in (2, 3, 5) if batch % k == 0]
        yield f"batch {batch} in {self.of(slices)}" if slices and self.chance(5) else f"batch {batch}"
        if self.chance(6):
            yield "average ema(decay=0.5)"
        if self.chance(3):
            known = registry.every(schedules, Schedule)
            if "lr=" in optimizer:
                known.pop("one_cycle")
            warm = "warmup(3) -> " if self.chance(2) else ""
            yield f"schedule {warm}{self.one({n: s for n, s in known.items() if not warm or n != 'warmup'})}"
        if found := list(self.regularizers()):
            yield f"regularize {', '.join(found)}"
        if self.chance(4):
            yield f"clip {self.one(registry.every(clips, Clip))}"
        if set(self.asking) - self.started and self.chance(6):
            yield f"init {self.init()}"
        unpunished = [name for name in self.learning if name not in self.penalized]
        if len(self.learning) > 1 and unpunished and self.chance(8):
            yield f"freeze {unpunished[0]}"
        yield from self.switches()

    def switches(self) -> Iterator[str]:
        """Settings of one value."""
        if self.chance(4):
            yield f"seed {self.draw(st.integers(1, 99))}"
        precise = ("precise on",) if any(PRECISE.search(line) for line in self.lines) else ()
        for setting in ("shuffle off", *precise, f"on_nan {self.of(('skip', 'halve_lr'))}"):
            if self.chance(8):
                yield setting
        if self.chance(2):
            yield "precision float64"

    def regularizers(self) -> Iterator[str]:
        """Those for which weights are left: two layers, as `freeze` may take one."""
        for name in registry.every(regularizers, Regularizer):
            if len(set(self.weighted) - self.penalized) > 1 and self.chance(4):
                yield f"{name}({self.of((0.1, 1.0, 0.01))})"

    def one(self, known: Mapping[str, type[Any]]) -> str:
        name = self.of(tuple(known))
        return self.things(known[name], name)


def things_for(kind: object) -> tuple[Any, ...]:
    """What can stand for an argument that is no number, size or switch."""
    if isinstance(kind, arguments.FormulaOf):
        return tuple(formula(text, kind.variables) for text in FORMULAS[kind.variables])
    return (Symbol("adam"), Symbol("nadam")) if isinstance(kind, optimizers.Inner) else (Symbol("dev_loss"),)


@cache
def formula(text: str, variables: tuple[str, ...]) -> Formula:
    """A formula as the checker reads it."""
    program = parse(Source("formula.net", f"param f = {text}\n"))
    (param,) = program.declarations
    assert isinstance(param, ast.ParamDecl)
    return FormulaReader(variables, {}, ()).read(param.value)


def fits(kind: arguments.Real, value: float) -> bool:
    try:
        kind.convert(value)
    except arguments.BadValue:
        return False
    return True


def takes_padding(layer: type[Layer]) -> bool:
    """A window slides over an image or a sequence."""
    kinds = {slot.name: slot.kind for slot in slots(layer)}
    return "size" in kinds and isinstance(kinds.get("pad"), (arguments.PaddingKind, arguments.StepPaddingKind))


def lists_numbers(thing: type[Any]) -> bool:
    """It takes as many numbers as are given."""
    return any(isinstance(slot.kind, arguments.Each) for slot in slots(thing))


@st.composite
def networks(draw: Any) -> str:
    """The text of a valid network that trains, or (one in twelve) only predicts."""
    body = Body(draw)
    for number in range(1, 2 + body.of((0, 0, 0, 1, 2))):
        body.input(number)
    if body.chance(2):
        body.block(body.values[0])
    for _ in range(draw(st.integers(1, MOST_STEPS))):
        body.step()
    for flow in [v for v in body.values if v.name not in body.used and v.name not in body.heads]:
        body.head(flow)
    trains = not body.chance(12)
    if trains and len(body.heads) > 1 and body.chance(4):
        body.lines[-1] += " train_only"
    net = "\n  ".join(body.lines)
    train = "train {\n  " + "\n  ".join(body.train()) + "\n}\n" if trains else ""
    before = "".join(f"{line}\n" for line in body.declarations)
    return f"{before}net Random {{\n  {net}\n}}\n{train}"
