"""What notebooks and MLflow show: tables of a network, a model and a history, progress in a cell, logged runs."""

from __future__ import annotations

import re
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import dslc
from dslc.callbacks import MLflow
from dslc.language.diagnostics import UsageError
from dslc.runtime.model import Model
from dslc.runtime.training.history import History
from dslc.runtime.training.notebook import NotebookProgress

Data = tuple[np.ndarray, np.ndarray]
SPEC = """param units = 4
net Tiny {
  input x: 3
  dense(units) -> relu
  dense(2) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(lr=0.01)
  batch 8
  epochs 8
}
"""


class Cells(HTMLParser):
    """The cells of all rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag in ("td", "th")
        if tag == "tr":
            self.rows.append([])

    def handle_data(self, data: str) -> None:
        if self.inside and data.strip():
            self.rows[-1].append(data)


@pytest.fixture(scope="module")
def model() -> Model:
    return dslc.loads(SPEC)


@pytest.fixture(scope="module")
def data() -> Data:
    random = np.random.default_rng(0)
    return random.random((40, 3)), random.integers(0, 2, 40)


def test_a_network_and_a_model(model: Model) -> None:
    """Rows as the sizes of the spec say; the model has the same as text, with the memory of its plan."""
    rows = Cells(model.network._repr_html_()).rows
    assert rows[0] == ["layer", "output", "parameters", "multiply-adds"] and rows[1] == ["dense1", "4", "16", "12"]
    shown = model._repr_html_()
    assert Cells(shown).rows == rows and "data:image/svg+xml" in shown and f"{model.plan.arena_bytes(True):,}" in shown
    lines = model.summary().splitlines()
    assert lines[0] == "Tiny: input x 3, float32" and lines[2].split() == rows[1]
    assert re.split(r"  +", lines[-2]) == ["total", "26", "20"] and "at a batch of 8" in lines[-1]
    undecided = dslc.loads(SPEC.replace("x: 3", "x: table { kind: category }"))
    assert "then the network is compiled" in undecided.summary() and "<table>" in undecided._repr_html_()


def test_a_history() -> None:
    history = History([{"epoch": 1.0, "loss": 0.5}, {"epoch": 2.0, "loss": 0.25}], 2, "a <word>")
    shown = history._repr_html_()
    assert Cells(shown).rows == [["epoch", "loss"], ["1", "0.5"], ["2", "0.25"]]
    assert shown.index("font-weight: bold") > shown.index("<td>0.5</td>") and "a &lt;word&gt;" in shown
    assert "<table>" in History()._repr_html_()


def test_progress_in_a_cell(
    model: Model,
    data: tuple[np.ndarray, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One display that is replaced, and nothing printed; the last epochs stay."""
    shown: list[str] = []
    display = pytest.importorskip("IPython.display")

    class Handle:
        def update(self, found: object) -> None:
            shown.append(found.data)

    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setattr(
        display, "display", lambda found, display_id: shown.append(found.data) or (display_id and Handle())
    )
    history = model.copy().fit(*data, progress="auto")
    assert len(shown) >= 10 and "<progress" in shown[1] and "<progress" not in shown[-1]
    assert "... 2 epochs before\nepoch 3  loss" in shown[-1] and f"loss {history.records[-1]['loss']:.4g}" in shown[-1]
    assert "... 0 epochs before" not in "".join(shown), "six epochs have room"
    progress = NotebookProgress()
    progress.begin(epochs=1, examples=40)
    progress.drawn, before = time.monotonic(), len(shown)
    progress.advance(1, 8, 0.5)
    assert len(shown) == before, "too soon to be drawn again"
    assert "nan" not in "".join(shown) and capsys.readouterr() == ("", "")


def test_mlflow(
    model: Model, data: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read back with MLflow's own client: settings, a metric an epoch, the spec; its run is ended, another's is not."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    history = model.copy().fit(*data, dev=data, epochs=3, callbacks=[MLflow("mine")])
    assert mlflow.active_run() is None
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("Default").experiment_id])
    assert run.info.run_name == "mine" and run.data.params["epochs"] == "8" and run.data.params["units"] == "4"
    assert run.data.params["optimizer"].startswith("adam(lr=0.01") and run.data.tags["stopped"] == "epochs"
    logged = [point.value for point in client.get_metric_history(run.info.run_id, "dev_loss")]
    assert logged == pytest.approx([record["dev_loss"] for record in history.records])
    assert "dense(units)" in mlflow.artifacts.load_text(f"{run.info.artifact_uri}/spec.net")
    with mlflow.start_run() as mine:
        model.copy().fit(*data, epochs=1, callbacks=[MLflow()])
        assert mlflow.active_run().info.run_id == mine.info.run_id
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UsageError, match=r"pip install 'dslc\[mlflow\]'"):
        MLflow()
