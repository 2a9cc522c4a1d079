"""Hooks of MkDocs: pages that are made from the program itself, and what pages ask for with comments.

`make docs` builds the site. Pages are Markdown; a comment asks for something that is made at each build:

    <!-- picture -->                      the diagram of the spec above
    <!-- c: dense1 forward -->            the C functions of its layer dense1 whose names go on with `forward`
    <!-- c-file: ^int main.*?^}$ -->      what this regular expression finds in its whole C file
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).resolve().parent.parent.parent / "tests"))  # its examples of layers

import commands
import expand
import reference
import texts
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent.parent


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are made: one a command, one a layer, one for each other kind of thing, texts of the root."""
    pages = {**commands.pages(), **reference.pages(), **texts.pages(ROOT)}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    config["nav"] = _with_folders(config["nav"], sorted(pages))
    return files


def _with_folders(entry: Any, paths: list[str]) -> Any:
    """The navigation, in which a folder that is made, as in `commands/`, has become its pages, the index first."""
    if isinstance(entry, list):
        return [_with_folders(one, paths) for one in entry]
    if isinstance(entry, dict):
        return {title: _with_folders(one, paths) for title, one in entry.items()}
    if not entry.endswith("/"):
        return entry
    inside = [path for path in paths if path.startswith(entry)]
    return sorted(inside, key=lambda path: (path != f"{entry}index.md", path))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fills in what comments ask for, and leads links out of the site to where these files are shown."""
    return texts.with_links(expand.expanded(markdown))
