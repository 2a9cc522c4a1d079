"""The limits that the control groups of Linux, and so containers, set to this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def groups(controller: str, root: Path = ROOT, membership: Path = MEMBERSHIP) -> Iterator[tuple[int, Path]]:
    """The version (1 or 2) and folder of each group that limits the process in what `controller` counts: its own and
    those above. Version 2 names no controllers. In a container the path may be the host's: then there is nothing to be
    read below the root."""
    for line in text(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mounted = root / controller if controllers else root
        group = mounted / path.strip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(mounted):
                break
            yield (1 if controllers else 2), folder


def text(file: Path) -> str:
    """What a file says; nothing where it cannot be read."""
    try:
        return file.read_text()
    except OSError:
        return ""
