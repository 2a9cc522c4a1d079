"""Which layer gets the weights of which module: by a mapping, by name, or by place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dslc.interchange.flattened import orders
from dslc.interchange.foreign import Foreign, Module
from dslc.interchange.layouts import theirs, turned
from dslc.interchange.operators._at import cleaned
from dslc.ir import Network, Node
from dslc.language.diagnostics import DataError
from dslc.layers.dense import Dense
from dslc.numerics import Array, np
from dslc.runtime.training.weights import require_weights


@dataclass(frozen=True)
class Matched:
    """Arrays by our parameters' names, in our shapes, the modules by our layers, and how they were found: `by name`,
    `by place` or `by the mapping`."""

    arrays: Mapping[str, Array]
    modules: Mapping[str, str]
    how: str


def matched(network: Network, foreign: Foreign, mapping: Mapping[str, str] | None = None) -> Matched:
    """Every parameter of a network from a file. mapping: modules by layers.

    Raises:
        DataError: layers or modules are left over, or shapes do not fit, when the message lists all of it; or arrays
            are not what `require_weights` wants.
    """
    foreign = _without_tied(network, foreign)
    layers = [node for node in network.nodes if node.parameters]
    modules = {module.name: module for module in foreign.modules}
    if mapping is not None:
        pairs, how = _mapped(layers, modules, mapping, foreign), "by the mapping"
    else:
        by_name = {cleaned(name): module for name, module in modules.items()}
        if all(node.name in by_name for node in layers):
            pairs, how = [(node, by_name[node.name]) for node in layers], "by name"
        else:
            pairs, how = _by_place(layers, foreign), "by place"
    for _, module in pairs:
        given = {f"{module.name}.{role}": array for role, array in module.arrays.items()}
        require_weights(foreign.path, given, np.float32)
    arrays, problems = _arrays(network, pairs, foreign.layout)
    used = {module.name for _, module in pairs}
    if mapping is None:
        problems += [f"{m.name} {_shapes(m)} is not in the network" for m in foreign.modules if m.name not in used]
    if problems:
        listed = "\n  ".join(problems)
        raise DataError(f"the weights in {foreign.path}, matched {how}, do not fit this network:\n  {listed}")
    return Matched(arrays, {node.name: module.name for node, module in pairs}, how)


def _without_tied(network: Network, foreign: Foreign) -> Foreign:
    """The modules without the weights that another layer of the network owns: files of tied weights hold them twice."""
    if not any(isinstance(node.layer, Dense) and node.layer.tie is not None for node in network.nodes):
        return foreign
    kept: list[Module] = []
    seen: list[Array] = []
    for module in foreign.modules:
        again = {role for role, a in module.arrays.items() if any(np.array_equal(a, other) for other in seen)}
        seen += [array for role, array in module.arrays.items() if role == "weight"]
        arrays = {role: array for role, array in module.arrays.items() if role not in again or role != "weight"}
        kept += [replace(module, arrays=arrays)] if arrays else []
    return replace(foreign, modules=tuple(kept))


def _mapped(
    layers: Sequence[Node], modules: Mapping[str, Module], mapping: Mapping[str, str], foreign: Foreign
) -> list[tuple[Node, Module]]:
    known = {node.name for node in layers}
    problems = [f"the network has no layer with parameters called {name}" for name in mapping if name not in known]
    problems += [f"{foreign.path} has no module {name}" for name in mapping.values() if name not in modules]
    problems += [f"the mapping has nothing for {name}" for name in known if name not in mapping]
    if problems:
        raise DataError("the mapping does not fit:\n  " + "\n  ".join(problems))
    return [(node, modules[mapping[node.name]]) for node in layers]


def _by_place(layers: Sequence[Node], foreign: Foreign) -> list[tuple[Node, Module]]:
    if len(layers) != len(foreign.modules) or not foreign.ordered:
        ours = "\n  ".join(f"{node.name} {', '.join(_of_layer(node))}" for node in layers)
        their = "\n  ".join(f"{module.name} {_shapes(module)}" for module in foreign.modules)
        raise DataError(
            f"the network has {len(layers)} layers with parameters, and {foreign.path} has {len(foreign.modules)}"
            + ("" if foreign.ordered else " and does not tell their order")
            + f": give layers their names (name=), or say which belong together (--map):\n  {ours}\n"
            f"in the file:\n  {their}"
        )
    return list(zip(layers, foreign.modules, strict=True))


def _arrays(network: Network, pairs: Sequence[tuple[Node, Module]], layout: str) -> tuple[dict[str, Array], list[str]]:
    places = orders(network)
    arrays: dict[str, Array] = {}
    problems: list[str] = []
    for node, module in pairs:
        used = set()
        for parameter in node.parameters:
            role = theirs(node, parameter, module)
            if role is None:
                problems.append(f"{parameter.name} {parameter.shape}: {module.name} has only {_shapes(module)}")
                continue
            used.add(role)
            found = turned(node, parameter, module.arrays[role], layout, places)
            if found is None:
                shape = module.arrays[role].shape
                problems.append(f"{parameter.name} {parameter.shape} is not {module.name}.{role} {shape}")
            else:
                arrays[parameter.name] = found
        left = [role for role in module.arrays if role not in used]
        problems += [f"{module.name}.{role} {module.arrays[role].shape} is not in {node.name}" for role in left]
    return arrays, problems


def _shapes(module: Module) -> str:
    return ", ".join(f"{role} {array.shape}" for role, array in module.arrays.items())


def _of_layer(node: Node) -> list[str]:
    return [f"{p.name.removeprefix(f'{node.name}.')} {p.shape}" for p in node.parameters]
