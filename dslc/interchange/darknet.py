"""Classifiers of Darknet as layers: what parser.c of Darknet makes of each section of a .cfg, with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from dslc.interchange.darknet_file import Numbers, Section
from dslc.interchange.draft import Draft
from dslc.interchange.operators.windows import padding
from dslc.interchange.translate import End, Translated
from dslc.interchange.values import Flowing, Lacking
from dslc.language.diagnostics import DataError
from dslc.numerics import Array, np
from dslc.shape import Shape, Window, show_shape

BATCHNORM_EPS = 1e-12
"""Darknet divides by sqrt(variance) + 1e-6: the same as sqrt(v + eps) with v = variance + 2e-6 sqrt(variance)."""
ACTIVATIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "elu": ("elu", {}), "leaky": ("leaky_relu", {"alpha": 0.1}), "logistic": ("sigmoid", {}), "mish": ("mish", {}),
    "relu": ("relu", {}), "relu6": ("relu6", {}), "selu": ("selu", {}), "swish": ("silu", {}), "tanh": ("tanh", {}),
}  # fmt: skip
ENDS = ("cost",)
"""Sections that do nothing at prediction."""


def translated_darknet(sections: tuple[Section, ...], numbers: Numbers, size: Shape | None = None) -> Translated:
    """The layers of a network. size: that of an image, in place of the .cfg's.

    Raises:
        DataError: the language lacks a section, or the numbers are not as many as there are parameters.
    """
    if not sections or sections[0].kind not in ("net", "network"):
        raise DataError("the .cfg does not begin with [net], which says the size of the input")
    first = sections[0]
    shape = size or (first.whole("height", 0), first.whole("width", 0), first.whole("channels", 0))
    if len(shape) != 3 or min(shape) < 1 or prod(shape) > 1 << 27:
        raise first.wrong(f"the input has no height, width and channels: {show_shape(shape)}; --size says it")
    draft = Draft({"image": shape})
    reader = _Reader(draft, numbers, "image")
    for section in sections[1:]:
        if section.kind in ENDS:
            reader.results.append(reader.now)
            continue
        layer = LAYERS.get(section.kind)
        if layer is None:
            raise section.wrong("the language has nothing for it; classifiers are imported")
        try:
            layer(reader, section)
        except Lacking as lacking:
            raise section.wrong(str(lacking)) from None
        reader.results.append(reader.now)
    numbers.require_end()
    if not draft.steps:
        raise DataError("the .cfg has no layers")
    given = Flowing("image", shape, _in_order(shape))
    end = End("out", Flowing(reader.now, reader.shape, _in_order(reader.shape)))
    return Translated({"image": given}, tuple(draft.needed((reader.now,))), (end,), ())


def _in_order(shape: Shape) -> Array:
    return np.arange(prod(shape), dtype=np.int32).reshape(shape)


@dataclass
class _Reader:
    """`now` is the value that flows, `results` those of all sections behind the first."""

    draft: Draft
    numbers: Numbers
    now: str
    results: list[str] = field(default_factory=list)

    @property
    def shape(self) -> Shape:
        """Of the value that flows."""
        return self.draft.shapes[self.now]

    def emit(self, kind: str, *others: str, parameters: Mapping[str, Array] | None = None, **arguments: Any) -> None:
        """A layer on the value that flows and others."""
        self.now = self.draft.emit(kind, (self.now, *others), parameters, **arguments).result

    def activate(self, section: Section, usual: str) -> None:
        """The activation that a section names."""
        name = section.options.get("activation", usual)
        if name == "linear":
            return
        if name not in ACTIVATIONS:
            raise section.wrong(f"the language has no activation {name}")
        kind, arguments = ACTIVATIONS[name]
        self.emit(kind, **arguments)

    def earlier(self, section: Section, place: int) -> str:
        """The result of another section, counted from here if it is negative."""
        at = place + len(self.results) if place < 0 else place
        if not 0 <= at < len(self.results):
            raise section.wrong(f"there is no layer {place}")
        return self.results[at]


def _statistics(reader: _Reader, section: Section, filters: int) -> dict[str, Array]:
    gamma, mean, var = (reader.numbers.take(section, what, filters) for what in ("scales", "means", "variances"))
    wide = np.maximum(var, 0).astype(np.float64)
    return {"gamma": gamma, "mean": mean, "var": (wide + 2e-6 * np.sqrt(wide)).astype(np.float32)}


def _batchnorm(reader: _Reader, known: Mapping[str, Array], bias: Array) -> None:
    reader.emit("batchnorm", parameters={**known, "beta": bias}, eps=BATCHNORM_EPS)


def _convolutional(reader: _Reader, section: Section) -> None:
    """Biases, with batch_normalize scales, means and variances, then filters (filters, channels / groups, rows,
    columns)."""
    filters, size, stride = (section.whole(n, 1) for n in ("filters", "size", "stride"))
    pad = size // 2 if section.whole("pad", 0) else section.whole("padding", 0)
    groups, dilation = section.whole("groups", 1), section.whole("dilation", 1)
    if min(filters, size, stride, groups, dilation) < 1 or pad < 0:
        raise section.wrong("filters, size, stride, groups and dilation are at least 1")
    if dilation != 1:
        raise section.wrong("dilated filters are not imported")
    if len(reader.shape) != 3 or reader.shape[2] % groups or filters % groups:
        raise section.wrong(f"{filters} filters in {groups} groups do not fit {show_shape(reader.shape)}")
    normal = bool(section.whole("batch_normalize", 0))
    bias = reader.numbers.take(section, "biases", filters)
    known = _statistics(reader, section, filters) if normal else {}
    weights = reader.numbers.take(section, "filters", filters, reader.shape[2] // groups, size, size)
    given = {"weight": np.ascontiguousarray(weights.transpose(2, 3, 1, 0))}
    window = Window((size, size), (stride, stride), (pad, pad))
    arguments = {"filters": filters, "size": (size, size), "stride": (stride, stride), "groups": groups,
                 "pad": padding(((pad, pad), (pad, pad)), window), "bias": not normal}  # fmt: skip
    reader.emit("conv", parameters=given if normal else {**given, "bias": bias}, **arguments)
    if normal:
        _batchnorm(reader, known, bias)
    reader.activate(section, "logistic")


def _connected(reader: _Reader, section: Section) -> None:
    """Biases, weights (outputs, inputs), then with batch_normalize scales, means and variances. Inputs count with the
    channels first."""
    units, inputs = section.whole("output", 1), prod(reader.shape)
    if units < 1:
        raise section.wrong("output is at least 1")
    bias = reader.numbers.take(section, "biases", units)
    stored = (inputs, units) if reader.numbers.transposed else (units, inputs)
    weights = reader.numbers.take(section, "weights", *stored)
    weights = weights.T if reader.numbers.transposed else weights
    normal = bool(section.whole("batch_normalize", 0))
    known = _statistics(reader, section, units) if normal else {}
    if len(reader.shape) > 1:
        rows, columns, channels = reader.shape
        weights = weights.reshape(units, channels, rows, columns).transpose(0, 2, 3, 1).reshape(units, inputs)
        reader.emit("flatten")
    given = {"weight": np.ascontiguousarray(weights)}
    reader.emit("dense", parameters=given if normal else {**given, "bias": bias}, units=units, bias=not normal)
    if normal:
        _batchnorm(reader, known, bias)
    reader.activate(section, "logistic")


def _maxpool(reader: _Reader, section: Section) -> None:
    """`padding` is that of both sides together; the side before has the smaller half."""
    stride = section.whole("stride", 1)
    size = section.whole("size", stride)
    both = section.whole("padding", size - 1)
    if min(size, stride) < 1 or both < 0 or len(reader.shape) != 3:
        raise section.wrong("size and stride are at least 1, and its input is an image")
    before = both // 2
    sides = []
    for length in reader.shape[:2]:
        count = (length + both - size) // stride + 1
        sides.append((before, max(0, (count - 1) * stride + size - length - before)))
    top, left = sides
    window = Window((size, size), (stride, stride), (top, left))
    pad = padding((top, left), window)
    reader.emit("maxpool", size=(size, size), stride=None if stride == size else (stride, stride),
                pad=0 if pad == "valid" else pad)  # fmt: skip


def _shortcut(reader: _Reader, section: Section) -> None:
    """The sum with an earlier result of the same size."""
    (place, *more) = section.wholes("from")
    other = reader.earlier(section, place)
    if more or reader.draft.shapes[other] != reader.shape:
        raise section.wrong("it adds layers of different sizes, or more than two")
    reader.emit("add", other)
    reader.activate(section, "linear")


def _route(reader: _Reader, section: Section) -> None:
    """The channels of earlier results side by side."""
    if section.whole("groups", 1) != 1:
        raise section.wrong("it takes a part of the channels")
    found = [reader.earlier(section, place) for place in section.wholes("layers")]
    reader.now = found[0]
    if len(found) > 1:
        reader.emit("concat", *found[1:])


def _softmax(reader: _Reader, section: Section) -> None:
    """Over all numbers of an example."""
    if section.whole("groups", 1) != 1 or prod(reader.shape) != reader.shape[-1]:
        raise section.wrong("it is over groups, or over more than one pixel")
    if len(reader.shape) > 1:
        reader.emit("flatten")
    reader.emit("softmax")


def _dropout(reader: _Reader, section: Section) -> None:
    rate = section.real("probability", 0.5)
    if not 0 <= rate < 1:
        raise section.wrong("probability is from 0 to below 1")
    reader.emit("dropout", rate=rate)


LAYERS: Mapping[str, Callable[[_Reader, Section], None]] = {
    "avgpool": lambda reader, _: reader.emit("global_avgpool"),
    "conv": _convolutional,
    "convolutional": _convolutional,
    "connected": _connected,
    "dropout": _dropout,
    "max": _maxpool,
    "maxpool": _maxpool,
    "route": _route,
    "shortcut": _shortcut,
    "soft": _softmax,
    "softmax": _softmax,
}
"""By the name of the section."""
