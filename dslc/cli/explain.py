"""`dslc explain`: what an error means, with an example."""

from __future__ import annotations

import re
from importlib import resources

from dslc.cli.app import app, examples
from dslc.language.codes import PAGE
from dslc.language.diagnostics import CallError


@app.command(help_epilogue=examples("dslc explain DSLC014", "dslc explain"))
def explain(code: str | None = None) -> None:
    """Explain an error by its code, which stands in its first line: error[DSLC014]. Without one: list all.

    Args:
        code: As in DSLC014, or 14.
    """
    sections = _sections()
    if code is None:
        for known, text in sections.items():
            print(f"{known}  {text.splitlines()[2]}")
        return
    digits = re.fullmatch(r"(?i)(?:dslc)?0*([0-9]+)", code)
    found = sections.get(f"DSLC{int(digits[1]):03}") if digits else None
    if found is None:
        raise CallError(f"there is no error {code!r}: codes go from {min(sections)} to {max(sections)}")
    print(f"{found}\n\nalso in {PAGE}#{found.split()[0].lower()}")


def _sections() -> dict[str, str]:
    """The sections of the page by code."""
    page = resources.files("dslc.docs").joinpath(PAGE.rpartition("/")[2]).read_text("utf-8")
    parts = re.split(r"^## (?=DSLC)", page, flags=re.MULTILINE)[1:]
    return {part[: part.index("\n")]: part.strip() for part in parts}
