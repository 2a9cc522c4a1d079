"""The inputs of a quantized network in C: numbers, and images as they are stored, to bytes."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.export.interface import Interface
from dslc.export.network import Trained
from dslc.numerics import Array, np
from dslc.operation import identifier
from dslc.quantization.constants import Constant, constant
from dslc.quantization.memory import Memory
from dslc.quantization.program import Port, Program
from dslc.quantization.reference import encode

IMAGE_CHANNELS = 4
"""Images with up to so many channels have a table each from stored bytes to ours."""


@dataclass(frozen=True)
class Given:
    """An input: its arrays in C, of numbers (`name`) and of bytes (`quantized`), the constants that begin with `id`,
    and how many numbers these are for each of. `shifts`: something is subtracted in double precision first. `at` is
    where its bytes are in the memory."""

    name: str
    quantized: str
    id: str
    constant: str
    elements: int
    shape: str
    channels: int
    shifts: bool
    note: str
    at: str


@dataclass(frozen=True)
class Image:
    """The only input, whose numbers are stored bytes: the table from these to ours, empty where they are the same, and
    where it writes."""

    table: str
    channels: int
    elements: int
    at: str


def givens(program: Program, trained: Trained, interface: Interface, memory: Memory) -> list[Given]:
    """The inputs in their order."""
    by_name = {port.name: port for port in program.ports}
    found = []
    for value, array in zip(trained.network.inputs, interface.inputs, strict=True):
        port = by_name[value.name]
        encoding = program.tensor(port.tensor).encoding
        plain = port.gain.size == 1
        note = f": {encoding.scale:.6g} * (q - {encoding.zero})" if plain else ", which standardizes them"
        found.append(
            Given(array.name, f"{array.name}_bytes", identifier(value.name), array.constant, array.elements,
                  array.shape, int(port.gain.size), value.name in trained.offsets, note,
                  at_offset("at", memory.offsets[port.tensor]))
        )  # fmt: skip
    return found


def given_constants(program: Program, trained: Trained, ports: list[Given]) -> list[Constant]:
    """Gains and offsets."""
    found: list[Constant] = []
    by_name = {port.name: port for port in program.ports}
    for value, given in zip(trained.network.inputs, ports, strict=True):
        port = by_name[value.name]
        found.append(constant(f"{given.id}_gain", port.gain))
        found.append(constant(f"{given.id}_offset", port.offset))
        if given.shifts:
            found.append(constant(f"{given.id}_subtracted", np.array(trained.offsets[value.name], np.float64)))
    return found


def stored_image(program: Program, trained: Trained, memory: Memory) -> tuple[Image, Constant | None] | None:
    """For a network whose only input is an image of up to IMAGE_CHANNELS channels: how stored bytes become ours."""
    network = trained.network
    (value, *others) = network.inputs
    if others or len(value.shape) != 3 or value.shape[2] > IMAGE_CHANNELS or trained.offsets:
        return None
    (port,) = program.ports
    table = image_table(program, port, trained.images.scale)
    at = at_offset("(uint8_t *)memory", memory.offsets[port.tensor])
    if all(np.array_equal(row, np.arange(256)) for row in table):
        return Image("", len(table), value.elements, at), None
    name = "stored_pixels"
    return Image(name, len(table), value.elements, at), constant(name, table, "From stored bytes to ours.")


def image_table(program: Program, port: Port, scale: bool) -> Array:
    """For each channel that is encoded apart the bytes (channels, 256) of 0 to 255, divided by 255 if `scale`."""
    stored = np.arange(256, dtype=np.float32)
    numbers = stored / np.float32(255) if scale else stored
    channels = port.gain.size
    return np.ascontiguousarray(encode(program, port, np.repeat(numbers[:, None], channels, axis=1)).T)


def at_offset(base: str, offset: int) -> str:
    """`base + offset` in C."""
    return f"{base} + {offset}" if offset else base
