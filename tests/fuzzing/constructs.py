"""What random networks have beside layers one after another: params, repeats, blocks that adapt to what flows in,
conditions, shared layers, tied weights, parts of values, arithmetic of values, distances, and columns of tables: some
statements that end in new values."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING

from dslc.shape import Shape

if TYPE_CHECKING:
    from fuzzing.specs import Body, Flow

LEARNING = {1: "dense({})", 2: "dense({})", 3: "conv({}, 3x3, pad=same)"}
"""A layer that learns and changes the channels alone, by the number of axes."""
BEHIND = ("tanh", "relu", "sigmoid", "batchnorm -> relu", "gelu", "rmsnorm")
CHANNELS = {1: "features", 2: "channels", 3: "channels"}
MOST_ELEMENTS, MOST_WORK = 2000, 300_000


def construct(body: Body, flow: Flow) -> None:
    """One of them behind a value, where it fits."""
    if prod(flow.shape) <= MOST_ELEMENTS and work(flow.shape, flow.shape[-1]) <= MOST_WORK:
        body.of(IN_INTEGERS if body.integers else CONSTRUCTS)(body, flow)


def work(shape: Shape, units: int) -> int:
    """The multiply-adds of a layer that learns."""
    return prod(shape) * units * (9 if len(shape) == 3 else 1)


def learning(body: Body, shape: Shape, units: str) -> str:
    """A layer that learns, and what is mostly behind it. It is counted as often as it is made."""
    chain = f"{LEARNING[len(shape)].format(units)} -> {body.of(BEHIND)}"
    count(body, chain)
    return chain


def count(body: Body, chain: str) -> None:
    """Counts the layers of a chain that is made once more."""
    for link in chain.split(" -> "):
        body.number(link.partition("(")[0])


def units(body: Body, shape: Shape) -> int:
    """So many that the layer stays small."""
    return int(body.of([n for n in (3, 1, 4, 5, 8, 17) if work(shape, n) <= MOST_WORK]))


def param(body: Body, value: int) -> str:
    """A param, or arithmetic with one, that has this value; now and then the number itself."""
    if body.chance(3):
        return str(value)
    name = f"p{len(body.declarations)}"
    body.declarations.append(f"param {name} = {value + 1}")
    return str(body.of((f"{name} - 1", f"({name} * 2 - 2) // 2", f"-(1 - {name})")))


def with_param(body: Body, flow: Flow) -> None:
    """A layer whose size is a param."""
    n = units(body, flow.shape)
    body.define(flow, learning(body, flow.shape, param(body, n)), (*flow.shape[:-1], n), "dense")


def repeated(body: Body, flow: Flow) -> None:
    """A repeat, which begins with what the statement before it has left."""
    times = body.of((2, 3, 1))
    chain = learning(body, flow.shape, str(flow.shape[-1]))
    for _ in range(times - 1):
        count(body, chain)
    body.lines += [f"{flow.name} -> tanh", f"repeat {param(body, times)} {{ {chain} }}"]
    name = f"v{len(body.values)}"
    body.lines.append(f"{name} = linear")
    body.used.add(flow.name)
    body.add(name, flow.shape, "linear")


def block(body: Body, flow: Flow) -> None:
    """A block with a branch by the size of what flows in, called for one or two values."""
    n, name, axis = units(body, flow.shape), f"fit{len(body.declarations)}", CHANNELS[len(flow.shape)]
    main, other = learning(body, flow.shape, "k"), LEARNING[len(flow.shape)].format("k")
    body.declarations.append(
        f"block {name}(k, gated=off, wanted=in.{axis}) {{\n  main = in -> {main}\n"
        f"  when wanted != k or gated {{\n    other = in -> {other}\n  }} else {{\n    other = in\n  }}\n"
        "  when gated {\n    multiply(main, other)\n  } else {\n    add(main, other) -> tanh\n  }\n}"
    )
    gated = body.chance(2)
    if n != flow.shape[-1] or gated:
        count(body, other)
    made = body.define(flow, f"{name}({n}{', gated=on' if gated else ''})", (*flow.shape[:-1], n), "block")
    if body.chance(2):
        count(body, main)
        body.define(made, f"{name}({n})", made.shape, "block")


def shared(body: Body, flow: Flow) -> None:
    """Shared layers for two values of one shape, or for a value and what is made of it."""
    others = [v for v in body.values if v.shape == flow.shape]
    n, name = units(body, flow.shape), f"tower{len(body.lines)}"
    chain = learning(body, flow.shape, str(n))
    count(body, chain)
    body.lines.append(f"{name} = shared {{ {chain} }}")
    for begin in (flow, body.of(others)):
        body.define(begin, f"{'tanh -> ' if body.chance(2) else ''}{name}", (*flow.shape[:-1], n), "shared")


def parts(body: Body, flow: Flow) -> None:
    """Two parts of the channels, which are worked on apart."""
    if flow.shape[-1] < 2:
        return
    first = body.of(range(1, flow.shape[-1]))
    sizes = (first, flow.shape[-1] - first)
    names = [f"v{len(body.values) + i}" for i in range(2)]
    written = "split" if sizes[0] == sizes[1] and body.chance(2) else f"split({sizes[0]}, {sizes[1]})"
    body.lines.append(f"{', '.join(names)} = {flow.name} -> {written}")
    body.used.add(flow.name)
    for name, size in zip(names, sizes, strict=True):
        body.add(name, (*flow.shape[:-1], size), "slice")


def arithmetic(body: Body, flow: Flow) -> None:
    """A formula of values of one shape, and numbers."""
    others = [v for v in body.values if v.shape == flow.shape]
    a, b = flow.name, body.of(others).name
    text = body.of((
        f"{a} * 0.5 + 1", f"({a} - {b})^2", f"1 - {a} * {b}", f"-{a}", f"{a} + {b} - 0.25", f"{a} / 2 - {b} * 0.1",
    ))  # fmt: skip
    name = f"v{len(body.values)}"
    body.lines.append(f"{name} = {text} -> tanh")
    body.used.update({a} | ({b} if f"{b} " in f"{text} " or f"{b})" in text else set()))
    body.add(name, flow.shape, "tanh")


def table(body: Body, name: str) -> None:
    """An input that is declared by columns; some of them are looked up in tables that learn."""
    columns, width = [], 0
    for number in range(1, 2 + body.of((1, 0, 2, 3))):
        text, size = body.of((
            ("number", 1), ("category(x, y, z)", 3), ("category(x, y) embedding=5", 5),
            ("number missing=0 indicator=on", 2), ("category(a, b) missing=own", 3),
            ("category(a) missing=own embedding=17", 17),
        ))  # fmt: skip
        columns.append(f"c{number}: {text}")
        width += size
    body.lines.append(f"input {name}: table {{ {', '.join(columns)} }}")
    body.add(name, (width,), None)


def conditions(body: Body, flow: Flow) -> None:
    """Branches within branches, one of which runs: its statement is that of the number asked for."""
    number, name = body.of((3, 1, 4)), body.fresh()
    asked = f"({param(body, number)})"
    other = body.of([v for v in body.values if v.shape == flow.shape]).name
    made = f"{LEARNING[len(flow.shape)].format(flow.shape[-1])} -> relu"
    statements = {4: f"{flow.name} -> tanh", 3: f"{flow.name} -> {made}", 1: f"add({flow.name}, {other})"}
    four, three, one = (f"{{ {name} = {chain} }}" for chain in statements.values())
    text = body.of((
        f"when {asked} > 2 {{ when {asked} == 4 {four} else {three} }} else {one}",
        f"when not ({asked} < 4) {four} else when {asked} < 2 or {asked} == 7 {one} else {three}",
    ))  # fmt: skip
    if number == 3:
        count(body, made)
    body.lines.append(text)
    body.used.update((flow.name, other) if number == 1 else (flow.name,))
    body.add(name, flow.shape, "when")


def tied(body: Body, flow: Flow) -> None:
    """A dense layer with the weight of an embedding or of another dense layer, one that is there or is made for it."""
    if len(flow.shape) == 3:
        flow = body.define(flow, "flatten", (prod(flow.shape),), "flatten")
    if not body.owners or body.chance(3):
        flow = body.behind(flow, "dense")
    fitting = {name: sizes for name, sizes in body.owners.items() if work(flow.shape, max(sizes)) <= MOST_WORK}
    if not fitting:
        return
    owner = body.of(tuple(fitting))
    takes, gives = fitting[owner]
    if flow.shape[-1] != takes:
        flow = body.define(flow, f"dense({takes}) -> tanh", (*flow.shape[:-1], takes), "tanh")
        count(body, "dense -> tanh")
    count(body, "dense")
    bias = body.of(("", ", bias=off", ", bias=on"))
    body.define(flow, f"dense({gives}, tie={owner}{bias})", (*flow.shape[:-1], gives), "dense")


def distances(body: Body, flow: Flow) -> None:
    """The distance of two vectors that one tower makes, judged by `contrastive`, or of three by `triplet`."""
    others = [v for v in body.values if v.shape == flow.shape]
    tower, flat = f"tower{len(body.lines)}", "flatten -> " * (len(flow.shape) > 1)
    body.learning.append(body.number("dense"))
    count(body, "dense -> dense")  # the other calls
    body.lines.append(f"{tower} = shared {{ {flat}dense(5) }}")
    ends = [body.define(v, f"tanh -> {tower}", (5,), "shared") for v in (flow, body.of(others), body.of(others))]
    near = body.define(ends[0], f"distance({ends[1].name})", (1,), "distance")
    body.used.add(ends[1].name)
    if body.chance(2):
        body.head(near, "contrastive")
        return
    far = body.define(ends[0], f"distance({ends[2].name}, eps=0.001)", (1,), "distance")
    body.used.update((ends[2].name, far.name))
    body.head(body.define(near, f"subtract({far.name})", (1,), "subtract"), "triplet")


CONSTRUCTS: tuple[Callable[[Body, Flow], None], ...] = (
    with_param, repeated, block, shared, parts, arithmetic, conditions, tied, distances,
)  # fmt: skip
IN_INTEGERS = (with_param, repeated, shared, conditions)
