"""Tuning: what is timed is what fits, what is kept is found again, and it is what then runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.cli.main import run
from dslc.cli.ranks import note_tuning
from dslc.compiler import check_text, plan_network
from dslc.planning import tuned
from dslc.planning.planner import Options
from dslc.planning.tuned import save_tuned, tuned_options
from dslc.runtime.native.ranks import ALONE, Ranks
from dslc.runtime.tune import Trial, tune
from helpers import assert_agrees

TEXT = """net Tuned {
  input image: 9x9x16
  conv(16, 3x3, pad=same) -> relu
  flatten
  dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer sgd(lr=0.1)
  batch 4
}
"""


@pytest.fixture
def untuned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found goes to a folder of the test's own; modules stay in the cache."""
    monkeypatch.setattr(tuned, "cache_folder", lambda: tmp_path)


@pytest.mark.slow
def test_times_what_fits() -> None:
    """Every algorithm of the convolution but the one that is chosen anyway; the answer is among them."""
    trials: list[Trial] = []
    options = tune(check_text(TEXT), 1, trials.append)
    tried = {trial.algorithm for trial in trials if "conv1_forward" in trial.operations}
    assert {"direct", "winograd2x3", "winograd4x3"} - tried <= {"direct", "winograd2x3", "winograd4x3"}
    assert len(tried) >= 2
    assert all(trial.share > 0 for trial in trials)
    assert {name for name, _ in options.algorithms} <= {name for trial in trials for name in trial.operations}


@pytest.mark.parametrize("choice", ["direct", "winograd2x3", "winograd4x3"])
@pytest.mark.usefixtures("untuned")
def test_what_was_kept_is_what_runs(choice: str, rng: np.random.Generator) -> None:
    network = check_text(TEXT)
    save_tuned(network, None, 1, Options(algorithms=(("conv1_forward", choice),)))
    assert tuned_options(network, None, 1).algorithms == (("conv1_forward", choice),)
    assert not tuned_options(network, None, 2).algorithms
    model = dslc.loads(TEXT)
    forward = next(k for k in model.plan.steps[0].kernels if k.operation.name == "conv1_forward")
    assert forward.operation.choice == choice
    assert_agrees(model, 3, rng)


@pytest.mark.usefixtures("untuned")
def test_what_was_kept_is_for_slices_of_one_size() -> None:
    """Kernels take a slice at once: 4 of 4 and 4 of 8 examples are alike, and 2 of 4 are not."""
    options = Options(algorithms=(("conv1_forward", "direct"),))
    save_tuned(check_text(TEXT), None, 1, options)
    assert tuned_options(check_text(TEXT.replace("batch 4", "batch 8 in 2")), None, 1) == options
    assert not tuned_options(check_text(TEXT.replace("batch 4", "batch 4 in 2")), None, 1).algorithms
    assert not tuned_options(check_text(TEXT), 8, 1).algorithms


@pytest.mark.usefixtures("untuned")
def test_ranks_take_what_was_tuned_for_their_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """4 examples over two ranks are 2 for each: what is found for 4 is not for them, and a note says what is."""
    network, options, ranks = check_text(TEXT), Options(algorithms=(("conv1_forward", "direct"),)), Ranks()
    ranks.size = 2
    note_tuning(network, ranks, 2)
    save_tuned(network, None, 1, options)
    note_tuning(network, ALONE, 4)
    assert capsys.readouterr().err == ""
    note_tuning(network, ranks, 2)
    assert f"`dslc compile SPEC --tune -D batch=2 --threads {ranks.cores()}` does that" in capsys.readouterr().err
    save_tuned(check_text(TEXT, {"batch": 2}), None, 1, options)
    note_tuning(network, ranks, 2)
    assert capsys.readouterr().err == ""
    plan = plan_network(network, None, 2, over_ranks=True)
    (forward,) = (
        k for step in plan.steps for k in step.kernels if k.operation.name == "conv1_forward" and step.name == "train"
    )
    assert forward.operation.choice == "direct"
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "2")
    (tmp_path / "s.net").write_text(TEXT)
    assert run(["compile", str(tmp_path / "s.net"), "--tune"]) == 2
    assert "--tune times one process alone: leave out mpiexec" in capsys.readouterr().err


@pytest.mark.usefixtures("untuned")
def test_a_broken_file_is_no_file() -> None:
    network = check_text(TEXT)
    path = save_tuned(network, None, 1, Options(algorithms=(("conv1_forward", "direct"),)))
    path.write_text("{")
    assert not tuned_options(network, None, 1).algorithms
