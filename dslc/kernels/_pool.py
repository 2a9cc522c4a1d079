"""How the kernels of pooling layers walk over images: the pixels of a window, and the tasks that threads share."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dslc.kernels import Setting, detail
from dslc.layers._pooling import PoolDetail
from dslc.operation import Operation, Tensor

MAX_PIXELS = 16
"""A window of up to this many pixels is unrolled by the C compiler instead of being looped over."""
BLOCK = 128
"""Numbers of a pixel that are summed or compared at a time if windows are large."""
ENOUGH_TASKS = 8
"""If the mini-batch gives fewer tasks than this, channels are split as well. The number of threads must not matter
here, because it must not change the C."""

WHOLE_SIZES = ("pixels", "depth", "blocks")
"""What may differ between pools of whole images that are one function."""


@dataclass(frozen=True)
class Pool:
    """A pooling layer over images with `depth` contiguous numbers in each pixel.

    A task (`each`) is a row of windows, one window, or all windows of an image; and `block` numbers of every pixel.
    """

    d: PoolDetail
    images: str
    depth: int
    block: int
    each: str = "image"

    # ------------------------------------------------------------------------------------------- places

    @property
    def row(self) -> int:
        """Numbers in a row of pixels."""
        return self.d.input[1] * self.depth

    @property
    def image(self) -> int:
        """Numbers in an image."""
        return self.d.input[0] * self.row

    @property
    def result(self) -> str:
        """Where the result of a window is stored, as a C expression."""
        line = self.d.output[1] * self.depth
        if self.each == "window":
            return f"task{_over(self.blocks)} * {self.depth}{self.first}"
        row = f"task{_over(self.blocks)}" if self.each == "row" else f"(i * {self.d.output[0]} + row)"
        return f"{row} * {line} + column * {self.depth}{self.first}"

    @property
    def first(self) -> str:
        """What is added to the offset of a pixel, as C text: the first number of the block."""
        return " + first" if self.blocks > 1 else ""

    @property
    def blocks(self) -> int:
        """Blocks in a pixel."""
        return -(-self.depth // self.block)

    @property
    def width(self) -> str:
        """How many numbers of a pixel a task takes, as a C expression."""
        return "width" if self.depth % self.block else str(self.block)

    # ------------------------------------------------------------------------------------------- tasks

    @property
    def tasks(self) -> str:
        """The number of tasks, as a C expression."""
        rows, columns = self._axes
        count = rows * columns * self.blocks
        return f"(int64_t){self.images} * {count}" if count > 1 else self.images

    @property
    def task(self) -> str:
        """What the number `task` stands for, as C declarations: image `i`, `row`, `column`, and `first`, the number of
        a pixel that the block begins with."""
        rows, columns = self._axes
        parts = [f"i = task{_over(rows * columns * self.blocks)}"]
        if rows > 1 or self.each == "row":
            parts.append(f"row = task{_over(columns * self.blocks)} % {rows}" if rows > 1 else "row = 0")
        if columns > 1:
            parts.append(f"column = task{_over(self.blocks)} % {columns}")
        if self.blocks > 1:
            parts.append(f"first = task % {self.blocks} * {self.block}")
        return ", ".join(parts)

    @property
    def _axes(self) -> tuple[int, int]:
        """Rows and columns of windows that different tasks take."""
        rows, columns, _ = self.d.output
        return (1 if self.each == "image" else rows, columns if self.each == "window" else 1)

    # ------------------------------------------------------------------------------------------- whole images

    @property
    def whole(self) -> bool:
        """Whether the only window is the image."""
        return self.d.output[:2] == (1, 1) and self.d.before == (0, 0) and self.d.size == self.d.input[:2]

    @property
    def of_images(self) -> dict[str, object]:
        """The context of the templates for whole images. Only a single block, of constant length, has a constant
        depth: its loop is as fast as the compiler can make it."""
        several = self.blocks > 1
        depth = {"depth": self.depth, "blocks": self.blocks} if several else {}
        return {
            "images": self.images, "several": several, "pixels": self.d.input[0] * self.d.input[1],
            "block": self.block, "width": self.width, **depth,
        }  # fmt: skip

    # ------------------------------------------------------------------------------------------- windows

    @property
    def bounds(self) -> tuple[str, str]:
        """The rows and the columns of a window, as C declarations, clipped to the image."""
        return self._bounds(0, "row", "top", "r"), self._bounds(1, "column", "left", "s")

    def _bounds(self, axis: int, position: str, start: str, name: str) -> str:
        size, stride, before, end = (a[axis] for a in (self.d.size, self.d.stride, self.d.before, self.d.input))
        if self.d.output[axis] == 1:
            return f"{name}0 = 0, {name}1 = {min(size - before, end)}"
        if self.inside:
            return f"{name}0 = {position} * {stride}, {name}1 = {name}0 + {size}"
        after = f"{start} + {size}"
        return (
            f"{start} = {position} * {stride}{f' - {before}' if before else ''}, "
            f"{name}0 = {start} < 0 ? 0 : {start}, {name}1 = {after} < {end} ? {after} : {end}"
        )

    @property
    def share(self) -> str:
        """How many places count for the mean of a window, as a C expression."""
        return " * ".join(self._count(axis, *names) for axis, names in enumerate((("top", "r"), ("left", "s"))))

    def _count(self, axis: int, start: str, name: str) -> str:
        size, before, counted = self.d.size[axis], self.d.before[axis], self.d.counted
        if counted is None:
            return f"({name}1 - {name}0)"
        end = counted[axis]
        if self.d.output[axis] == 1:
            return str(min(size, end + before))
        if (self.d.output[axis] - 1) * self.d.stride[axis] - before + size <= end:
            return str(size)
        return f"({start} + {size} < {end} ? {size} : {end} - {start})"

    @property
    def small(self) -> bool:
        """Whether all windows have the same few pixels, and there are several windows."""
        return self.inside and self.area <= MAX_PIXELS and self.d.output[:2] != (1, 1)

    @property
    def area(self) -> int:
        """Pixels in a window, padding included."""
        return self.d.size[0] * self.d.size[1]

    @property
    def inside(self) -> bool:
        """Whether no window crosses the edge."""
        return self.d.before == (0, 0) and self.reach[0] <= self.d.input[0] and self.reach[1] <= self.d.input[1]

    @property
    def overwritable(self) -> tuple[str, ...]:
        """The images, where a window begins no earlier in them than its result in the results."""
        return ("in",) if self.inside else ()

    @property
    def apart(self) -> bool:
        """Whether no two windows overlap."""
        return all(
            stride >= size or count == 1
            for stride, size, count in zip(self.d.stride, self.d.size, self.d.output[:2], strict=True)
        )

    @property
    def gaps(self) -> tuple[bool, bool]:
        """Whether there are uncovered pixels between two rows of windows, and between two columns."""
        rows, columns = (
            stride > size and count > 1
            for stride, size, count in zip(self.d.stride, self.d.size, self.d.output[:2], strict=True)
        )
        return rows, columns

    @property
    def covers(self) -> bool:
        """Whether every pixel is in a window."""
        return not any(self.gaps) and all(r >= size for r, size in zip(self.reach, self.d.input[:2], strict=True))

    @property
    def reach(self) -> tuple[int, int]:
        """The rows and columns up to the last that a window covers, if the image has that many."""
        rows, columns = (
            (self.d.output[axis] - 1) * self.d.stride[axis] + self.d.size[axis] - self.d.before[axis] for axis in (0, 1)
        )
        return rows, columns


def _over(count: int) -> str:
    return f" / {count}" if count > 1 else ""


def forward(op: Operation, setting: Setting, x: Tensor, y: Tensor) -> Pool:
    """For the pooling from x to y: tasks are rows of small windows, else single windows."""
    whole = _whole(op, setting, x, y)
    if not whole.small:
        return replace(whole, block=min(BLOCK, whole.depth), each="window")
    return _cut(replace(whole, each="row"), setting)


def backward(op: Operation, setting: Setting, dx: Tensor, dy: Tensor) -> Pool:
    """The same if windows do not overlap; else tasks are images, whose windows are handled in order, because their
    gradients are added to the same pixels."""
    whole = _whole(op, setting, dx, dy)
    if whole.apart and (whole.small or whole.covers):
        return forward(op, setting, dx, dy)
    return _cut(whole, setting) if whole.small else replace(whole, block=min(BLOCK, whole.depth))


def _whole(op: Operation, setting: Setting, image: Tensor, result: Tensor) -> Pool:
    assert setting.layout(result).examples == setting.layout(image).examples, op.name
    depth = setting.depth(image)
    return Pool(detail(op, PoolDetail), setting.images(image), depth, depth)


def _cut(pool: Pool, setting: Setting) -> Pool:
    """With the largest blocks of whole cache lines that divide a pixel and give enough tasks."""
    images = -(-setting.batch * pool.d.input[2] // pool.depth)
    tasks = images * (pool.d.output[0] if pool.each == "row" else 1)
    line = 64 // setting.itemsize
    blocks = [b for b in range(pool.depth, line - 1, -1) if pool.depth % b == 0 and b % line == 0]
    enough = [b for b in blocks if tasks * (pool.depth // b) >= ENOUGH_TASKS]
    return replace(pool, block=(enough or blocks[-1:] or [pool.depth])[0])
