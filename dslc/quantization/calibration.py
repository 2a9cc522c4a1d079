"""Which real numbers each value takes on: found by running the network in float on examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dslc.ir import Network
from dslc.layers import Mode
from dslc.layers._fake_quantize import fake_quantized_weight
from dslc.numerics import Array, np
from dslc.quantization.arithmetic import Encoding, encoding_of

SAMPLE = 1 << 15
"""Numbers of a value that are looked at for its best range."""
PORTION = 64
"""Examples at a time."""
SHRUNK = tuple(np.linspace(1, 0.4, 25))
"""The shares of the whole range that are tried."""


@dataclass(frozen=True)
class Seen:
    """The least and the largest number of a value, and a sample of its numbers."""

    low: float
    top: float
    sample: Array

    def joined(self, other: Seen) -> Seen:
        """With what was seen in other examples."""
        return Seen(min(self.low, other.low), max(self.top, other.top), np.concatenate([self.sample, other.sample]))


def float_values(
    network: Network, parameters: Mapping[str, Array], given: Mapping[str, Array], after: str | None = None
) -> dict[str, Array]:
    """Every value (n, *shape) of a prediction in float32, by NumPy, from the inputs; or from `given` values, of which
    `after` names the last. A network of `quantize int8` rounds here too."""
    values = dict(given)
    begun = after is None
    for node in network.nodes:
        if begun and node.name in network.predicting and node.output.name not in given:
            own = {role: parameters[p.name] for role, p in node.roles.items()}
            if node.rounds_weight:
                own["weight"] = fake_quantized_weight(own["weight"], node.roles["weight"].units)
            xs = tuple(values[v.name] for v in node.inputs)
            values[node.output.name] = node.layer.reference(xs, own, Mode(False)).y
        begun = begun or node.output.name == after
    return values


def portions(inputs: Mapping[str, Array]) -> Iterable[dict[str, Array]]:
    """So many examples that their values fit into memory."""
    count = len(next(iter(inputs.values())))
    for start in range(0, count, PORTION):
        yield {name: x[start : start + PORTION] for name, x in inputs.items()}


def observe(
    network: Network, parameters: Mapping[str, Array], inputs: Mapping[str, Array], names: Iterable[str]
) -> dict[str, Seen]:
    """What some values are, by name, for inputs (n, *shape) by name."""
    found: dict[str, Seen] = {}
    wanted = tuple(names)
    count = len(next(iter(inputs.values())))
    each = max(1, SAMPLE * PORTION // max(count, PORTION))
    for part in portions(inputs):
        values = float_values(network, parameters, part)
        for name in wanted:
            flat = values[name].reshape(-1)
            step = max(1, flat.size // each) | 1  # odd, so that it does not go by the channels
            seen = Seen(float(flat.min()), float(flat.max()), flat[::step])
            found[name] = found[name].joined(seen) if name in found else seen
    return found


def best_encoding(seen: Seen, high: int, whole: bool) -> Encoding:
    """The encoding whose rounding and saturation make the least mean square error in the sample; `whole`: the one that
    reaches from the least number to the largest."""
    full = encoding_of(seen.low, seen.top, high)
    if whole:
        return full

    def error(encoding: Encoding) -> float:
        return float(np.mean((encoding.decode(encoding.encode(seen.sample)) - seen.sample) ** 2, dtype=np.float64))

    tried = [full, *(encoding_of(seen.low * share, seen.top * share, high) for share in SHRUNK[1:])]
    return min(tried, key=error)
