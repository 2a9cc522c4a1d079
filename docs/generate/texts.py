"""Texts of the root of the project as pages, the specs that ship, and links that lead to them."""

from __future__ import annotations

import re
from pathlib import Path

import expand

PAGES = {
    "README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md",
    "specs/zoo/README.md": "zoo.md",
}  # fmt: skip
"""Texts outside of docs/ and the pages that they become."""


def pages(root: Path) -> dict[str, str]:
    """Markdown by path."""
    found = {}
    for file, page in PAGES.items():
        text = (root / file).read_text("utf-8").replace("](docs/", "](")
        for other, shown in PAGES.items():
            text = text.replace(f"]({other}", f"]({shown}")
        found[page] = text
    parts = ["# Specs that ship", "They are found by name from anywhere: `dslc train lenet5 --data mnist`."]
    for path in sorted((root / "specs").glob("*.net")):
        spec = path.read_text("utf-8")
        parts += [f"## {path.stem}", f"```net\n{spec}```", expand.picture(spec)]
    found["specs.md"] = "\n\n".join(parts) + "\n"
    return found


def with_links(markdown: str) -> str:
    """Links to files outside of the site lead to the pages that show them, or are plain names where none does."""
    markdown = re.sub(r"\]\(\.\./specs/(\w+)\.net\)", r"](specs.md#\1)", markdown)
    return re.sub(r"\[([^\]]+)\]\((?:\.\./benchmarks/README\.md|transfer\.py)\)", r"`\1`", markdown)
