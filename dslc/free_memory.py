"""How much memory this process may still take: what is free on the machine, what its containers leave it, and its
limit of addresses. What needs more is refused before anything is allocated."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dslc import cgroups
from dslc.language.diagnostics import UsageError

UNLIMITED = 1 << 60
"""Version 1 of cgroups writes a number this large where there is no limit."""
MEMINFO, STATM = Path("/proc/meminfo"), Path("/proc/self/statm")


@dataclass(frozen=True)
class Room:
    """Bytes that may still be taken, and who says so."""

    bytes: int
    whose: str


def room(root: Path = cgroups.ROOT, membership: Path = cgroups.MEMBERSHIP, meminfo: Path = MEMINFO) -> Room:
    """The least of what the machine has available and what each cgroup leaves. The files are those of Linux."""
    return min((_machine(meminfo), *_containers(root, membership)), key=lambda found: found.bytes)


def address_room() -> Room | None:
    """What the process's limit of addresses (RLIMIT_AS, `ulimit -v`) leaves; None where there is no limit."""
    if not sys.platform.startswith("linux"):
        return None
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = cgroups.text(STATM).split()
    if limit == resource.RLIM_INFINITY or not pages:
        return None
    return Room(max(0, limit - int(pages[0]) * os.sysconf("SC_PAGE_SIZE")), "the limit of its addresses (ulimit -v)")


@dataclass(frozen=True)
class Lack:
    """Bytes that are wanted where fewer are left."""

    wanted: int
    room: Room

    def said(self, what: str, advice: str) -> str:
        """What a user is told. what: what wants them. advice: what to try."""
        left = f"{self.room.whose} leaves {self.room.bytes:,}"
        return f"{what} takes {self.wanted:,} bytes of memory, and {left}: {advice}"


def lacking(needed: int, addresses: int) -> Lack | None:
    """What is lacking for `needed` bytes more, and for as many new `addresses`; None if there is enough."""
    mapped, free = address_room(), room()
    if mapped is not None and addresses > mapped.bytes:
        return Lack(addresses, mapped)
    return Lack(needed, free) if needed > free.bytes else None


def require(needed: int, addresses: int, what: str, advice: str) -> None:
    """Refuses what cannot fit, see `lacking`. what: what takes the memory, with its parts. advice: what to try.

    Raises:
        UsageError: there is too little.
    """
    found = lacking(needed, addresses)
    if found is not None:
        raise UsageError(found.said(what, advice))


def _machine(meminfo: Path) -> Room:
    """What the kernel says can be taken without swapping; elsewhere all that the machine has."""
    for line in cgroups.text(meminfo).splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return Room(int(rest.split()[0]) * 1024, "this machine")
    return Room(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "this machine")


def _containers(root: Path, membership: Path) -> Iterator[Room]:
    """Pages of files count as free: the kernel drops them when memory is wanted."""
    for version, folder in cgroups.groups("memory", root, membership):
        files = ("memory.limit_in_bytes", "memory.usage_in_bytes") if version == 1 else ("memory.max", "memory.current")
        limit, used = (cgroups.text(folder / file).strip() for file in files)
        if limit.isdecimal() and used.isdecimal() and int(limit) < UNLIMITED:
            taken = max(0, int(used) - _cached(cgroups.text(folder / "memory.stat"), version))
            yield Room(max(0, int(limit) - taken), f"the container's limit ({int(limit):,} bytes)")


def _cached(stat: str, version: int) -> int:
    prefix = "total_" if version == 1 else ""
    wanted = {f"{prefix}active_file", f"{prefix}inactive_file"}
    pairs = (line.split() for line in stat.splitlines())
    return sum(int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] in wanted)
