"""The packages that CI and `make` install, with the hashes of their files: `.ci/pins.txt`, made from pyproject.toml.

`python .ci/pins.py` makes the files anew, in the newest versions, with uv and the network; with `--check` it says what
pyproject.toml asks for and the files do not have.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
FILES = {"pins.txt": ("dev",), "release.txt": ("release",)}
"""The files, and the extras of pyproject.toml that each has besides what dslc itself needs."""


def main() -> int:
    """Makes or checks the files. Returns 1 if something is missing."""
    if sys.argv[1:] != ["--check"]:
        for name, extras in FILES.items():
            make(name, extras)
    lacking = {name: missing(name, extras) for name, extras in FILES.items()}
    for name, packages in lacking.items():
        if packages:
            print(f".ci/{name} lacks {', '.join(packages)}: run `make pins`", file=sys.stderr)
    return 1 if any(lacking.values()) else 0


def make(name: str, extras: tuple[str, ...]) -> None:
    """Resolves the requirements for Python 3.11 and later on all systems."""
    options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate"]
    wanted = [word for extra in extras for word in ("--extra", extra)]
    command = ["uv", "pip", "compile", "pyproject.toml", *wanted, *options, "--output-file", f".ci/{name}", "--upgrade"]
    subprocess.run([sys.executable, "-m", *command, "--quiet"], cwd=REPO, check=True)


def missing(name: str, extras: tuple[str, ...]) -> list[str]:
    """The packages that a file should have and has not."""
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(r for extra in extras for r in project["optional-dependencies"][extra])]
    lines = (REPO / ".ci" / name).read_text().splitlines()
    pinned = {normal(line) for line in lines if "==" in line}
    return sorted({normal(requirement) for requirement in wanted} - pinned)


def normal(requirement: str) -> str:
    """The name of a package in a requirement, as registries write it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()  # type: ignore[index]


if __name__ == "__main__":
    sys.exit(main())
