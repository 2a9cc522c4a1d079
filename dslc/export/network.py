"""What is exported, and how: a network with its numbers, and the wishes of whoever exports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dslc.codegen.c_source import c_prefix
from dslc.ir import Network
from dslc.numerics import Array
from dslc.target import Target

EMBEDDED_BELOW = 64 << 10
"""Bytes of constants below which they become an array in the C, unless one says otherwise."""

MOST_THREADS = 8
"""What an export for threads is planned for."""


@dataclass(frozen=True)
class Images:
    """How files with images became numbers: stored numbers divided by their largest if `scale`; `fit` says how they
    came to their size (stretch, crop or pad), `background` what is under transparent pixels."""

    fit: str = "stretch"
    background: tuple[int, int, int] = (255, 255, 255)
    scale: bool = True


@dataclass(frozen=True)
class Trained:
    """A network with its parameters, arrays by the names and in the shapes of the language, and what is known of its
    data: `classes` are their names by head; by input `offsets` are what is subtracted from each feature in double
    precision, `features` the names of columns, `tables` how each declared column becomes numbers."""

    network: Network
    parameters: Mapping[str, Array]
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    offsets: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    features: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tables: Mapping[str, tuple[Mapping[str, object], ...]] = field(default_factory=dict)
    images: Images = Images()

    @property
    def prefix(self) -> str:
        """What every file and every symbol begins with."""
        return c_prefix(self.network)


@dataclass(frozen=True)
class Wishes:
    """How a network is exported. `batch`: the most examples of a call. `small`: the least code and memory instead of
    the fastest. `embed`: the weights as an array in the C; None for those below EMBEDDED_BELOW. `training`: it learns
    too. `threads`: how threads share a prediction, "pthread" or "openmp"; one thread runs alone where it is empty."""

    target: Target
    batch: int = 1
    small: bool = False
    embed: bool | None = None
    training: bool = False
    threads: str = ""

    @property
    def most_threads(self) -> int:
        """For how many threads there is memory."""
        return MOST_THREADS if self.threads else 1

    @property
    def direct(self) -> bool:
        """Whether convolutions are all direct: they need least memory, flash and code."""
        return self.small or self.target.is_microcontroller
