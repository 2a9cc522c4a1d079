"""What comments in a page ask for: pictures and C of the spec above them."""

from __future__ import annotations

import base64
import re
from functools import cache

from dslc.codegen.by_layer import LayerFunction, functions_by_layer
from dslc.compiler import check_text, emit_network, plan_network
from dslc.diagram.boxes import diagram_of
from dslc.diagram.svg import to_svg
from dslc.target import TARGETS

PIECES = re.compile(
    r"```net\n(?P<net>.*?)```|<!-- picture -->|<!-- c: (?P<c>[^>]*?) -->|<!-- c-file: (?P<file>[^\n]*?) -->", re.DOTALL
)


def expanded(markdown: str) -> str:
    """The page with everything filled in."""
    spec = ""

    def fill(match: re.Match[str]) -> str:
        nonlocal spec
        if match["net"] is not None:
            spec = match["net"]
            return match[0]
        if match["c"] is not None:
            return c_of(spec, *match["c"].split())
        return picture(spec) if match["file"] is None else passage(spec, match["file"])

    return PIECES.sub(fill, markdown)


def picture(spec: str) -> str:
    """The diagram of a spec, in the page itself."""
    network = check_text(spec)
    svg = base64.b64encode(to_svg(diagram_of(network)).encode()).decode()
    return f'<img class="diagram" alt="diagram of {network.name}" src="data:image/svg+xml;base64,{svg}">'


def c_of(spec: str, layer: str, *jobs: str) -> str:
    """The functions of a layer, all or those of some jobs, as blocks of C.

    Raises:
        ValueError: there are none.
    """
    found = [f for f in functions(spec)[layer] if not jobs or any(_does(f, job) for job in jobs)]
    if not found:
        raise ValueError(f"no function of {layer} for {jobs}: {[f.name for f in functions(spec)[layer]]}")
    return "\n\n".join(f"```c\n{f.code}```" for f in found)


def passage(spec: str, pattern: str) -> str:
    """The part of the whole C file that a regular expression finds, as a block of C.

    Raises:
        ValueError: there is none.
    """
    found = re.search(pattern, _file(spec), re.DOTALL | re.MULTILINE)
    if found is None:
        raise ValueError(f"nothing in the C file is {pattern}")
    return f"```c\n{found[0].strip()}\n```"


@cache
def _file(spec: str) -> str:
    return emit_network(check_text(spec), TARGETS["c99"]).code


def _does(function: LayerFunction, job: str) -> bool:
    """Whether a function of a layer is for a job: its name is the layer, or the kind of several, and the job."""
    return re.search(rf"_{job}(_|$)", function.name) is not None


@cache
def functions(spec: str) -> dict[str, tuple[LayerFunction, ...]]:
    """Plain C for one thread, without vectors, which is the easiest to read."""
    return functions_by_layer(plan_network(check_text(spec), TARGETS["c99"], threads=1), alone=True)
