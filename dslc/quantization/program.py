"""A quantized network: its values, and the integer operations that compute them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from dslc.numerics import Array
from dslc.quantization.arithmetic import Encoding
from dslc.shape import Pair, Shape


@dataclass(frozen=True)
class Tensor:
    """A value of the network, in bytes."""

    name: str
    shape: Shape
    encoding: Encoding

    @property
    def elements(self) -> int:
        """Bytes of an example."""
        return prod(self.shape)


@dataclass(frozen=True)
class Window:
    """A window over an image (rows, columns, channels) and the image that comes of it; `before` is the padding above
    and on the left. A vector is an image of one pixel."""

    image: Shape
    result: Shape
    size: Pair = (1, 1)
    stride: Pair = (1, 1)
    before: Pair = (0, 0)
    dilation: Pair = (1, 1)

    @property
    def is_pixel(self) -> bool:
        """Whether every pixel of the image is a window."""
        return self.size == (1, 1) and self.stride == (1, 1) and self.image[:2] == self.result[:2]


@dataclass(frozen=True)
class Operation:
    """Computes the value y of the values `reads`, all by name."""

    name: str
    reads: tuple[str, ...]
    y: str


@dataclass(frozen=True, eq=False)
class Product(Operation):
    """A convolution, or with a window of one pixel a dense layer. `weight` (filters, rows, columns, channels / groups)
    in int8; the sum begins with `bias` (filters,) in int32, in which -zero * sum(weight) of the input's zero is
    contained, so padding is pixels with the zero. Then the `multiplier` (filters,) and the shift bring it to the
    encoding of y."""

    window: Window
    groups: int
    weight: Array
    bias: Array
    multiplier: Array
    shift: int

    @property
    def depth(self) -> int:
        """How many products make a sum."""
        return int(self.weight[0].size)

    @property
    def depthwise(self) -> bool:
        """Whether every channel has one filter of its own."""
        return self.groups == self.window.image[2] == len(self.weight) and self.groups > 1

    @property
    def bytes(self) -> int:
        """What its constants take."""
        return int(self.weight.nbytes + self.bias.nbytes + self.multiplier.nbytes)


@dataclass(frozen=True, eq=False)
class MaxPool(Operation):
    """The largest number of each window, as in float: y has the encoding of x."""

    window: Window


@dataclass(frozen=True, eq=False)
class AveragePool(Operation):
    """The sum of each window without the zeros, times the multiplier of how many numbers count, `multiplier`
    (1 + the most,). `counted`: rows and columns that count, see `PoolDetail`; None where only pixels do."""

    window: Window
    counted: Pair | None
    multiplier: Array
    shift: int


@dataclass(frozen=True, eq=False)
class Sum(Operation):
    """bias + the values times their multipliers, as many as there are: `add` and `subtract`."""

    multiplier: Array
    bias: int
    shift: int


@dataclass(frozen=True, eq=False)
class Concat(Operation):
    """Values side by side in the channels, each in y's encoding after its multiplier, bias and shift."""

    multiplier: Array
    bias: Array
    shift: int


@dataclass(frozen=True, eq=False)
class Lookup(Operation):
    """y = table[x], uint8 (256,): an activation."""

    table: Array


@dataclass(frozen=True, eq=False)
class Port:
    """How an input becomes bytes: q = floor(x * gain + offset), a gain (float32) and an offset (float64) for each
    channel, or one for all; with what standardize does in it."""

    name: str
    tensor: str
    gain: Array
    offset: Array


@dataclass(frozen=True)
class Ending:
    """What a head reads, and the layers behind it that are computed in float, by name."""

    head: str
    tensor: str
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """A quantized network."""

    ports: tuple[Port, ...]
    tensors: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    endings: tuple[Ending, ...]

    def tensor(self, name: str) -> Tensor:
        """The tensor of a name."""
        return next(t for t in self.tensors if t.name == name)

    @property
    def bits(self) -> int:
        """The bits of an activation: 8 or 7."""
        return 7 if self.tensors[0].encoding.high == 127 else 8

    @property
    def multiply_adds(self) -> int:
        """Products of an example."""
        products = (op for op in self.operations if isinstance(op, Product))
        return sum(op.weight.size * prod(op.window.result[:2]) for op in products)

    @property
    def constant_bytes(self) -> int:
        """What weights, biases, multipliers and tables take."""
        arrays = (a for op in self.operations for a in vars(op).values() if hasattr(a, "nbytes"))
        return sum(int(a.nbytes) for a in arrays)
