"""`dslc play`: the playground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from dslc.cli.app import app, examples
from dslc.cli.whole import Whole
from dslc.language.diagnostics import UsageError

DEMO = """# Two moons: which points belong to which?
net Moons {
  input point: 2

  dense(16) -> tanh
  dense(16) -> tanh
  dense(2)  -> softmax
}

train {
  loss      cross_entropy
  optimizer adam(lr=0.01)
  batch     32
  epochs    60
}
"""
"""What the page starts with."""


@app.command(help_epilogue=examples("dslc play", "dslc play lenet5 --data mnist", "dslc play my.net --port 8000"))
def play(
    spec: str | None = None,
    *,
    data: str = "",
    port: Whole = 0,
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True,
) -> None:
    """Write specs in the browser and watch them learn.

    A page on this machine: an editor with errors as you type, the diagram,
    memory and work by layer with the C of each, and training with live
    curves, decision boundaries, filters and predictions. Only this machine
    can open it, at an address that nobody can guess.

    Args:
        spec: A .net file, or the name of a spec that ships; two moons unless given. It is read once, and not written.
        data: The name of data to begin with; others can be chosen on the page, or dropped on it.
        port: Any that is free unless given.
        browser: Open the page.
    """
    try:
        from dslc.play.serve import serve
    except ImportError:
        raise UsageError("the playground needs starlette and uvicorn: pip install 'dslc[play]'") from None
    from dslc.language.parse import read

    text = DEMO if spec is None else read(Path(spec)).text
    serve(text, data or ("moons" if spec is None else "mnist"), port, browser)
