"""Rounding to 8-bit integers as ONNX operators: QuantizeLinear and DequantizeLinear, which runtimes and compilers for
accelerators recognize."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.export.onnx.place import Form, GraphParts, Place
from dslc.layers._fake_quantize import steps_of
from dslc.numerics import Array, np


def rounded(parts: GraphParts, name: str, x: str, scale: float, zero: int) -> str:
    """x as the nearest of scale * (q - zero) with q from 0 to 255."""
    about = (
        parts.constant(f"{name}/scale", np.array(scale, np.float32)),
        parts.constant(f"{name}/zero", np.array(zero, np.uint8)),
    )
    (q,) = parts.op(f"{name}/QuantizeLinear", "QuantizeLinear", (x, *about))
    return parts.op(f"{name}/DequantizeLinear", "DequantizeLinear", (q, *about))[0]


def dequantized(parts: GraphParts, name: str, q: Array, scales: Array) -> str:
    """Whole numbers (units, ...) times the scale of each unit: weights in int8, biases in int32."""
    about = (parts.constant(name, q), parts.constant(f"{name}/scale", np.asarray(scales, np.float32)))
    return parts.op(f"{name}/DequantizeLinear", "DequantizeLinear", about, axis=0)[0]


def _fake_quantize(at: Place) -> str:
    """A range that nothing was seen for does not round."""
    step, zero = steps_of(at.parameters["range"])
    return rounded(at.parts, at.node.name, at.x[0], step, int(zero)) if step else at.x[0]


FORMS: Mapping[str, Form] = {"fake_quantize": _fake_quantize}
"""By the name of the layer."""
