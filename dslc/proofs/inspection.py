"""A network in the NumPy interpreter as it is before training, and a few examples to inspect it with."""

from __future__ import annotations

from typing import Any

import numpy as np

from dslc.ir import Network
from dslc.language.diagnostics import DataError
from dslc.proofs.reference import Interpreter
from dslc.runtime.data.arrays import as_inputs, as_targets
from dslc.runtime.data.datasets import Split
from dslc.runtime.data.lazy import portions_of
from dslc.runtime.data.schema import Schema
from dslc.runtime.native.initial import start
from dslc.runtime.training.checkpoint import LAST
from dslc.runtime.training.weights import differences, read_arrays, read_schema

Arrays = dict[str, np.ndarray[Any, Any]]
MAX_EXAMPLES = 64
"""The largest number of examples by default."""
MAX_BYTES = 1e9
"""The memory that values, their gradients and what layers keep for the backward pass may take together."""


def default_count(network: Network) -> int:
    """The default number of examples: MAX_EXAMPLES, or fewer if a large network would need more than MAX_BYTES."""
    elements = sum(value.elements for value in (*network.inputs, *(node.output for node in network.nodes)))
    return max(1, min(MAX_EXAMPLES, int(MAX_BYTES / (3 * 8 * elements))))


def untrained(network: Network, train: Split, weights: str | None = None) -> Interpreter:
    """The network with fresh parameters, its layers such as standardize fitted on the training set; or with the
    parameters of a file, `weights`, of a checkpoint those that training goes on from.

    Raises:
        DataError: the data or the weights do not fit the network.
    """
    seed = network.training.seed if network.training else 0
    if weights is not None:
        return Interpreter(network, _read(weights, network), seed)
    parameters = {p.name: start(p, seed, "float64") for p in network.parameters}
    if any(node.layer.first for node in network.nodes):
        names = [value.name for value in network.inputs]
        inputs = dict(zip(names, as_inputs(network, train.x, np.float64), strict=True))
        for node in (n for n in network.nodes if n.layer.first):
            for role, array in node.layer.fitted(
                (part, None) for part in portions_of(inputs[node.inputs[0].name])
            ).items():
                parameters[f"{node.name}.{role}"] = array
    return Interpreter(network, parameters, seed)


def _read(path: str, network: Network) -> Arrays:
    arrays, _ = read_arrays(path)
    found = {name.removeprefix(LAST): array for name, array in arrays.items() if name.startswith(LAST)} or arrays
    if problems := differences(found, {p.name: p.shape for p in network.parameters}):
        raise DataError(f"the weights in {path} do not fit this network:\n  " + "\n  ".join(problems))
    return {name: array.astype(np.float64) for name, array in found.items()}


def sample_examples(network: Network, train: Split, count: int, weights: str | None = None) -> tuple[Arrays, Arrays]:
    """`count` examples, drawn by the network's seed: inputs (count, *shape) by name and targets by head. A file of
    weights that is given says how labels and offsets are understood.

    Raises:
        DataError: the data do not fit the network.
    """
    if len(train.x) != len(train.y):
        raise DataError(f"{len(train.x)} examples in x, but {len(train.y)} targets in y")
    seed = network.training.seed if network.training else 0
    chosen = np.sort(np.random.default_rng(seed).permutation(len(train.x))[:count])
    schema = Schema() if weights is None else read_schema(weights)
    inputs = as_inputs(network, schema.inputs(network, train.x[chosen]), np.float64)
    by_input = {value.name: x for value, x in zip(network.inputs, inputs, strict=True)}
    if network.training is None:
        return by_input, {}
    given = schema.of_targets(network, train.y, anew=True).targets(network, train.y[chosen])
    targets = as_targets(network, given, len(chosen), np.float64)
    return by_input, {head.name: y for head, y in zip(network.heads, targets, strict=True)}
