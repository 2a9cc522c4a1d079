"""Layers that pass numbers on, or put them in another order, as ONNX operators."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.export.onnx.place import Form, Place, axes_of, channels_to_end, channels_to_front


def _same(at: Place) -> str:
    """What only training does leaves no trace."""
    return at.x[0]


def _reshape(at: Place) -> str:
    """The language counts numbers with the channels last."""
    (x,) = at.x
    if len(at.shape) > 1:
        x = at.op("Transpose", x, perm=channels_to_end(at.shape))
    x = at.reshaped(x, "size", *at.result)
    return at.op("Transpose", x, perm=channels_to_front(at.result)) if len(at.result) > 1 else x


def _channel_shuffle(at: Place) -> str:
    groups, (*pixels, channels) = at.layer.groups, at.shape
    apart = at.reshaped(at.x[0], "groups", groups, channels // groups, *pixels)
    swapped = at.op("Transpose", apart, perm=[0, 2, 1, *range(3, 3 + len(pixels))])
    return at.reshaped(swapped, "whole", *axes_of(at.shape))


def _space_to_depth(at: Place) -> str:
    return at.op("SpaceToDepth", *at.x, blocksize=at.layer.block)


def _depth_to_space(at: Place) -> str:
    return at.op("DepthToSpace", *at.x, blocksize=at.layer.block, mode="DCR")


def _slice(at: Place) -> str:
    return at.part(at.x[0], (at.layer.start,), (at.layer.end,), (1,))


FORMS: Mapping[str, Form] = {
    "channel_shuffle": _channel_shuffle,
    "depth_to_space": _depth_to_space,
    "flatten": _reshape,
    "reshape": _reshape,
    "slice": _slice,
    "space_to_depth": _space_to_depth,
    **dict.fromkeys(
        ("alpha_dropout", "drop_path", "dropout", "flip", "linear", "noise", "rotate", "shift", "spatial_dropout"),
        _same,
    ),
}
"""By the name of the layer."""
