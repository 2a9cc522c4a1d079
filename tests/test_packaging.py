"""What a wheel holds."""

from __future__ import annotations

import tomllib

from helpers import REPO


def test_every_folder_with_code_is_packaged() -> None:
    listed = set(tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = [file.parent for root in ("dslc", "runtime") for file in (REPO / root).rglob("__init__.py")]
    names = {".".join(folder.relative_to(REPO).parts) for folder in folders}
    names = {f"dslc.{name}" if name.startswith("runtime") else name for name in names}
    assert names <= listed, sorted(names - listed)
