"""`dslc draw`: a network as a diagram."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from dslc.cache import write_whole
from dslc.cli.app import Define, Spec, app, examples, overrides, writing
from dslc.compiler import check_file
from dslc.language.diagnostics import CallError, UsageError

if TYPE_CHECKING:
    from dslc.diagram.boxes import Diagram

FORMATS = (".svg", ".html", ".dot", ".png")


@app.command(
    help_epilogue=examples(
        "dslc draw lenet5 -o lenet5.svg",
        "dslc draw residual --unfold -o residual.html",
        "dslc draw specs/vgg16.net -o vgg16.png",
    )
)
def draw(
    spec: Spec,
    *,
    output: Annotated[str, Parameter(name=["-o", "--output"])],
    unfold: Annotated[bool, Parameter(negative=())] = False,
    define: Define = None,
) -> None:
    """Draw a network: a box a layer or block with its parameters, and the sizes between them.

    Args:
        output: The file to write: an .svg, an .html, a .dot for Graphviz, or a .png, which needs Graphviz.
        unfold: Draw the layers of blocks, too.
    """
    from dslc.diagram.boxes import diagram_of

    path = Path(output)
    if path.suffix not in FORMATS:
        raise CallError(f"the ending of {output} tells the format: {', '.join(FORMATS)}")
    diagram = diagram_of(check_file(spec, overrides(define)), unfold)
    with writing(path):
        write_whole(path, _drawn(diagram, path.suffix))
    print(f"{len(diagram.boxes)} boxes in {path}")


def _drawn(diagram: Diagram, ending: str) -> bytes:
    from dslc.diagram.dot import to_dot
    from dslc.diagram.svg import to_html, to_svg

    if ending == ".png":
        return _png(diagram)
    return {".svg": to_svg, ".html": to_html, ".dot": to_dot}[ending](diagram).encode()


def _png(diagram: Diagram) -> bytes:
    """As Graphviz draws it."""
    import shutil
    import subprocess

    from dslc.diagram.dot import to_dot

    program = shutil.which("dot")
    if program is None:
        raise UsageError("a .png is drawn by Graphviz's dot, which is not installed; an .svg needs nothing")
    done = subprocess.run(
        [program, "-Tpng", "-Gdpi=144"], input=to_dot(diagram).encode(), capture_output=True, check=False
    )
    if done.returncode:
        raise UsageError(f"dot failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
