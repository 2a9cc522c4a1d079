"""What is shown over a word, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from dslc.editor import vocabulary
from dslc.editor.analysis import Analysis, Context, context_at, word_at
from dslc.editor.symbols import Symbol, symbol_at
from dslc.ir import Network, Node
from dslc.language import ast
from dslc.shape import show_shape

MOST = 4
"""So many runs of a line are shown."""


def hover(analysis: Analysis, offset: int) -> str | None:
    """The text over the word at an offset; None where there is nothing to say."""
    text = analysis.source.text
    word = word_at(text, offset)
    if word is None:
        return None
    start, end = word
    context = context_at(text, start)
    symbol = symbol_at(analysis.program, start) if analysis.program is not None else None
    if symbol is not None:
        return _symbol(analysis.network, symbol, start)
    return _word(text[start:end], context, _nodes(analysis.network, start))


def _nodes(network: Network | None, start: int) -> list[Node]:
    """What the call that starts here makes: a layer, in a block perhaps several times, or the layers of a block."""
    if network is None:
        return []
    own = [node for node in network.nodes if node.call.start == start]
    return own or [node for node in network.nodes if node.span.start == start]


def _word(word: str, context: Context, nodes: Sequence[Node]) -> str | None:
    if context.owner == "train" and not context.line:
        return vocabulary.SETTINGS.get(word)
    kind = context.key if context.owner == "train" else "layer"
    if context.calls and context.owner != "train":
        kind = "init" if context.line[-2:] == ("init", "=") else "layer"
    thing = vocabulary.find(kind, word)
    if thing is None:
        return _argument(word, context, kind)
    parts = [f"```\n{vocabulary.signature(word, thing)}\n```", vocabulary.about(thing)]
    parts += [_layer(node) for node in nodes[:MOST]]
    if len(nodes) > MOST:
        parts.append(f"and {len(nodes) - MOST} more")
    return "\n\n".join(parts)


def _argument(word: str, context: Context, kind: str) -> str | None:
    """The call that an argument belongs to."""
    name = context.calls[-1] if context.calls else ""
    thing = vocabulary.find(kind, name)
    if thing is None or word not in vocabulary.arguments(kind, thing):
        return None
    return f"an argument of\n```\n{vocabulary.signature(name, thing)}\n```"


def _layer(node: Node) -> str:
    """Sizes, the formula behind them, parameters and work of a layer."""
    sizes = f"{' and '.join(map(show_shape, node.input_shapes))} → {show_shape(node.output.shape)}"
    lines = [f"**{node.name}**: {sizes}"]
    if formula := node.layer.formula(node.input_shapes):
        lines.append(f"size: `{formula}`")
    lines += [f"`{p.name}` {show_shape(p.shape)}: {p.elements:,} parameters" for p in node.parameters]
    if work := node.layer.multiply_adds(node.input_shapes):
        lines.append(f"{work:,} multiply-adds an example")
    return "  \n".join(lines)


def _symbol(network: Network | None, symbol: Symbol, start: int) -> str:
    first = symbol.node.span.text.split("{")[0].strip()
    head = f"```\n{first}\n```" if symbol.kind not in ("layer", "block parameter") else f"{symbol.kind} {symbol.name}"
    if network is None:
        return head
    if symbol.kind == "value":
        return f"{head}\n\n{_value(network, symbol)}".strip()
    if symbol.kind == "block" and (nodes := [node for node in network.nodes if node.span.start == start]):
        one_run = [node for node in nodes if node.block == nodes[0].block]
        parameters = sum(p.elements for node in one_run for p in node.parameters if p.trained)
        sizes = f"{show_shape(one_run[0].input_shapes[0])} → {show_shape(one_run[-1].output.shape)}"
        return f"{head}\n\n{sizes}, {len(one_run)} layers, {parameters:,} parameters"
    return head


def _value(network: Network, symbol: Symbol) -> str:
    """The size of an input or of what the chain of a value ends with, in each run of its block."""
    if isinstance(symbol.node, ast.AssignMany):
        return ""
    span = symbol.node.span
    given = [value.shape for value in network.inputs if value.name == symbol.name]
    made = [node.output.shape for node in network.nodes if span.start <= node.span.start < span.end]
    by_run = {node.block: node.output.shape for node in network.nodes if span.start <= node.call.start < span.end}
    shapes = given or made[-1:] or list(dict.fromkeys(by_run.values()))
    return f"size {', '.join(map(show_shape, shapes[:MOST]))}" if shapes else ""
