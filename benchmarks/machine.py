"""The machine: what it is called, what runs on it, and how fast it multiplies and adds."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rivals import CONTENDERS
from timing import available_cores

HERE = Path(__file__).resolve().parent
SOURCES = ("../dslc", "../templates", "../runtime", "../grammar")


def describe_machine() -> dict[str, Any]:
    """CPU, cores, C compiler and versions."""
    return {
        "cpu": _cpu(),
        "cores": len(available_cores()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "compiler": _first_line([*_compiler(), "--version"]),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in dict.fromkeys(c.distribution for c in CONTENDERS.values())},
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = facts.get("model name", platform.machine())
    return f"{name} (family {facts['cpu family']}, model {facts['model']})" if "cpu family" in facts else name


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _compiler() -> list[str]:
    return shlex.split(os.environ.get("CC", "gcc"))


def _first_line(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, check=False, text=True).stdout.partition("\n")[0]
    except OSError:
        return "none"


def commit() -> str:
    """The version of the sources that are measured; a `+` says that they were changed since."""
    found = _first_line(["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"])
    changed = _first_line(["git", "-C", str(HERE), "status", "--porcelain", "--", *SOURCES])
    return f"{found}{'+' if changed else ''}"


def measure_peak(threads: int, seconds: float) -> dict[str, float]:
    """Multiply-adds a second at most, by precision."""
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "peak")
        flags = ["-O3", "-march=native", "-fopenmp"]
        subprocess.run([*_compiler(), *flags, str(HERE / "peak.c"), "-o", program], check=True)
        said = subprocess.run([program, str(threads), str(seconds)], capture_output=True, text=True, check=True).stdout
    return dict(zip(("float32", "float64"), map(float, said.split()), strict=True))
