"""How parameters start. One file an init: the file's name is its name in the language."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from dslc.numerics import Array, np

if TYPE_CHECKING:
    from dslc.ir import Parameter


class Init:
    """Base of all inits; a subclass is a frozen dataclass whose annotated fields are its arguments."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises SizeProblem where weights of this shape cannot start so."""

    def sample(self, random: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Array:
        """Fresh values of this shape in float64."""
        raise NotImplementedError


def start(parameter: Parameter, seed: int) -> Array:
    """Fresh values from a stream of the parameter's own, so that a layer more does not change the others."""
    stream = int.from_bytes(hashlib.sha256(parameter.name.encode()).digest()[:4], "little")
    random = np.random.Generator(np.random.Philox(key=[seed, stream]))
    return parameter.init.sample(random, parameter.shape, parameter.fan_in, parameter.fan_out)
