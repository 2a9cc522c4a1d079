"""Results in place: where a kernel is the last to read a tensor, and may overwrite it, its result takes that memory.

y = conv(x) + v    becomes    v += conv(x)

Only for kernels that one thread runs in a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from dslc.layout import Layout
from dslc.operation import ACTIVATION, Tensor
from dslc.plan import Kernel


def overwrite(kernels: Sequence[Kernel], layouts: Mapping[str, Layout], batch: int) -> tuple[Kernel, ...]:
    """The kernels of a row of phases with as many results in place as can be. A tensor that is overwritten is at least
    as large as what takes its memory, and of several the largest is taken."""
    roots: dict[Tensor, Tensor] = {}
    last: dict[Tensor, int] = {}
    for now, kernel in enumerate(kernels):
        if kernel.variant.is_alias:
            source = kernel.operation.reads[0]
            roots[kernel.operation.writes[0]] = roots.get(source, source)
        last.update((roots.get(t, t), now) for t in kernel.operation.reads)
    written = {t for kernel in kernels for t in kernel.operation.writes}

    def size(tensor: Tensor) -> int:
        return layouts[tensor.name].total(batch if tensor.batched else 1)

    def fits(tensor: Tensor, now: int, kernel: Kernel) -> bool:
        result, root = kernel.operation.writes[0], roots.get(tensor, tensor)
        others = [t for t in kernel.operation.reads if roots.get(t, t) == root]
        mine = root in written and root.role == ACTIVATION and last[root] == now and others == [tensor]
        return mine and result.role == ACTIVATION and size(tensor) >= size(result)

    def placed(now: int, kernel: Kernel) -> Kernel:
        variant, tensors = kernel.variant, dict.fromkeys((*kernel.operation.reads, *kernel.operation.writes))
        named = dict(zip(variant.arguments, tensors, strict=True))
        found = [name for name in variant.overwritable if fits(named[name], now, kernel)]
        if not found:
            return kernel
        largest = max(found, key=lambda name: size(named[name]))
        return replace(kernel, variant=variant.in_place_of(largest))

    return tuple(placed(now, kernel) for now, kernel in enumerate(kernels))
