"""A quantized network as C: NAME.h and NAME.c."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dslc.codegen.c_source import CSource
from dslc.codegen.summary import version
from dslc.codegen.templating import render
from dslc.codegen.text import in_comment, tidy
from dslc.export.interface import Interface, interface_of
from dslc.export.network import Trained
from dslc.quantization.calls import body
from dslc.quantization.endings import ending_in_c
from dslc.quantization.memory import place
from dslc.quantization.ports import at_offset, given_constants, givens, stored_image
from dslc.quantization.program import Product, Program
from dslc.quantization.reading import reading_of
from dslc.quantization.vectors import Vectors, vectors_of
from dslc.target import Target

CHUNK = 16
"""Channels that a depthwise convolution or a mean sums at a time."""
PAST = 4
"""Bytes behind the memory that vectors may read."""


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
        functions += [
            f"{found};"
            for found in re.findall(r"^(?:void|int) [*\w]*(?:pool|shared)\([^)]*\)", self.code, re.MULTILINE)
        ]
        code = self.code.replace(f'#include "{self.prefix}.h"', self.header)
        return CSource(self.prefix, "\n".join(functions), code)


def print_c(program: Program, trained: Trained, target: Target, batch: int, parts: int = 0) -> Printed:
    """The C of a quantized network for at most `batch` examples a call. parts: for a module of Python, how many threads
    share its work at most.

    Raises:
        CallError: a layer behind the integers has no form in C.
    """
    interface, vectors = interface_of(trained, 4), vectors_of(target)
    memory = place(program, batch, 64 if vectors.are_there else 1)
    ports = givens(program, trained, interface, memory)
    ends = [ending_in_c(program, trained, ending) for ending in program.endings]
    by_name = {port.name: given for port, given in zip(trained.network.inputs, ports, strict=True)}
    arrays = {e.tensor: f"{array.name}_bytes" for e, array in zip(program.endings, interface.outputs, strict=True)}
    read = {name for op in program.operations for name in op.reads}
    places = {
        **{name: at_offset("memory", offset) for name, offset in memory.offsets.items()},
        **{tensor: array for tensor, array in arrays.items() if tensor not in read},
        **{port.tensor: by_name[port.name].quantized for port in program.ports},
    }
    found = body(program, places, vectors, batch, parts > 0)
    calls = [*found.calls, *_copies(program, interface, places, parts > 0)]
    image = stored_image(program, trained, memory)
    outputs = [
        {
            "name": array.name, "quantized": f"{array.name}_bytes", "constant": array.constant,
            "elements": array.elements, "shape": array.shape, "scale": f"{end.scale.rstrip('f')}", "zero": end.zero,
            "note": f", before {end.layers}" if end.layers else "",
        }
        for array, end in zip(interface.outputs, ends, strict=True)
    ]  # fmt: skip
    memory_bytes = memory.bytes + max(1, parts) * found.room + (PAST if vectors.are_there else 0)
    given, quantized = [p.name for p in ports], [p.quantized for p in ports]
    results, result_bytes = [o.name for o in interface.outputs], [f"{o.name}_bytes" for o in interface.outputs]
    shared = {
        "title": in_comment(trained.network.name),
        "version": version(),
        "about": _about(program, trained, target, vectors, memory_bytes),
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
        "kind": vectors.kind,
        "vectors": sorted({*found.widths, *found.depthwise_widths}),
        "widths": found.widths,
        "depthwise_widths": found.depthwise_widths,
        "together": vectors.together,
        "tallest": 2 * vectors.windows,
        "shares": parts > 0,
        "bits": program.bits,
        "high": program.tensors[0].encoding.high,
        "chunk": CHUNK,
        "kinds": set(found.kinds),
        "sums": found.sums,
        "calls": calls,
        "room": f"{at_offset('memory', memory.bytes)}{f' + part * {found.room}' if parts else ''}",
        "uses_room": any(re.search(r"\broom\b", call) for call in calls),
        "uses_memory": any(re.search(r"\b(memory|room)\b", call) for call in calls),
        "moved": [by_name[port.name] for port in program.ports if _reads_past(program, port.tensor, vectors, batch)],
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


def _copies(program: Program, interface: Interface, places: Mapping[str, str], shares: bool) -> list[str]:
    """What brings results to the caller that lie elsewhere, where operations read them."""
    found = []
    for ending, array in zip(program.endings, interface.outputs, strict=True):
        if places[ending.tensor] != f"{array.name}_bytes":
            copy = f"memcpy({array.name}_bytes, {places[ending.tensor]}, (size_t)(n * {array.elements}));"
            found += ["if (part == 0)", f"    {copy}", "wait_at_barrier(barrier, parts);"] if shares else [copy]
    return found


def _reads_past(program: Program, tensor: str, vectors: Vectors, batch: int) -> bool:
    """Whether a run of bytes ends behind a tensor, which then cannot be read where the caller has it."""
    products = [op for op in program.operations if isinstance(op, Product) and tensor in op.reads and not op.depthwise]
    return vectors.are_there and any(reading_of(op, vectors, batch).reads_past(op) for op in products)


def _about(program: Program, trained: Trained, target: Target, vectors: Vectors, memory_bytes: int) -> list[str]:
    """Size and vectors, a line each."""
    told = (
        f"Sums in vectors of {vectors.widths[0]} ({target.name})."
        if vectors.are_there
        else f"Plain C99 ({target.name})."
    )
    return [
        f"{len(trained.network.nodes)} layers in {len(program.operations)} operations on bytes of {program.bits} bits.",
        told,
        f"{program.constant_bytes:,} bytes of constants, {memory_bytes:,} of memory.",
    ]
