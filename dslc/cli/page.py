"""The page of a run, from its folder, its model and what was found on its data: `dslc train` and `dslc report` write
the same."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

from dslc.diagram.boxes import diagram_of
from dslc.diagram.svg import to_svg
from dslc.language.diagnostics import UsageError
from dslc.runtime.analysis.diagnosis import Gap
from dslc.runtime.analysis.findings import Findings
from dslc.runtime.analysis.report import Run, render_report
from dslc.runtime.analysis.vega import vega_script
from dslc.runtime.model import Model
from dslc.runtime.runs.folder import HISTOGRAMS
from dslc.runtime.runs.metadata import RunMetadata
from dslc.runtime.training.histograms import read_histograms
from dslc.runtime.training.history import History


def page_of(
    folder: Path,
    model: Model,
    history: History,
    metadata: RunMetadata | None,
    results: Mapping[str, dict[str, float]],
    findings: Findings,
    gaps: tuple[Gap, ...] = (),
) -> str:
    """The page as HTML. It depends on the run's files and data alone: made again it has the same bytes."""
    facts = {} if metadata is None else {"data": _data(metadata), **metadata.environment}
    run = Run(
        network=model.network,
        history=history,
        results=results,
        findings=findings,
        gaps=gaps,
        facts=facts,
        diagram=to_svg(diagram_of(model.network)),
        histograms=tuple(read_histograms(folder / HISTOGRAMS)),
    )
    return render_report(run, script_or_note("the report"))


def _data(metadata: RunMetadata) -> str:
    return metadata.data if metadata.target is None else f"{metadata.data}, target {metadata.target}"


def script_or_note(page: str) -> str:
    """Vega; empty, and a line that says what to install, where it is missing. page: what has no charts then."""
    try:
        return vega_script()
    except UsageError as error:
        warnings.warn(f"{page} has no charts: {error}", stacklevel=2)
        return ""
