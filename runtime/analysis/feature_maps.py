"""What a network sees: the weights of its first layer as pictures, and what the layers make of one example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dslc.ir import Network, Node
from dslc.layers import Mode
from dslc.runtime.analysis.pictures import as_png

Array = np.ndarray[Any, Any]
MOST = 32
"""So many filters of the first layer, and channels of a layer, are drawn."""
STAGES = 6
"""So many layers are drawn at most, those nearest to the input."""
MOST_WORK = 300_000_000
"""Multiply-adds of one example that are worth computing for a picture."""


@dataclass(frozen=True)
class Tiles:
    """Pictures of equal size in rows, as one PNG. `layer`: whose they are; `shape`: of one, without enlargement."""

    layer: str
    shape: tuple[int, int]
    count: int
    png: bytes


def first_filters(network: Network, weights: Mapping[str, Array]) -> Tiles | None:
    """The filters of a conv, or the weights of the units of a dense layer, if it is what reads an image; else None.

    Each is scaled by itself, symmetrically, so that 0 is the same gray in all. A filter of three channels is in color.

    Raises:
        UsageError: Pillow is not installed.
    """
    shape, weight = network.inputs[0].shape, next((p for p in network.parameters if p.decays), None)
    if weight is None or len(network.inputs) > 1 or len(shape) != 3:
        return None
    found = weights[weight.name].astype(np.float64)
    if found.ndim == 2 and found.size // found.shape[weight.units] == np.prod(shape):
        images = np.moveaxis(found, weight.units, 0).reshape(-1, *shape)
    elif found.ndim == 4:
        images = np.moveaxis(found, weight.units, 0)
    else:
        return None
    if images.shape[-1] != 3:
        images = np.moveaxis(images, -1, 1).reshape(-1, *images.shape[1:3], 1)
    images = images[:MOST]
    largest = np.abs(images).max(axis=(1, 2, 3), keepdims=True)
    return _tiles(weight.name, images / np.where(largest, 2 * largest, 1) + 0.5)


def activations(network: Network, weights: Mapping[str, Array], x: Array) -> tuple[Tiles, ...]:
    """The channels that layers make of one example x (1, height, width, channels), the brightest being the largest
    number of its layer. Computed with the NumPy references, as far as that is little work.

    Raises:
        UsageError: Pillow is not installed.
    """
    if len(network.inputs) > 1 or len(network.inputs[0].shape) != 3:
        return ()
    values, work, shown = {network.inputs[0].name: x.astype(np.float64)}, 0, []
    for place, node in enumerate(network.nodes):
        work += node.layer.multiply_adds(node.input_shapes)
        if len(node.output.shape) != 3 or work > MOST_WORK:
            break
        own = {p.name.removeprefix(f"{node.name}."): weights[p.name].astype(np.float64) for p in node.parameters}
        y = node.layer.reference(tuple(values[v.name] for v in node.inputs), own, Mode(training=False)).y
        values[node.output.name] = y
        if _is_last_of_its_size(network, place) and y.shape[1] * y.shape[2] > 1:
            shown.append((node, y[0]))
    return tuple(_maps(node, y) for node, y in shown[:STAGES])


def _is_last_of_its_size(network: Network, place: int) -> bool:
    """Whether the next layer has another size or parameters: of conv -> relu the latter is shown."""
    node, *after = network.nodes[place : place + 2]
    return not after or after[0].output.shape != node.output.shape or bool(after[0].parameters)


def _maps(node: Node, y: Array) -> Tiles:
    maps = np.moveaxis(y, -1, 0)[:MOST, :, :, None]
    low, high = float(maps.min()), float(maps.max())
    return _tiles(node.name, (maps - low) / (high - low or 1.0))


def _tiles(layer: str, images: Array) -> Tiles:
    """Numbers from 0 to 1, (n, height, width, 1 or 3), in rows with a pixel between."""
    count, height, width, channels = images.shape
    across = min(count, 16 if width <= 16 else 8)
    rows = -(-count // across)
    page = np.full((rows * (height + 1) - 1, across * (width + 1) - 1, channels), 1.0)
    for i, image in enumerate(images):
        top, left = i // across * (height + 1), i % across * (width + 1)
        page[top : top + height, left : left + width] = image
    enlarged = max(1, min(8, 640 // page.shape[1]))
    page = page.repeat(enlarged, axis=0).repeat(enlarged, axis=1)
    return Tiles(layer, (height, width), count, as_png(np.round(page * 255).astype(np.uint8), max(page.shape)))
