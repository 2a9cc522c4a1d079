"""What a network was compiled to, kept beside its module: loading it again plans nothing and prints no C.

An entry is named by a hash of all that a plan and its C depend on: the checked network without the values that are
numbers at run time, what was asked for, the CPU, the C compiler and its flags, and dslc itself. It says which module it
is and where that finds what in memory. It is data, not code, and ends with its checksum like a module; entries of other
users are not read.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from dslc.cache import cache_folder, not_ours, write_whole
from dslc.codegen.build import Library, load_module, sealed, surroundings, unsealed
from dslc.compiler import plan_network
from dslc.cores import Threads, available_cores
from dslc.hyperparameters import without_values
from dslc.ir import Network
from dslc.json_text import parsed
from dslc.language.source import Source
from dslc.layout import Layout
from dslc.plan import Kept, MemoryMap, Plan, Region
from dslc.planning.planner import Options
from dslc.planning.tuned import tuned_options
from dslc.target import Target, native

SOURCES = ("dslc", "dslc.grammar", "dslc.templates")
"""The packages that say what a network becomes."""


@dataclass(frozen=True)
class Request:
    """What a model asks to be compiled: for this machine if `target` is None, the others as for `plan_network`."""

    network: Network
    target: Target | None
    batch: int | None
    threads: Threads
    options: Options | None
    over_ranks: bool = False
    cores: int | None = None

    def plan(self, threads: Threads | None = None) -> Plan:
        """The plan of what is asked; for so many threads if a number is given."""
        return plan_network(
            self.network, self.target, self.batch, threads or self.threads, self.options, self.over_ranks, self.cores
        )

    @property
    def path(self) -> Path | None:
        """The file of its entry; None if the network holds what cannot be written down.

        Raises:
            UsageError: there is no C compiler.
        """
        cores = (self.cores or available_cores()) if self.threads == "auto" else self.threads
        tuned = [tuned_options(self.network, self.batch, n) for n in range(1, cores + 1)] if self.target is None else []
        target = self.target or native()
        asked = (
            without_values(self.network, self.batch),
            target,
            self.batch,
            self.threads,
            cores,
            self.options,
            tuned,
            self.over_ranks,
        )
        with suppress(pickle.PicklingError, AttributeError, TypeError):
            written = _written(asked)
            parts = (_version().encode(), *(part.encode() for part in surroundings(target)), written)
            return cache_folder() / f"plan-{hashlib.sha256(b'|'.join(parts)).hexdigest()[:32]}"
        return None


@dataclass(frozen=True)
class Compilation:
    """A network's native module and where its memory holds what: by the plan that was made just now, or as it was found
    for a request."""

    library: Library
    memory: MemoryMap
    plan: Plan | None = None
    request: Request | None = None


def find(request: Request) -> Compilation | None:
    """What was compiled for the same request; None if that is nothing, or no longer whole."""
    path = request.path
    if path is None or (content := _own(path)) is None:
        return None
    try:
        entry = parsed(content)
        library = load_module(cache_folder() / entry["module"], entry["prefix"], request.target or native())
        return None if library is None else Compilation(library, _memory_map(entry["memory"]), request=request)
    except (ValueError, KeyError, TypeError):  # of another version
        return None


def keep(request: Request, library: Library, memory: MemoryMap) -> None:
    """Writes the entry of a module in the cache. Where it cannot be written, the next load plans again."""
    path = request.path
    if path is None or library.path.parent != path.parent:
        return
    entry = {"module": library.path.name, "prefix": library.prefix, "memory": _as_json(memory)}
    with suppress(OSError):
        write_whole(path, sealed(json.dumps(entry).encode()))


def _own(path: Path) -> bytes | None:
    """What is in a file that is whole and that nobody else has made."""
    try:
        return None if not_ours(path) else unsealed(path.read_bytes())
    except OSError:
        return None


def _as_json(memory: MemoryMap) -> dict[str, Any]:
    kept = {
        name: (place.offset, place.layout.shape, place.layout.axis, place.layout.width, place.layout.examples)
        for name, place in memory.kept.items()
    }
    regions = [(region.name, region.offset, region.elements) for region in memory.regions]
    return {
        "itemsize": memory.itemsize, "batch": memory.batch, "step_batch": memory.step_batch,
        "threads": memory.threads, "kept": kept, "regions": regions,
    }  # fmt: skip


def _memory_map(entry: Mapping[str, Any]) -> MemoryMap:
    kept = {
        name: Kept(Layout(tuple(shape), axis, width, examples), offset)
        for name, (offset, shape, axis, width, examples) in entry["kept"].items()
    }
    return MemoryMap(
        itemsize=entry["itemsize"],
        batch=entry["batch"],
        step_batch=entry["step_batch"],
        threads=entry["threads"],
        kept=kept,
        regions=tuple(Region(*region) for region in entry["regions"]),
    )


class _Writer(pickle.Pickler):
    """Writes objects for their hash; nothing reads them again. A spec is its text, wherever it lies."""

    def persistent_id(self, thing: object) -> str | None:
        """The text in place of a source."""
        return thing.text if isinstance(thing, Source) else None

    def reducer_override(self, thing: object) -> Any:
        """The fields of a dataclass alone, without what it has computed of them and kept."""
        if not is_dataclass(thing) or isinstance(thing, type):
            return NotImplemented
        return type(thing), tuple(getattr(thing, f.name) for f in fields(thing))


def _written(things: object) -> bytes:
    buffer = io.BytesIO()
    _Writer(buffer, protocol=5).dump(things)
    return buffer.getvalue()


@cache
def _version() -> str:
    """dslc itself: its files by size and time, as Python judges whether it must compile them again."""
    files = [path for package in SOURCES for path in Path(str(resources.files(package))).rglob("*.*")]
    parts = sorted((str(path), path.stat()) for path in files if path.suffix in (".py", ".j2", ".lark"))
    text = "\n".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in parts)
    return hashlib.sha256(text.encode()).hexdigest()
