"""What an exported network takes on its target, as the compiler of the target says it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dslc.export.companions import compile_flags
from dslc.export.export import Exported
from dslc.target import Target

INDIRECT = "__indirect_call"
"""What GCC calls a function that is reached through a pointer."""


@dataclass(frozen=True)
class Footprint:
    """Bytes, as they are in the linker's map of a program that predicts: of instructions (`text`), of constants in the
    object file, and of stack in the deepest call. Of a network that learns, all of its functions."""

    text: int
    constants: int
    stack: int | None


PREDICTS = ("memory_size", "init", "predict")
LEARNS = ("load_weights", "train_step", "evaluate", "weights_size", "save_weights", "get_parameter", "set_parameter")


def report(exported: Exported, prefix: str, small: bool, predicts: tuple[str, ...] = PREDICTS) -> list[str]:
    """For which machines an exported network is, and the flash and RAM that a program with it takes there. `predicts`:
    the functions that such a program calls, the prediction last."""
    target, constants = exported.target, exported.constant_bytes
    others = LEARNS if exported.training_bytes else () if exported.embedded else ("load_weights",)
    code, header = (exported.files[f"{prefix}.{kind}"].decode() for kind in "ch")
    found = footprint(code, header, prefix, target, small, (*others, *predicts), exported.threads)
    if found is None:
        flash = f"{constants:,} bytes of weights, and code (unknown: {target.compiler} and its `size` are not here)"
    else:
        inside = found.constants if exported.embedded else found.constants + constants
        flash = f"{found.text + inside:,} bytes ({found.text:,} text, {inside:,} constants)"
    stack = "unknown" if found is None or found.stack is None else f"{found.stack:,} bytes"
    learning = f" ({exported.training_bytes:,} for training)" if exported.training_bytes else ""
    return [
        exported.runs_on,
        f"flash: {flash}",
        f"RAM: {exported.memory_bytes:,} bytes that the caller gives{learning}; stack of a prediction: {stack}",
    ]


def with_report(exported: Exported, lines: Sequence[str]) -> Mapping[str, bytes]:
    """The files, with flash and RAM told in README.md too."""
    told = "\n## What it takes\n\n" + "".join(f"- {line}\n" for line in lines[1:])
    return {**exported.files, "README.md": exported.files["README.md"] + told.encode()}


def footprint(
    code: str, header: str, prefix: str, target: Target, small: bool, functions: Sequence[str], threads: str = ""
) -> Footprint | None:
    """Compiles the C of a network as its README says, and links what `functions` need, all else being left out; None
    where the target's compiler is not installed, or fails. The stack is that of the last function."""
    size = shutil.which(target.compiler.removesuffix("gcc") + "size")
    if shutil.which(target.compiler) is None or size is None:
        return None
    with tempfile.TemporaryDirectory(prefix="dslc-") as name:
        folder = Path(name)
        (folder / f"{prefix}.c").write_text(code)
        (folder / f"{prefix}.h").write_text(header)
        flags = (*compile_flags(target, small, threads), "-fcallgraph-info=su", "-fno-asynchronous-unwind-tables")
        roots = [f"-Wl,-u,{prefix}_{function}" for function in functions]
        for command in (
            [target.compiler, *flags, "-c", f"{prefix}.c", "-o", f"{prefix}.o"],
            [target.compiler, *flags, "-r", "-nostdlib", "-Wl,--gc-sections", *roots, f"{prefix}.o", "-o", "linked.o"],
        ):
            if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode:
                return None
        sizes = subprocess.run([size, "-A", "linked.o"], cwd=folder, capture_output=True, text=True, check=False).stdout
        found = re.findall(r"^\.(text|rodata)\S*\s+(\d+)", sizes, re.MULTILINE)
        graph = folder / f"{prefix}.ci"
        return Footprint(
            sum(int(bytes_) for section, bytes_ in found if section == "text"),
            sum(int(bytes_) for section, bytes_ in found if section == "rodata"),
            deepest(graph.read_text(), f"{prefix}_{functions[-1]}") if graph.exists() else None,
        )


def deepest(graph: str, start: str) -> int | None:
    """The stack of the deepest chain of calls from a function, in bytes, from GCC's call graph; None if a function's
    stack is not bounded. Through a pointer any function may be called that nothing calls by its name."""
    frames: dict[str, int] = {}
    for name, label in re.findall(r'node: \{ title: "([^"]+)" label: "([^"]*)"', graph):
        found = re.search(r"(\d+) bytes \(([\w,]+)\)", label)
        if found and found[2] == "dynamic":
            return None
        frames[name] = int(found[1]) if found else 0
    calls: Mapping[str, set[str]] = defaultdict(set)
    for source, called in re.findall(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', graph):
        calls[source].add(called)
    named = {called for some in calls.values() for called in some}
    calls[INDIRECT].update(name for name in frames if name not in named and not _is(name, start))

    def depth(name: str, above: frozenset[str]) -> int:
        if name in above:
            return 0
        return frames.get(name, 0) + max((depth(called, above | {name}) for called in calls[name]), default=0)

    return max((depth(name, frozenset()) for name in frames if _is(name, start)), default=None)


def _is(name: str, function: str) -> bool:
    """Titles of static functions begin with their file."""
    return name.rpartition(":")[2] == function
