"""A network as the stages that integers compute: groups of layers, with the numbers of their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dslc.integer_groups import Group, Source, groups_of
from dslc.ir import Network, Node, Value
from dslc.numerics import Array
from dslc.quantization.forms import FORMS, Affine, Form, Joined, followed_by
from dslc.registry import name_of


@dataclass(frozen=True)
class Stage:
    """One integer operation: what it reads, the value that it makes, and the layers that are in it, the first of which
    names it."""

    reads: tuple[str, ...]
    output: Value
    form: Form
    layers: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the first layer."""
        return self.layers[0]


@dataclass(frozen=True)
class Stages:
    """A network in stages. `ends`: by head the value that integers compute for it, and the layers behind that."""

    sources: tuple[Source, ...]
    stages: tuple[Stage, ...]
    ends: Mapping[str, tuple[str, tuple[str, ...]]]


def stages_of(network: Network, parameters: Mapping[str, Array]) -> Stages:
    """The stages of what predictions need. parameters: arrays by name, in the shapes of the language.

    Raises:
        SpecError: some layers have no form in integers; it names their places.
    """
    found = groups_of(network)
    stages = (Stage(g.reads, g.output, _form(g, parameters), tuple(n.name for n in g.nodes)) for g in found.groups)
    return Stages(found.sources, tuple(stages), found.ends)


def _form(group: Group, parameters: Mapping[str, Array]) -> Form:
    """What a group computes."""

    def own(node: Node) -> dict[str, Array]:
        return {role: parameters[p.name] for role, p in node.roles.items()}

    first, *others = group.nodes
    form = FORMS.get(name_of(first.layer), FORMS[""])(first, own(first))
    for node in others:
        if isinstance(form, (Affine, Joined)) and name_of(node.layer) == group.saturates:
            form = replace(form, saturates=group.saturates)
        elif isinstance(form, Affine):
            form = followed_by(form, node, own(node))
    return form
