"""The size of the terms of each gradient, which it may be far below where they cancel.

The gradient of a bias before a batch norm, for example, is exactly zero, and what is computed is the rounding error of
its terms. Two estimates of their size, of which the larger counts: the terms with random weights
(`Interpreter.randomly_weighted_gradients`), and the rounding error that float32 makes of the gradient, relative to its
precision. Only the second sees terms that cancel inside of a layer, such as those of the key biases of attention. Where
`quantize int8` rounds, it would say how far two numbers are that were rounded to different steps, and is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

from dslc.derived import rounded_values
from dslc.numerics import Array, np
from dslc.proofs.reference import Arrays, Interpreter

DRAWS = 2
"""How often the terms of a gradient get random weights: two normal numbers are unlikely to be both near zero."""


def sizes_of_terms(
    interpreter: Interpreter, x: Mapping[str, Array], y: Mapping[str, Array], seed: int
) -> dict[str, float]:
    """For each parameter that learns, the size of the terms of its gradient. The interpreter and the mini-batch are in
    float64."""
    random = np.random.default_rng(seed)
    draws = [interpreter.randomly_weighted_gradients(x, y, random) for _ in range(DRAWS)]
    if not rounded_values(interpreter.network):
        draws.append(_lost(interpreter, x, y))
    return {name: max(float(np.abs(draw[name]).max()) for draw in draws) for name in draws[0]}


def _lost(interpreter: Interpreter, x: Mapping[str, Array], y: Mapping[str, Array]) -> Arrays:
    """What float32 makes of the gradients, relative to its precision."""
    exact, rounded = _gradients(interpreter, x, y, np.float64), _gradients(interpreter, x, y, np.float32)
    return {name: np.abs(rounded[name] - exact[name]) / np.finfo(np.float32).eps for name in exact}


def _gradients(interpreter: Interpreter, x: Mapping[str, Array], y: Mapping[str, Array], dtype: type) -> Arrays:
    """The gradients as this precision computes them."""
    parameters: Arrays = {name: value.astype(dtype) for name, value in interpreter.parameters.items()}
    inputs: Arrays = {name: value.astype(dtype) for name, value in x.items()}
    there = Interpreter(interpreter.network, parameters, interpreter.seed, interpreter.step)
    return there.loss_and_gradients(inputs, y)[1]
