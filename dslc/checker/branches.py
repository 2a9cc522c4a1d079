"""What does not run: the branch of a `when` that is not taken, and `repeat 0`. It still uses its names, which must
exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dslc import layers, registry
from dslc.checker.expressions import Scope, unknown_value
from dslc.checker.frame import defined
from dslc.checker.splits import SPLIT
from dslc.language import ast
from dslc.language.diagnostics import Diagnostic
from dslc.layers import Layer


def skip(
    body: tuple[ast.Statement, ...],
    scope: Scope,
    blocks: Mapping[str, ast.BlockDecl],
    called: set[str],
    towers: Iterable[str],
) -> None:
    """Reports links of chains that are nothing, and counts all names as used; `called` gets the blocks among them.
    `towers`: the names of shared layers."""
    made = {*scope.flows, *scope.coming, *defined(body), *towers}
    for node in ast.walk(body):
        if isinstance(node, ast.Chain):
            for link in node.links:
                if isinstance(link, ast.Call) and link.name not in made and link.name not in _known(blocks):
                    scope.report(unknown_link(link, scope, blocks, made))
    for name in names_in(body):
        scope.touch(name)
        _mention(name, scope, blocks, called)


def names_in(body: tuple[ast.Statement, ...]) -> list[str]:
    """All names that statements mention, of values, params, blocks and layers."""
    return [node.name for node in ast.walk(body) if isinstance(node, (ast.Name, ast.Member, ast.Call))]


def makes(body: tuple[ast.Statement, ...]) -> set[str]:
    """The outputs and the named layers that statements make, which `train` may name."""
    nodes = list(ast.walk(body))
    outputs = {node.name for node in nodes if isinstance(node, ast.OutputDecl)}
    arguments = [a for node in nodes if isinstance(node, ast.Call) for a in node.arguments or ()]
    return outputs | {a.value.name for a in arguments if a.name == "name" and isinstance(a.value, ast.Name)}


def kinds(body: tuple[ast.Statement, ...], blocks: Mapping[str, ast.BlockDecl]) -> set[type[Layer]]:
    """The kinds of layers that statements and the blocks that they call would make."""
    found: set[type[Layer]] = set()
    todo: list[object] = [body]
    seen: set[str] = set()
    while todo:
        for node in ast.walk(todo.pop()):
            if not isinstance(node, ast.Call) or node.name in seen:
                continue
            seen.add(node.name)
            if node.name in blocks:
                todo.append(blocks[node.name].body)
            elif (layer := registry.find(layers, node.name, Layer)) is not None:
                found.add(layer)
    return found


def unknown_link(
    link: ast.Call, scope: Scope, blocks: Mapping[str, ast.BlockDecl], made: Iterable[str] = ()
) -> Diagnostic:
    """The diagnostic for a link that is neither a layer, a block nor a value. `made`: values besides those that are
    known."""
    return unknown_value(link.name_span, link.name, (*_known(blocks), *scope.flows, *made), scope)


def _known(blocks: Mapping[str, ast.BlockDecl]) -> tuple[str, ...]:
    return (*registry.names(layers), SPLIT, *blocks)


def _mention(name: str, scope: Scope, blocks: Mapping[str, ast.BlockDecl], called: set[str]) -> None:
    """A block that only what does not run calls, and the params and blocks that it uses, are not forgotten."""
    todo = [name]
    while todo:
        block = todo.pop()
        if block not in blocks or block in called:
            continue
        called.add(block)
        used = [node.name for node in ast.walk(blocks[block]) if isinstance(node, (ast.Name, ast.Call))]
        todo += used
        for word in used:
            scope.touch(word)
