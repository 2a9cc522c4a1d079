"""Quantization: a network in float, with the ranges that it was trained with or examples, becomes a network in
integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from dslc.derived import rounded_values, unrounded
from dslc.export.network import Trained
from dslc.integer_groups import Source
from dslc.ir import Value
from dslc.language.diagnostics import CallError
from dslc.numerics import Array, np
from dslc.quantization.arithmetic import Encoding, fixed_point, quantize_weights
from dslc.quantization.calibration import Seen, best_encoding, observe
from dslc.quantization.forms import Affine, Elementwise, Joined, Pooling, channel_affine
from dslc.quantization.program import (
    AveragePool,
    Concat,
    Ending,
    Lookup,
    MaxPool,
    Operation,
    Port,
    Product,
    Program,
    Sum,
    Tensor,
)
from dslc.quantization.stages import Stage, Stages, stages_of

Ranges = Literal["mse", "minmax"]
LARGEST_SUM = 2**31 - 1
LARGEST_BIAS = 2.0**29
SUM_BITS = 22
"""A byte times a multiplier of so many bits, twice, fits into 31."""
SUM_SHIFT = 30
"""The largest shift of a sum of 32 bits."""
FINEST = 2.0**-10
"""An encoding is no finer than so much of what its values are computed from: then every factor has a multiplier."""


def quantize(trained: Trained, inputs: Mapping[str, Array], bits: int = 8, ranges: Ranges | None = None) -> Program:
    """The network in integers.

    inputs: examples (n, *shape) by the name of the input, as the network takes them, from which the range of each value
    is found. bits: of an activation, 8 or 7. ranges: `mse` the range with the least square error, `minmax` the whole;
    None those that the network was trained with, else `mse`.

    Raises:
        SpecError: some layers have no form in integers; it names their places.
        CallError: a layer sums more products than 32 bits hold, or has the name of an input.
    """
    learned = learned_ranges(trained) if ranges is None else {}
    trained = replace(trained, network=unrounded(trained.network))
    network, high = trained.network, (1 << bits) - 1
    for taken in {node.output.name for node in network.nodes} & {value.name for value in network.inputs}:
        raise CallError(f"a layer has the name of the input {taken}: give it another, as its values go by names here")
    stages = stages_of(network, trained.parameters)
    names = [source.output.name for source in stages.sources] + [stage.output.name for stage in stages.stages]
    seen = observe(network, trained.parameters, inputs, names)
    seen |= {name: replace(seen[name], low=low, top=top) for name, (low, top) in learned.items()}
    whole = set(names) if ranges == "minmax" else {value for value, _ in stages.ends.values()} | learned.keys()
    program = _Building(seen, high, whole)
    ports = tuple(program.port(source, trained) for source in stages.sources)
    for stage in stages.stages:
        program.stage(stage)
    return program.program(ports, stages)


def learned_ranges(trained: Trained) -> dict[str, tuple[float, float]]:
    """By the name of a value the range that training with `quantize int8` rounded it in; of a network that was not
    trained yet, or not so, none."""
    found = {}
    for name, value in rounded_values(trained.network).items():
        low, top = (float(end) for end in trained.parameters[name])
        if low < top:
            found[value.name] = (low, top)
    return found


@dataclass
class _Building:
    """The tensors and operations so far. `whole`: the values that keep the whole range that was seen."""

    seen: Mapping[str, Seen]
    high: int
    whole: set[str]

    def __post_init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.operations: list[Operation] = []

    def program(self, ports: tuple[Port, ...], stages: Stages) -> Program:
        endings = tuple(Ending(head, value, layers) for head, (value, layers) in stages.ends.items())
        return Program(ports, tuple(self.tensors.values()), tuple(self.operations), endings)

    def port(self, source: Source, trained: Trained) -> Port:
        """An input as bytes: its whole range, for an image of numbers from 0 to 1 all of that."""
        value, node = source.output, source.standardize
        seen = self.seen[value.name]
        if node is None and len(value.shape) == 3 and seen.low >= 0 and seen.top <= 1:
            seen = replace(seen, low=0.0, top=1.0)
        encoding = self._keep(value, best_encoding(seen, self.high, whole=True))
        factor, shift = np.ones(1), np.zeros(1)
        if node is not None:
            own = {role: trained.parameters[p.name] for role, p in node.roles.items()}
            factor, shift = channel_affine(node, own)
        gain = (factor / encoding.scale).astype(np.float32)
        offset = shift / factor * gain + (encoding.zero + 0.5)
        return Port(source.input.name, value.name, gain, offset.astype(np.float64))

    def stage(self, stage: Stage) -> None:
        """Adds an operation with its tensor."""
        self.operations.append(_BUILDERS[type(stage.form)](self, stage, stage.form))

    def _keep(self, value: Value, encoding: Encoding) -> Encoding:
        self.tensors[value.name] = Tensor(value.name, value.shape, encoding)
        return encoding

    def _encoding(self, stage: Stage, finest: float, saturates: str = "") -> Encoding:
        """The encoding of a stage's result, no finer than `finest`."""
        seen = self.seen[stage.output.name]
        if saturates:
            top = min(seen.top, 6.0) if saturates == "relu6" else seen.top
            seen = replace(seen, low=0.0, top=top)
        found = best_encoding(seen, self.high, stage.output.name in self.whole)
        if found.scale < finest:
            scale = float(np.float32(finest))
            found = replace(found, scale=scale, zero=int(np.clip(np.floor(-seen.low / scale + 0.5), 0, self.high)))
        return self._keep(stage.output, found)

    def _of(self, name: str) -> Encoding:
        return self.tensors[name].encoding

    def affine(self, stage: Stage, form: Affine) -> Product:
        x = self._of(stage.reads[0])
        each, (filters, *_) = form.weight[0].size, form.weight.shape
        units_last = np.moveaxis(form.weight, 0, -1)
        least = np.abs(form.bias) / (x.scale * LARGEST_BIAS)
        weight, scales = quantize_weights(units_last, least)
        weight = np.ascontiguousarray(np.moveaxis(weight, -1, 0))
        y = self._encoding(stage, x.scale * float(scales.max()) * FINEST, form.saturates)
        bias = np.rint(form.bias / (x.scale * scales)).astype(np.int64)
        bias -= x.zero * weight.reshape(filters, -1).astype(np.int64).sum(axis=1)
        if int(np.abs(bias).max()) + each * 127 * self.high > LARGEST_SUM:
            raise CallError(f"{stage.name} sums {each:,} products: more than 32-bit integers hold")
        multiplier, shift = fixed_point(x.scale * scales / y.scale)
        return Product(
            stage.name, stage.reads, stage.output.name, form.window, form.groups, weight, bias.astype(np.int32),
            multiplier, shift,
        )  # fmt: skip

    def pooling(self, stage: Stage, form: Pooling) -> Operation:
        x = self._of(stage.reads[0])
        if not form.mean:
            self._keep(stage.output, x)
            return MaxPool(stage.name, stage.reads, stage.output.name, form.window)
        y = self._encoding(stage, x.scale * FINEST)
        most = form.window.size[0] * form.window.size[1]
        factors = np.concatenate([[0.0], x.scale / y.scale / np.arange(1, most + 1)])
        multiplier, shift = fixed_point(factors)
        return AveragePool(stage.name, stage.reads, stage.output.name, form.window, form.counted, multiplier, shift)

    def joined(self, stage: Stage, form: Joined) -> Operation:
        xs = [self._of(name) for name in stage.reads]
        y = self._encoding(stage, max(x.scale for x in xs) * FINEST, form.saturates)
        signs = np.array(form.signs or [1] * len(xs))
        bits = SUM_BITS - (len(xs) - 1).bit_length() if form.signs else SUM_BITS
        multiplier, shift = fixed_point(signs * np.array([x.scale for x in xs]) / y.scale, bits, SUM_SHIFT)
        bias = -multiplier.astype(np.int64) * np.array([x.zero for x in xs])
        if not form.signs:
            return Concat(stage.name, stage.reads, stage.output.name, multiplier, bias.astype(np.int32), shift)
        return Sum(stage.name, stage.reads, stage.output.name, multiplier, int(bias.sum()), shift)

    def elementwise(self, stage: Stage, form: Elementwise) -> Lookup:
        x, y = self._of(stage.reads[0]), self._encoding(stage, 0.0)
        given = x.decode(np.minimum(np.arange(256), self.high))
        return Lookup(stage.name, stage.reads, stage.output.name, y.encode(form.value(given)))


_BUILDERS: Mapping[type, Callable[[_Building, Stage, Any], Operation]] = {
    Affine: _Building.affine,
    Pooling: _Building.pooling,
    Joined: _Building.joined,
    Elementwise: _Building.elementwise,
}
