"""The tools that kernels call: vectors, functions of one number, products, transforms, threads."""

from __future__ import annotations

from dataclasses import dataclass

from dslc.codegen.functions import Functions
from dslc.codegen.templating import render
from dslc.plan import Plan


@dataclass(frozen=True)
class Stage:
    """One stage of a transposition: which numbers of two rows, of the first 0.., of the second lanes.., are taken."""

    distance: int
    first: tuple[int, ...]
    second: tuple[int, ...]


def transpose_stages(lanes: int) -> list[Stage]:
    """How a square of vectors is transposed: in stage d the off-diagonal squares of d x d numbers are swapped."""
    distances = [1 << i for i in range(lanes.bit_length() - 1)]
    return [
        Stage(
            d,
            tuple(lanes + i - d if i & d else i for i in range(lanes)),
            tuple(lanes + i if i & d else i + d for i in range(lanes)),
        )
        for d in distances
    ]


def tools(plan: Plan, functions: Functions, shares: bool, own_barriers: bool = False) -> str:
    """The C of the tools that these functions need. `shares`: some work is shared by threads of the pool in it.
    `own_barriers`: the file defines those of its threads itself."""
    single, lanes = plan.itemsize == 4, plan.target.lanes(plan.itemsize)
    context = {
        "real": "float" if single else "double",
        "integer": "int32_t" if single else "int64_t",
        "lanes": lanes,
        "vector_bytes": lanes * plan.itemsize,
        "products": sorted(functions.products),
        "transforms": sorted(functions.transforms),
        "largest_square": max((t.elements**2 for t in functions.transforms), default=0),
        "max_rows": max((p.rows for p in functions.products), default=1),
        "most_vectors": max((p.vectors for p in functions.products), default=1),
        "transpose_stages": transpose_stages(lanes),
        "single": single,
        "shares": shares,
        "own_barriers": own_barriers,
        "f": "f" if single else "",
    }
    return render("tools.c.j2", context, single)
