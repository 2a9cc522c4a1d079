"""`dslc fmt`: specs in one form."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dslc.cache import write_whole
from dslc.cli.app import app, examples, writing
from dslc.language.diagnostics import CallError, SpecError
from dslc.language.parse import MAX_BYTES, decode, read
from dslc.language.source import Source

STDIN = "-"


@app.command(
    help_epilogue=examples(
        "dslc fmt specs/lenet5.net",
        "dslc fmt --check specs/lenet5.net specs/mlp.net",
        "dslc fmt --diff specs/lenet5.net",
        "dslc fmt - < specs/lenet5.net",
    )
)
def fmt(
    *spec: Annotated[str, Parameter(allow_leading_hyphen=True)],
    check: Annotated[bool, Parameter(negative=())] = False,
    diff: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Format specs: indentation, spaces, and the settings of `train` in a column.

    Comments, line breaks and groups of lines stay as they are, and so does
    the network. A file that does not parse is left alone.

    Args:
        spec: The .net files, or run folders (their spec.net); - reads standard input and prints the result.
        check: Change nothing; exit status 1, with their names, if files would change.
        diff: Change nothing; print what would change, with exit status 1 if anything would.
    """
    if not spec:
        raise CallError("name at least one spec: dslc fmt specs/lenet5.net")
    if unknown := next((path for path in spec if path.startswith("-") and path != STDIN), None):
        raise CallError(f"there is no option {unknown}")
    failed = False
    for path in spec:
        try:
            failed |= _format(path, check, diff)
        except SpecError as error:
            print(error, file=sys.stderr, end="")
            failed = True
    return 1 if failed else 0


def _format(path: str, check: bool, diff: bool) -> bool:
    """Formats one file, or says what would change; whether that is a failure."""
    from dslc.language.format import format_source

    source = _source(path)
    formatted = format_source(source)
    if diff:
        print(_difference(source, formatted), end="")
    if check and formatted != source.text:
        print(f"{source.name} would change", file=sys.stderr)
    if check or diff:
        return formatted != source.text
    if path == STDIN:
        print(formatted, end="")
    elif formatted != source.text:
        with writing(source.name):
            write_whole(Path(source.name), formatted.encode())
    return False


def _source(path: str) -> Source:
    return decode(sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>") if path == STDIN else read(path)


def _difference(source: Source, formatted: str) -> str:
    import difflib

    before, after = (text.splitlines(keepends=True) for text in (source.text, formatted))
    lines = difflib.unified_diff(before, after, source.name, f"{source.name} (formatted)")
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
