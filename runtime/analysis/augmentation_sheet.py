"""A sheet of examples before and after augmentation, as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dslc.ir import Network, Node, Value
from dslc.language.diagnostics import DataError, UsageError
from dslc.layers import Mode
from dslc.runtime.data.arrays import as_inputs
from dslc.runtime.data.lazy import portions_of
from dslc.shape import show_shape

Array = np.ndarray[Any, Any]
FORMATS = ("png", "pdf", "svg", "jpg")
INCH = 0.9
"""The side of one image on the sheet."""


@dataclass(frozen=True)
class Chain:
    """Consecutive augmentation layers, each with its index in the network, and the value that the first one reads."""

    start: Value
    nodes: tuple[tuple[int, Node], ...] = ()

    @property
    def name(self) -> str:
        """The names of the layers, separated by commas."""
        return ", ".join(node.name for _, node in self.nodes)


@dataclass(frozen=True)
class Part:
    """The rows of one chain in a sheet. original: (n, h, w, c). draws: an array like it for each step, of smaller
    images after a crop. All are scaled so that the training set is between 0 and 1."""

    name: str
    original: Array
    draws: tuple[Array, ...]


def sheet(network: Network, x: Any, examples: int, draws: int, seed: int | None = None) -> list[Part]:
    """The first examples of the training set x (n, *input), and what each chain of augmentation layers makes of them in
    the first `draws` training steps if they come first in the mini-batch.

    The values are from the layers' NumPy references, which draw the same random numbers as the compiled network. A
    layer such as standardize before a chain is fitted on x.

    Raises:
        DataError: x does not fit, there is no augmentation, or what is augmented is not an image of 1 or 3 channels.
    """
    found = chains(network)
    if not found:
        raise DataError(f"{network.name} has no augmentation layer: add one after its input, such as shift(2)")
    if seed is None:
        seed = network.training.seed if network.training else 0
    inputs = as_inputs(network, x, network.dtype)
    by_name = {value.name: array for value, array in zip(network.inputs, inputs, strict=True)}
    return [_part(network, chain, by_name, examples, draws, seed) for chain in found]


def chains(network: Network) -> list[Chain]:
    """All maximal chains of augmentation layers."""
    ending: dict[str, Chain] = {}
    for place, node in enumerate(network.nodes):
        if node.layer.augments:
            (value,) = node.inputs
            before = ending.get(value.name, Chain(value))
            ending[node.output.name] = Chain(before.start, (*before.nodes, (place, node)))
    inner = {node.inputs[0].name for chain in ending.values() for _, node in chain.nodes}
    return [chain for name, chain in ending.items() if name not in inner]


def _part(network: Network, chain: Chain, inputs: dict[str, Array], examples: int, draws: int, seed: int) -> Part:
    if len(chain.start.shape) != 3 or chain.start.shape[2] not in (1, 3):
        shape = show_shape(chain.start.shape)
        raise DataError(f"{chain.name}: a sheet shows images of 1 or 3 channels, and {chain.start.name} is {shape}")
    before = network.producer(chain.start)
    x = inputs[chain.start.name if before is None else before.inputs[0].name]
    fitted = {} if before is None else before.layer.fitted((part, None) for part in portions_of(x))

    def seen(array: Array) -> Array:
        """The array as the first augmentation layer reads it."""
        return array if before is None else before.layer.reference((array,), fitted, Mode(training=True)).y

    low, high = (seen(edge(x, axis=(0, 1, 2), keepdims=True)) for edge in (np.min, np.max))
    width = np.where(high > low, high - low, 1)
    original = seen(x[:examples].astype(np.float64))
    drawn = (_augmented(chain, original, seed, step) for step in range(draws))
    return Part(chain.name, _shown(original, low, width), tuple(_shown(d, low, width) for d in drawn))


def _augmented(chain: Chain, x: Array, seed: int, step: int) -> Array:
    for place, node in chain.nodes:
        x = node.layer.reference((x,), {}, Mode(True, seed, step, place)).y
    return x


def _shown(x: Array, low: Array, width: Array) -> Array:
    return np.clip((x - low) / width, 0, 1)


def image_format(path: str) -> str:
    """The picture format that a file's name ends in, one of FORMATS.

    Raises:
        UsageError: the name ends in something else.
    """
    kind = Path(path).suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise UsageError(f"cannot draw {path}: its name must end in {', '.join('.' + name for name in FORMATS)}")
    return kind


def draw(title: str, parts: Sequence[Part], kind: str) -> bytes:
    """Draws the sheet as a picture of a format, `kind`: one row per example, with the original in the first column.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("a sheet needs matplotlib: pip install 'dslc[plots]'") from None
    columns = 1 + len(parts[0].draws)
    rows = sum(len(part.original) for part in parts)
    figure = Figure(figsize=(INCH * columns, INCH * rows + 0.6), layout="constrained")
    figure.suptitle(f"{title}: {'; '.join(part.name for part in parts)}", fontsize=9)
    axes = iter(figure.subplots(rows, columns, squeeze=False).flat)
    for part in parts:
        for example in range(len(part.original)):
            for column, images in enumerate((part.original, *part.draws)):
                cell = next(axes)
                cell.imshow(images[example], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                cell.set_axis_off()
                if example == 0:
                    cell.set_title(f"draw {column}" if column else "original", fontsize=8)
    picture = io.BytesIO()
    figure.savefig(picture, format=kind, dpi=150)
    return picture.getvalue()
