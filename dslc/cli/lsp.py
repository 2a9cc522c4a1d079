"""`dslc lsp`: the language server."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from dslc.cli.app import app, examples
from dslc.language.diagnostics import UsageError


@app.command(help_epilogue=examples("dslc lsp"))
def lsp(*, stdio: Annotated[bool, Parameter(negative=())] = True) -> None:
    """Answer an editor: errors as you type, sizes, completion, definitions, renaming, formatting. See docs/editor.md.

    Args:
        stdio: On standard input and output, the only way there is.
    """
    try:
        from dslc.editor.server import serve
    except ImportError:
        raise UsageError("the language server needs pygls: pip install 'dslc[lsp]'") from None
    serve()
