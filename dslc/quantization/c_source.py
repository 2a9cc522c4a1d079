"""A quantized network as C: NAME.h and NAME.c."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from dslc.codegen.c_source import CSource
from dslc.codegen.summary import version
from dslc.codegen.templating import render
from dslc.codegen.text import in_comment, tidy
from dslc.export.interface import interface_of
from dslc.export.network import Trained
from dslc.quantization.calls import body
from dslc.quantization.endings import ending_in_c
from dslc.quantization.memory import place
from dslc.quantization.ports import at_offset, given_constants, givens, stored_image
from dslc.quantization.program import Program
from dslc.target import Target

CHUNK = 16
"""Channels that a depthwise convolution sums at a time in plain C."""
GATHERED, TILE_ROWS = 12, 6
"""Windows that are gathered at a time, and rows of a tile, where there are vectors."""


@dataclass(frozen=True)
class Printed:
    """Both files, the most examples of a call, and the bytes of memory that it works in."""

    prefix: str
    header: str
    code: str
    batch: int
    memory_bytes: int

    @property
    def source(self) -> CSource:
        """For a module of Python."""
        declared = re.sub(r"/\*.*?\*/", "", self.header, flags=re.DOTALL)
        functions = re.findall(r"^(?:int|const char \*)\s*\w+\([^;]*;", declared, re.MULTILINE)
        code = self.code.replace(f'#include "{self.prefix}.h"', self.header)
        return CSource(self.prefix, "\n".join(functions), code)


def lanes_of(target: Target) -> int:
    """Sums in a vector, 1 for plain C: only the vectors of x86-64 have kernels of their own."""
    return target.vector_bytes // 4 if target.machine == "x86_64" and target.vector_bytes >= 32 else 1


def print_c(program: Program, trained: Trained, target: Target, batch: int) -> Printed:
    """The C of a quantized network for at most `batch` examples a call.

    Raises:
        CallError: a layer behind the integers has no form in C.
    """
    interface, lanes = interface_of(trained, 4), lanes_of(target)
    memory = place(program, batch, 64 if lanes > 1 else 1)
    ports = givens(program, trained, interface, memory)
    ends = [ending_in_c(program, trained, ending) for ending in program.endings]
    by_name = {port.name: given for port, given in zip(trained.network.inputs, ports, strict=True)}
    made = {e.tensor: f"{array.name}_bytes" for e, array in zip(program.endings, interface.outputs, strict=True)}
    places = {
        **{name: at_offset("memory", offset) for name, offset in memory.offsets.items()},
        **made,
        **{port.tensor: by_name[port.name].quantized for port in program.ports},
        "": at_offset("memory", memory.bytes),
    }
    found = body(program, places, lanes)
    copies = [
        f"memcpy({array.name}_bytes, {places[e.tensor]}, (size_t)(n * {array.elements}));"
        for e, array in zip(program.endings, interface.outputs, strict=True)
        if places[e.tensor] != f"{array.name}_bytes"
    ]
    pixels = GATHERED if lanes > 1 else 1
    image = stored_image(program, trained, memory)
    outputs = [
        {
            "name": array.name, "quantized": f"{array.name}_bytes", "constant": array.constant,
            "elements": array.elements, "shape": array.shape, "scale": f"{end.scale.rstrip('f')}", "zero": end.zero,
            "note": f", before {end.layers}" if end.layers else "",
        }
        for array, end in zip(interface.outputs, ends, strict=True)
    ]  # fmt: skip
    memory_bytes = memory.bytes + pixels * found.row_bytes
    given, quantized = [p.name for p in ports], [p.quantized for p in ports]
    results, result_bytes = [o.name for o in interface.outputs], [f"{o.name}_bytes" for o in interface.outputs]
    shared = {
        "title": in_comment(trained.network.name),
        "version": version(),
        "about": _about(program, trained, target, lanes, memory_bytes),
        "upper": trained.prefix.upper(),
        "prefix": trained.prefix,
        "ports": ports,
        "outputs": outputs,
        "classes": interface.classes,
        "given": interface.given,
        "made": interface.made,
        "given_bytes": ", ".join(f"const uint8_t *{name}" for name in quantized),
        "made_bytes": ", ".join(f"uint8_t *{name}" for name in result_bytes),
        "quantized": ", ".join(f"uint8_t *{name}" for name in quantized),
        "image": image[0] if image else None,
    }
    code = {
        **shared,
        "lanes": lanes,
        "bits": program.bits,
        "high": program.tensors[0].encoding.high,
        "rows": TILE_ROWS,
        "pixels": pixels,
        "chunk": lanes if lanes > 1 else CHUNK,
        "kinds": set(found.kinds),
        "sums": found.sums,
        "calls": [*found.calls, *copies],
        "uses_memory": any(re.search(r"\bmemory\b", call) for call in (*found.calls, *copies)),
        "constants": [
            *found.constants,
            *given_constants(program, trained, ports),
            *([image[1]] if image and image[1] else []),
            *(c for end in ends for c in end.constants),
        ],
        "products": found.products,
        "pools": found.pools,
        "endings": ends,
        "ending_places": [at_offset("at", memory.offsets[e.tensor]) for e in program.endings],
        "results": results,
        "uses_math": any(end.uses_math for end in ends),
        "missing_given": _missing([*given, *quantized]),
        "missing_bytes": _missing([*quantized, *result_bytes]),
        "missing_made": _missing(result_bytes),
        "missing_floats": _missing([*given, *results]),
    }
    header = {**shared, "batch": batch, "memory_bytes": memory_bytes}
    return Printed(
        trained.prefix,
        tidy(render("quantized/network.h.j2", header, True)),
        tidy(render("quantized/network.c.j2", code, True)),
        batch,
        memory_bytes,
    )


def _missing(names: Iterable[str]) -> str:
    return " || ".join(f"!{name}" for name in names)


def _about(program: Program, trained: Trained, target: Target, lanes: int, memory_bytes: int) -> list[str]:
    """Size and vectors, a line each."""
    vectors = f"Sums in vectors of {lanes} ({target.name})." if lanes > 1 else f"Plain C99 ({target.name})."
    return [
        f"{len(trained.network.nodes)} layers in {len(program.operations)} operations on bytes of {program.bits} bits.",
        vectors,
        f"{program.constant_bytes:,} bytes of constants, {memory_bytes:,} of memory.",
    ]
