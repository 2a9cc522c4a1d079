"""A quantized network as files for programs of others."""

from __future__ import annotations

from dataclasses import replace

from dslc.codegen.summary import version
from dslc.codegen.templating import render
from dslc.codegen.text import in_comment
from dslc.export.companions import LEFT_OUT, compile_flags, runs_on
from dslc.export.export import Exported
from dslc.export.interface import interface_of
from dslc.export.network import Trained, Wishes
from dslc.export.page import page_without_weights
from dslc.language.diagnostics import CallError
from dslc.quantization.c_source import print_c
from dslc.quantization.program import Program
from dslc.target import TARGETS

PREDICTS = ("predict_quantized",)
"""What a program that predicts without floats calls."""


def export_quantized(trained: Trained, program: Program, wishes: Wishes) -> Exported:
    """NAME.h, NAME.c, an example and a README. The weights are constants of the C.

    Raises:
        CallError: it should learn, have threads, or keep its weights in a file; its input is a table; or a layer behind
            the integers has no form in C.
    """
    _require_what_there_is(wishes)
    if trained.network.tables:
        raise CallError("exported C takes numbers, and the columns that this spec declares are encoded in Python")
    return _exported(trained, program, wishes)


def export_quantized_page(trained: Trained, program: Program, small: bool, training: bool) -> dict[str, bytes]:
    """The files of a page for browsers that predicts, by name. The weights are constants of its module. small: the
    least code.

    Raises:
        CallError: it should learn, the network has several inputs, or a layer behind the integers has no form in C.
        UsageError: there is no compiler for WebAssembly.
    """
    wishes = Wishes(TARGETS["wasm"], small=small, training=training)
    _require_what_there_is(wishes)
    return page_without_weights(trained, wishes, _exported(trained, program, wishes))


def _require_what_there_is(wishes: Wishes) -> None:
    if wishes.training:
        raise CallError("--training: a quantized network does not learn: export the run that it comes of")
    if wishes.threads:
        raise CallError("--threads: the C of a quantized network runs in the thread that calls it: leave --threads out")
    if wishes.embed is False:
        raise CallError("--no-embed: the weights of a quantized network are constants of the C")


def _exported(trained: Trained, program: Program, wishes: Wishes) -> Exported:
    target = replace(wishes.target, vector_bytes=0) if wishes.small else wishes.target
    printed = print_c(program, trained, target, wishes.batch)
    prefix, interface = trained.prefix, interface_of(trained, 4)
    machines = runs_on(wishes.target if wishes.target.machine else TARGETS["c99"])
    flags = " ".join(compile_flags(wishes.target, wishes.small))
    link = f"{LEFT_OUT} " if "-ffunction-sections" in flags else ""
    example = "main.c" if prefix != "main" else "example.c"
    common = {
        "title": in_comment(trained.network.name), "prefix": prefix, "upper": prefix.upper(),
        "inputs": interface.inputs, "outputs": interface.outputs, "usage": f"./{prefix} examples.bin",
    }  # fmt: skip
    readme = {
        **common, "version": version(), "example": example, "flags": flags, "bits": program.bits,
        "compile": f"{wishes.target.compiler} {flags} {example} {prefix}.c {link}-lm -o {prefix}",
        "runs_on": machines,
    }  # fmt: skip
    files = {
        f"{prefix}.h": printed.header.encode(),
        f"{prefix}.c": printed.code.encode(),
        example: render("quantized/main.c.j2", common, True).encode(),
        "README.md": render("quantized/README.md.j2", readme, True).encode(),
    }
    return Exported(files, wishes.target, printed.memory_bytes, 0, program.constant_bytes, True, machines)
