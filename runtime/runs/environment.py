"""Where and how a training ran: the call, the machine, the versions."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dslc.cores import available_cores

PACKAGES = ("dslc", "numpy", "cffi", "polars", "scikit-learn")
"""Whose versions are noted, where they are installed."""


def environment(arguments: Sequence[str], threads: int) -> dict[str, str]:
    """What is noted of a training that a command line began, for people to read: words by name."""
    found = {
        "command": repeating(arguments),
        "folder": os.getcwd(),
        "machine": f"{_processor()}, {available_cores()} cores, {threads} used",
        "system": f"{platform.system()} {platform.release()}",
        "versions": ", ".join([f"Python {platform.python_version()}", *_versions()]),
    }
    return {name: text for name, text in found.items() if text}


def repeating(arguments: Sequence[str]) -> str:
    """The command line that does the same again, in a run folder of its own; empty where it is not known."""
    kept: list[str] = []
    skip = False
    for word in arguments:
        if skip or word == "--overwrite" or word.startswith(("--run=", "--resume=")):
            skip = False
        elif word in ("--run", "--resume"):
            skip = True
        else:
            kept.append(word)
    return shlex.join(["dslc", *kept]) if kept else ""


def _versions() -> list[str]:
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    """The name of the processor, as the system knows it."""
    if sys.platform == "linux":
        try:
            name = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text("utf-8"))
        except OSError:
            name = None
        if name is not None:
            return name[1]
    return platform.processor() or platform.machine()
