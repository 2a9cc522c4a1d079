"""What comes with the C: a program that predicts, and a README with the line that compiles it."""

from __future__ import annotations

from collections.abc import Mapping

from dslc.codegen.templating import render
from dslc.export.interface import Interface
from dslc.export.network import MOST_THREADS, Wishes
from dslc.target import Target

FLAGS = ("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
"""What an exported network is compiled with, as modules for Python are."""


LEFT_OUT = "-Wl,--gc-sections"
"""With what functions that a program does not call are left out, if each has a section of its own."""


THREAD_FLAGS = {"": (), "pthread": ("-pthread",), "openmp": ("-fopenmp",)}
"""What compiler and linker are told of threads."""


def compile_flags(target: Target, small: bool, threads: str = "") -> tuple[str, ...]:
    """The compiler's flags for a target; `small`: for the least code. `threads`: "pthread", "openmp" or nothing."""
    apart = ("-ffunction-sections",) if target.is_microcontroller or small else ()
    return ("-std=c99", "-Os" if small else "-O3", *FLAGS, *apart, *target.flags, *THREAD_FLAGS[threads])


def companions(interface: Interface, shared: Mapping[str, object], wishes: Wishes, embedded: bool) -> dict[str, bytes]:
    """`main.c` and `README.md` by name. `shared` is what they have in common with the header. Beside a net called main
    the program is `example.c`."""
    prefix, single = interface.prefix, interface.real == "float"
    flags = " ".join(compile_flags(wishes.target, wishes.small, wishes.threads))
    link = f"{LEFT_OUT} " if "-ffunction-sections" in flags else ""
    example = "main.c" if prefix != "main" else "example.c"
    usage = f"./{prefix} examples.bin" + ("" if embedded else f" {prefix}.weights")
    common = {
        "title": shared["title"], "prefix": prefix, "real": interface.real, "inputs": interface.inputs,
        "outputs": interface.outputs, "embedded": embedded, "usage": usage,
    }  # fmt: skip
    program = {**common, "upper": shared["upper"], "digits": 9 if single else 17}
    readme = {
        **common,
        "example": example,
        "version": shared["version"],
        "about": shared["about"],
        "flags": flags,
        "compile": f"{wishes.target.compiler} {flags} {example} {prefix}.c {link}-lm -o {prefix}",
        "runs_on": runs_on(wishes.target),
        "trains": wishes.training,
        "threads": wishes.threads,
        **({"most_threads": MOST_THREADS} if wishes.threads else {}),
        "upper": shared["upper"],
        "standardizes": any(type(n.layer).__name__ == "Standardize" for n in interface.trained.network.nodes),
    }
    return {
        example: render("export/main.c.j2", program, single).encode(),
        "README.md": render("export/README.md.j2", readme, single).encode(),
    }


def runs_on(target: Target) -> str:
    """Which machines and compilers a target is for, in words."""
    if target.vector_bytes == 0:
        return "For any CPU and any compiler of C99."
    if not target.machine:
        return "For any CPU, with gcc or clang, whose vectors of 16 bytes it uses."
    return f"For CPUs as of the target {target.name} ({target.machine}), with gcc or clang."
