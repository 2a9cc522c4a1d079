"""Where the spec of a name is: those that ship with the package are found from anywhere, `dslc check lenet5`, and a run
folder stands for the spec in it."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from dslc.language.diagnostics import did_you_mean

SPEC = "spec.net"
"""What the spec of a run is called, in its folder."""


def spec_file(path: Path) -> Path:
    """The file that a path means: that of a run folder, else itself."""
    return path / SPEC if path.is_dir() and (path / SPEC).is_file() else path


def shipped_names() -> tuple[str, ...]:
    """The names of the specs that ship with the package, in alphabetical order, then those of published networks."""
    specs = resources.files("dslc.specs")
    return (*_names(specs, ""), *_names(specs.joinpath("zoo"), "zoo/"))


def _names(folder: Traversable, prefix: str) -> list[str]:
    return sorted(prefix + file.name.removesuffix(".net") for file in folder.iterdir() if file.name.endswith(".net"))


def shipped(name: str) -> Traversable | None:
    """The spec of this name that ships with the package; None if there is none, or a file has the name."""
    if not _may_ship(name) or Path(name).is_file():
        return None
    found = resources.files("dslc.specs").joinpath(f"{name}.net")
    return found if found.is_file() else None


def names_like(name: str) -> str:
    """A hint for the name of a file that is not there: the spec that may be meant, or all; empty for a path."""
    if not _may_ship(name):
        return ""
    return did_you_mean(name, shipped_names()) or f"help: specs that ship with dslc: {', '.join(shipped_names())}"


def _may_ship(name: str) -> bool:
    return name.removeprefix("zoo/").isidentifier()
