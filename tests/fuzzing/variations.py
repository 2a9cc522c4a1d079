"""The ways to build a network that a case tries: all must compute the same."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from unittest.mock import patch

from hypothesis import strategies as st

from dslc import kernels
from dslc.codegen import build, functions
from dslc.compiler import plan_network
from dslc.ir import Network
from dslc.kernels import _direct, _winograd, dense_input_gradient, winograd_weight_products
from dslc.lowering.lower import lower
from dslc.passes.groups import widen_groups
from dslc.plan import Plan
from dslc.planning import planner as planning
from dslc.planning import slicing
from dslc.planning.planner import ITEMSIZE, PASSES, Options, default_setting
from dslc.planning.slicing import division
from dslc.runtime.model import Model
from dslc.target import TARGETS, Target, native
from fuzzing.specs import networks
from helpers import WIDE, plans_made_anew, runs

NATIVE = native()
OTHERS = [t for name, t in TARGETS.items() if name != "aarch64"]
MACHINES = {t.name: t for t in (NATIVE, *filter(runs, [*OTHERS, WIDE]))}
MOST_RANKS = 6
LIMITS = (
    (planning, "MIN_PARALLEL_NS", 1e-9), (_direct, "STREAMED", 0), (_winograd, "STREAMED", 0),
    (_winograd, "NON_TEMPORAL_BYTES", 0), (_winograd, "L2_BYTES", 0), (dense_input_gradient, "STREAMED", 0),
    (winograd_weight_products, "CHUNKED", 0),
    (slicing, "SLICE_NUMBERS", 0), (slicing, "MULTIPLY_ADDS", 0), (slicing, "FEWEST", 2), (slicing, "MULTIPLE", 1),
)  # fmt: skip
"""From which size on a network is treated as a large one, and with which a small one is. A kernel without costs is one
that threads cannot share, and stays with the first."""


LEVELS = ("-O0",) * 5 + ("-O1",) * 2 + ("-O3",)
"""Compiling is nine tenths of a case's time, and optimizing most of that: -O0 takes a third of -O1's and an eighth of
-O3's."""


@dataclass(frozen=True)
class Variation:
    """`precision` is the file's where it is empty. `disable`: passes left out. `rank`: every operation takes the
    algorithm with this place among those that fit, the cheapest first. `as_large`: small sizes are planned like large
    ones. `level`: how much the C compiler optimizes; -O3 is as users have it. `general`: functions have all parameters
    that they may have, also sizes that are the same for all their kernels."""

    precision: str = ""
    machine: str = NATIVE.name
    threads: int = 2
    disable: tuple[str, ...] = ()
    rank: int = 0
    as_large: bool = False
    level: str = "-O0"
    general: bool = False

    @property
    def target(self) -> Target:
        return MACHINES[self.machine]

    def model(self, network: Network) -> Model:
        """The compiled network."""
        flags = "" if self.level == "-O3" else f"{self.level} -fno-lto"
        with self._changed(), patch.dict(os.environ, {build.EXTRA_FLAGS: flags}), plans_made_anew():
            return Model(network, self.threads, self.options(network), self.target)

    def plan(self, network: Network) -> Plan:
        """The plan of the network."""
        with self._changed():
            return plan_network(network, self.target, None, self.threads, self.options(network))

    def _changed(self) -> ExitStack:
        stack = ExitStack()
        for module, limit, small in LIMITS if self.as_large else ():
            stack.enter_context(patch.object(module, limit, small))
        if self.general:
            stack.enter_context(patch.object(functions, "varying", all_of_two))
        return stack

    def options(self, network: Network) -> Options:
        return Options(self.disable, tuple(self._algorithms(network)) if self.rank else ())

    def _algorithms(self, network: Network) -> Iterator[tuple[str, str]]:
        divided = division(network)
        graph = lower(network, divided.sliced)
        setting = default_setting(graph, self.target, divided.slice, self.threads)
        graph = graph if "groups" in self.disable else widen_groups(graph, setting.lanes)
        for step in graph.steps:
            for op in step.operations:
                costs = kernels.algorithms(op, setting)
                names = sorted(costs, key=lambda name: costs[name])
                if names:
                    yield f"{step.name}.{op.name}", names[self.rank % len(names)]


def all_of_two(sizes: Mapping[str, list[int | str]]) -> dict[str, list[int | str]]:
    """All sizes of a function, as if two kernels like each of its kernels shared it."""
    return {name: values * 2 for name, values in sizes.items()}


@dataclass(frozen=True)
class Case:
    """A network, the seed of its parameters and data, and the ways to build it."""

    text: str
    seed: int
    variations: tuple[Variation, ...]


def variations() -> st.SearchStrategy[Variation]:
    """Any of them; mostly few things differ from the default."""
    return st.builds(
        Variation,
        precision=st.sampled_from(("", *ITEMSIZE)),
        machine=st.sampled_from(tuple(MACHINES)),
        threads=st.sampled_from((2, 1, 3)),
        disable=st.one_of(st.just(()), st.tuples(st.sampled_from(PASSES)), st.just(PASSES)),
        rank=st.integers(0, MOST_RANKS),
        as_large=st.booleans(),
        level=st.sampled_from(LEVELS),
        general=st.booleans(),
    )


def every_variation() -> Iterator[Variation]:
    """Each thing that may differ on its own: for the networks that once failed."""
    quick = Variation()
    yield quick
    yield from (replace(quick, machine=machine) for machine in MACHINES)
    yield from (replace(quick, precision=precision) for precision in ITEMSIZE)
    yield from (replace(quick, disable=(name,)) for name in PASSES)
    yield from (replace(quick, rank=rank) for rank in range(1, MOST_RANKS + 1))
    yield replace(quick, threads=1)
    yield replace(quick, as_large=True)
    yield replace(quick, general=True)
    yield replace(quick, level="-O3")


@st.composite
def cases(draw: st.DrawFn, more: int, default: Variation) -> Case:
    """A network as it is built by default, and in `more` other ways."""
    text, seed = draw(networks()), draw(st.integers(0, 9))
    others = [draw(variations()) for _ in range(more)]
    return Case(text, seed, tuple(dict.fromkeys((default, *others))))
