"""Which layer loses what: each one's error in the whole network, and what the network says with that one alone in
integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dslc.export.network import Trained
from dslc.numerics import Array, np
from dslc.quantization.calibration import float_values
from dslc.quantization.program import Operation, Product, Program
from dslc.quantization.reference import compute, encode, run


@dataclass(frozen=True)
class LayerLoss:
    """Of an operation: the bytes of its weights in float and of its constants now; `signal`: the signal-to-noise ratio
    of its result in the whole network, in decibels; `alone`: that of the network's result where only this operation has
    integers; `changed`: the share of examples whose likeliest class is another one then, None where there are no
    classes. Of several heads the one counts that loses most."""

    name: str
    kind: str
    float_bytes: int
    bytes: int
    signal: float
    alone: float
    changed: float | None


def signal_to_noise(real: Array, found: Array) -> float:
    """10 log10(sum of squares / sum of squared errors); infinite where there is no error."""
    noise = float(((found.astype(np.float64) - real) ** 2).sum())
    signal = float((real.astype(np.float64) ** 2).sum())
    return float("inf") if noise == 0 else float(10 * np.log10(max(signal, 1e-300) / noise))


def layer_losses(program: Program, trained: Trained, inputs: Mapping[str, Array]) -> list[LayerLoss]:
    """A row an operation, for inputs (n, *shape) by name."""
    real = float_values(trained.network, trained.parameters, inputs)
    quantized = run(program, {port.tensor: encode(program, port, inputs[port.name]) for port in program.ports})
    rows = []
    for op in program.operations:
        encodings = {name: program.tensor(name).encoding for name in (*op.reads, op.y)}
        given = tuple(_bytes(program, trained, name, real, inputs) for name in op.reads)
        alone = encodings[op.y].decode(compute(program, op, given))
        said, truth = (_results(trained, program, real, value, op.y) for value in (alone, real[op.y]))
        changed = [share for pair in zip(truth, said, strict=True) if (share := _changed(*pair)) is not None]
        found = encodings[op.y].decode(quantized[op.y])
        bytes_ = sum(int(a.nbytes) for a in vars(op).values() if isinstance(a, np.ndarray))
        rows.append(
            LayerLoss(
                op.name, type(op).__name__.lower(), _float_bytes(op), bytes_, signal_to_noise(real[op.y], found),
                min(map(signal_to_noise, truth, said)), max(changed, default=None),
            )
        )  # fmt: skip
    return rows


def size_before(trained: Trained) -> int:
    """Bytes in float of the parameters that predict."""
    network = trained.network
    used = {p.name: p for node in network.nodes if node.name in network.predicting for p in node.roles.values()}
    return sum(4 * p.elements for p in used.values())


def _float_bytes(op: Operation) -> int:
    return 4 * int(op.weight.size + op.bias.size) if isinstance(op, Product) else 0


def _bytes(
    program: Program, trained: Trained, name: str, real: Mapping[str, Array], inputs: Mapping[str, Array]
) -> Array:
    """A value of the network in float as bytes."""
    port = next((port for port in program.ports if port.tensor == name), None)
    if port is not None:
        return encode(program, port, inputs[port.name])
    return program.tensor(name).encoding.encode(real[name])


def _results(trained: Trained, program: Program, real: Mapping[str, Array], value: Array, name: str) -> list[Array]:
    """What the integers of each head would be as numbers, in float from this value on."""
    network = trained.network
    before: dict[str, Array] = {v.name: real[v.name] for v in network.inputs}
    for node in network.nodes:
        if node.name in network.predicting:
            before[node.output.name] = real[node.output.name]
        if node.output.name == name:
            break
    before[name] = value.astype(np.float32)
    found = float_values(network, trained.parameters, before, after=name)
    return [found[ending.tensor] for ending in program.endings]


def _changed(truth: Array, said: Array) -> float | None:
    """The share of rows whose largest number is at another place."""
    if truth.ndim != 2 or truth.shape[1] < 2:
        return None
    return float((truth.argmax(axis=1) != said.argmax(axis=1)).mean())
