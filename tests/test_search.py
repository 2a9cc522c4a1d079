"""Hyperparameter search: ranges and scales, the same trials from the same seed, files left behind."""

from __future__ import annotations

import csv
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("optuna")
pytest.importorskip("matplotlib")

import optuna

from dslc.cli.main import run
from dslc.codegen.emit import emit
from dslc.codegen.text import without_comments
from dslc.compiler import check_text, compile_plan
from dslc.runtime.model import Model
from dslc.runtime.runs.folder import load_run
from dslc.runtime.search import ranges, sampling, storage, workers
from dslc.runtime.search.metric import metric_of
from dslc.runtime.training.history import History
from dslc.runtime.training.spec_text import to_source

SPEC = """
param lr = 0.1 in log(1e-4, 1)
param beta = 0.9 in one_minus_log(0.9, 0.999)
param kind = same in choice(same, valid)
net Tiny {
  input x: 4x4x1
  conv(1, 3x3, pad=kind) -> tanh
  flatten
  dense(3) -> softmax
}
train {
  loss      cross_entropy
  optimizer momentum(lr, beta=beta)
  batch     8
  epochs    2
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("tiny.net").write_text(SPEC)
    random = np.random.default_rng(0)
    x = random.random((60, 4, 4, 1))
    y = (x.mean(axis=(1, 2, 3)) * 10).astype(int) % 3
    np.savez("d.npz", x=x[:40], y=y[:40], x_dev=x[40:], y_dev=y[40:])
    return tmp_path


def trials(file: str) -> list[dict[str, str]]:
    with open(file, newline="") as opened:
        return sorted(csv.DictReader(opened), key=lambda row: int(row["trial"]))


def drawn(file: str) -> list[tuple[str, ...]]:
    return [(t["lr"], t["beta"], t["kind"]) for t in trials(file)]


@pytest.mark.slow
def test_files_and_the_same_trials_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Five trials at once are the five of two calls that share a journal; the best one's run is kept as trained."""
    command = ["search", "tiny.net", "--data", "d.npz"]
    assert run([*command, "--trials", "5", "--run", "a"]) == 0
    table = capsys.readouterr().out
    assert "Tiny: 5 trials" in table and {p.name for p in Path("a").iterdir()} == {
        "best", "trials.csv", "parallel_coordinates.png", "importance.png",
    }  # fmt: skip
    for count, run_ in (("3", "b"), ("2", "c")):
        assert run([*command, "--trials", count, "--run", run_, "--storage", "s.journal"]) == 0
    assert drawn("a/trials.csv") == drawn("c/trials.csv") and len(set(drawn("a/trials.csv"))) == 5
    assert run([*command, "--trials", "5", "--run", "d", "--seed", "7"]) == 0
    assert drawn("d/trials.csv") != drawn("a/trials.csv")
    best = min(trials("a/trials.csv"), key=lambda t: float(t["dev_loss"]))
    model = load_run("a/best", 1)
    assert {p.name: to_source(p.value) for p in model.network.params} == {k: best[k] for k in ("lr", "beta", "kind")}
    data = np.load("d.npz")
    assert model.evaluate(data["x_dev"], data["y_dev"])["loss"] == pytest.approx(float(best["dev_loss"]), rel=1e-12)


def test_the_table_shows_whole_numbers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rounded to five digits where the table of the file has all of them, whatever their size: 2.6191e-05. What must be
    a whole number is drawn as one."""
    text = SPEC.replace("0.1 in log(1e-4, 1)", "5e-5 in log(1e-5, 9e-5)\nparam size = 8 in log(2.5, 40)")
    Path("tiny.net").write_text(text.replace("batch     8", "batch size"))
    with pytest.warns(UserWarning, match="size is drawn in whole numbers: the file takes no others"):
        assert run(["search", "tiny.net", "--data", "d.npz", "--trials", "3", "--run", "r"]) == 0
    title, header, *rows = capsys.readouterr().out.splitlines()[:5]
    assert title == "Tiny: 3 trials"
    shown = {row[0]: dict(zip(header.split(), row, strict=False)) for row in (line.split() for line in rows)}
    for trial in trials("r/trials.csv"):
        row = shown[trial["trial"]]
        assert row["kind"] == trial["kind"] and 3 <= int(row["size"]) <= 40 and row["size"] == trial["size"]
        assert trial["state"] == "complete"
        for column in ("lr", "beta", "dev_loss"):
            assert float(row[column]) == float(f"{float(trial[column]):.5g}"), column
        assert trial["lr"].endswith("e-05") and len(trial["lr"]) > 15


@pytest.mark.parametrize("name", ["s.db", "s.journal"])
def test_workers_that_start_together(name: str, folder: Path) -> None:
    """On a storage that is not there yet: one of them makes it, all of them use it."""
    barrier = threading.Barrier(3)

    def start(_: int) -> str:
        barrier.wait()
        return optuna.create_study(storage=storage.open_storage(name), study_name="a", load_if_exists=True).study_name

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(start, range(3))) == ["a"] * 3


def test_a_lock_that_a_killed_worker_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a journal in another folder, named from here: it is waited for as long as Optuna says and no longer, also
    where the link leads nowhere, as those of earlier versions do."""
    Path("there").mkdir()
    backend = storage.open_storage("there/s.journal")._backend
    assert Path(backend._lock._lock_target_file).is_absolute()
    os.symlink("there/s.journal", "there/s.journal.lock")
    assert not Path("there/s.journal.lock").exists(), "from its own folder the name leads nowhere"
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    optuna.create_study(storage=storage.open_storage("there/s.journal"))
    assert not os.path.lexists("there/s.journal.lock")


@pytest.mark.parametrize("name", ["gone/s.db", "gone/s.journal"])
def test_a_storage_that_cannot_be_made_is_told(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["search", "tiny.net", "--data", "d.npz", "--storage", name]) == 1
    assert f"cannot open the storage {name}: No such file" in capsys.readouterr().err


def test_values_spread_as_the_range_says() -> None:
    """On a log scale of 1 - beta a half of the draws lies above 0.99; on a linear scale only a tenth would."""
    study = optuna.create_study(sampler=sampling.PerTrialSampler("random", 1))
    params = {p.name: p for p in check_text(SPEC).params}
    asked = [study.ask() for _ in range(400)]
    betas = np.array([ranges.suggest(t, params["beta"]) for t in asked])
    rates = np.array([ranges.suggest(t, params["lr"]) for t in asked])
    assert betas.min() >= 0.9 and betas.max() <= 0.999 and rates.min() >= 1e-4 and rates.max() <= 1
    assert np.mean(betas > 0.99) == pytest.approx(0.5, abs=0.08)
    assert np.mean(rates < 1e-2) == pytest.approx(0.5, abs=0.08)


def test_metric() -> None:
    accuracy = check_text(SPEC.replace("epochs    2", "stop early(3, metric=dev_accuracy)")).training
    loss = check_text(SPEC).training
    assert accuracy is not None and loss is not None
    history = History([{"dev_loss": 2.0, "dev_accuracy": 0.5}, {"dev_loss": float("nan"), "dev_accuracy": 0.7}])
    assert metric_of(loss).best_record(history) == history.records[0]
    assert metric_of(accuracy).best_record(history) == history.records[1]


def test_metric_with_bounds() -> None:
    """The smallest network whose F1 is good enough; an epoch below it does not count."""
    spec = SPEC.replace("epochs    2", "optimize parameters subject_to f1 >= 0.6")
    training = check_text(spec).training
    assert training is not None and training.metrics == ("f1",)
    metric = metric_of(training)
    records = [{"parameters": 9.0, "dev_f1": 0.5}, {"parameters": 12.0, "dev_f1": 0.7}]
    assert not metric.maximize and metric.best_record(History(records)) == records[1]
    assert metric.best_record(History(records[:1])) is None
    assert metric.why_none(History(records[:1])) == "no epoch met dev_f1 >= 0.6"


def test_trials_out_of_bounds_do_not_count(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """9 + 1 parameters of the convolution, and 3 outputs of 4x4 or 2x2 values: 61 with padding, 25 without."""
    bounded = "optimize accuracy subject_to parameters <= 30\n  epochs 2"
    Path("tiny.net").write_text(SPEC.replace("epochs    2", bounded))
    assert run(["search", "tiny.net", "--data", "d.npz", "--trials", "6", "--run", "r"]) == 0
    rows = trials("r/trials.csv")
    assert {(t["kind"], t["state"], t["why"]) for t in rows} == {
        ("same", "fail", "no epoch met parameters <= 30"), ("valid", "complete", ""),
    }  # fmt: skip
    best = max(float(t["dev_accuracy"]) for t in rows if t["state"] == "complete")
    model = load_run("r/best", 1)
    data = np.load("d.npz")
    assert model.evaluate(data["x_dev"], data["y_dev"])["accuracy"] == pytest.approx(best)


@pytest.mark.slow
def test_hopeless_trials_are_pruned(folder: Path) -> None:
    """Learning rates that blow the loss up end before their last epoch."""
    Path("tiny.net").write_text(SPEC.replace("log(1e-4, 1)", "log(1e-4, 1000)").replace("epochs    2", "epochs 4"))
    assert run(["search", "tiny.net", "--data", "d.npz", "--trials", "14", "--prune", "median", "--run", "r"]) == 0
    assert {t["state"] for t in trials("r/trials.csv")} >= {"complete", "pruned"}
    assert all(t["dev_loss"] for t in trials("r/trials.csv") if t["state"] == "complete")


def test_a_combination_that_does_not_check_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("tiny.net").write_text(SPEC.replace("3x3, pad=kind", "5x5, pad=kind"))
    assert run(["search", "tiny.net", "--data", "d.npz", "--trials", "5", "--run", "r", "--sampler", "tpe"]) == 0
    rows = trials("r/trials.csv")
    assert {(t["kind"], t["state"]) for t in rows} == {("same", "complete"), ("valid", "fail")}
    assert all("larger than its input" in t["why"] for t in rows if t["state"] == "fail")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plain.net", "--data", "d.npz"], "nothing to search"),
        (["one.net", "--data", "d.npz", "-D", "lr=0.1"], "nothing is left to search: -D fixes lr"),
        (["tiny.net", "--data", "d.npz", "--trials", "0"], "--trials must be at least 1"),
    ],
)
def test_bad_calls(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    plain = SPEC.replace(" in log(1e-4, 1)", "").replace(" in one_minus_log(0.9, 0.999)", "")
    plain = plain.replace(" in choice(same, valid)", "")
    Path("plain.net").write_text(plain)
    Path("one.net").write_text(plain.replace("lr = 0.1", "lr = 0.1 in log(1e-4, 1)"))
    assert run(["search", *arguments]) in (1, 2)
    assert words in capsys.readouterr().err and not Path("runs").exists()


def test_another_search_under_the_same_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["search", "tiny.net", "--data", "d.npz", "--trials", "1", "--storage", "s.journal", "--run", "r"]
    assert run(command) == 0
    assert run([*command, "-D", "lr=0.1"]) == 1
    assert "searched other params or ranges" in capsys.readouterr().err


def test_a_study_is_of_one_search(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other epochs, another optimizer, other data: trials that cannot be compared."""
    command = ["search", "tiny.net", "--data", "d.npz", "--trials", "1", "--storage", "s.db"]
    assert run([*command, "--run", "a"]) == 0
    for number, (more, words) in enumerate(
        {
            ("--epochs", "3"): "is of another search (epochs: 2, now 3)",
            ("-D", "batch=4"): "the spec had `batch     8`, now `batch     4`",
        }.items()
    ):
        assert run([*command, *more, "--run", f"b{number}"]) == 1
        assert words in capsys.readouterr().err
    data = dict(np.load("d.npz"))
    np.savez("d.npz", **{**data, "x": data["x"][::-1]})
    assert run([*command, "--run", "c"]) == 1 and "is of another search (inputs: " in capsys.readouterr().err
    np.savez("d.npz", **{**data, "y": data["y"][::-1]})
    assert run([*command, "--run", "c"]) == 1 and "is of another search (data: 40 + 20" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["s.db", "s.journal"])
def test_the_trial_of_a_killed_worker_is_tried_again(name: str, folder: Path) -> None:
    """As often as it may be the trial that kills its workers. Whoever lives keeps his trial."""
    study = optuna.create_study(storage=storage.open_storage(name))
    mine = study.ask()
    workers.sign(mine)
    for attempt in range(storage.MAX_RETRIES + 1):
        trial = study.ask()
        x = trial.suggest_float("x", 0, 1)
        assert workers.retry_trials_of_dead_workers(study) == [], "nobody has signed it"
        workers.sign(trial)
        signed = study.trials[trial.number].user_attrs[workers.ATTRIBUTE]
        trial.set_user_attr(workers.ATTRIBUTE, {**signed, "started": "1"})
        assert workers.retry_trials_of_dead_workers(study) == [trial.number]
        assert study.trials[trial.number].state.name == "FAIL"
        waiting = [t for t in study.trials if t.state.name == "WAITING"]
        assert [t.params["x"] for t in waiting] == ([x] if attempt < storage.MAX_RETRIES else [])
    assert study.trials[mine.number].state.name == "RUNNING"


@pytest.mark.slow
def test_jobs(folder: Path) -> None:
    """The trials are the same ones, however many run at a time."""
    command = ["search", "tiny.net", "--data", "d.npz", "--trials", "5"]
    for jobs in ("1", "3"):
        assert run([*command, "--jobs", jobs, "--run", jobs]) == 0
    assert [(t["lr"], t["kind"], t["dev_loss"]) for t in trials("1/trials.csv")] == [
        (t["lr"], t["kind"], t["dev_loss"]) for t in trials("3/trials.csv")
    ]
    assert load_run("3/best", 1).network.params == load_run("1/best", 1).network.params


def test_trials_share_one_module(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is searched here are numbers at run time: the rest of the trials compile nothing."""
    made = []
    compilation = "dslc.runtime.native.compiled.compile_plan"
    monkeypatch.setattr(compilation, lambda plan: made.append(without_comments(emit(plan).code)) or compile_plan(plan))
    text = SPEC.replace(
        "kind = same in choice(same, valid)", "rate = 0.2 in uniform(0.1, 0.6)\nparam size = 8 in int(3, 16)"
    )
    text = text.replace("pad=kind", "pad=same").replace("  flatten\n", "  flatten -> dropout(rate)\n")
    text = text.replace("batch     8", "batch size\n  regularize l2(rate)\n  clip norm(rate)")
    Path("tiny.net").write_text(text)
    assert run(["search", "tiny.net", "--data", "d.npz", "--trials", "5", "--run", "r"]) == 0
    assert (
        len({t["size"] for t in trials("r/trials.csv")}) > 2
        and len({t["dev_loss"] for t in trials("r/trials.csv")}) > 2
    )
    assert len(set(made)) == 1


def test_mini_batches_that_several_params_make(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials have room for their own mini-batches, whatever the ends of the ranges say; what the file divides, or keeps
    in so much memory, is as in a training alone."""
    made: list[tuple[int, int]] = []
    for more, batch in (("", "a * b"), (" in 2", "a * b"), ("\n  memory low", "a + b")):
        text = SPEC.replace("kind = same in choice(same, valid)", "a = 4 in choice(4, 16)\nparam b = 2 in choice(2, 8)")
        Path("tiny.net").write_text(text.replace("pad=kind", "pad=same").replace("batch     8", f"batch {batch}{more}"))

        class Noting(Model):
            def fit(self, *given: object, **named: object) -> History:
                made.append((self.mini_batch, self.batch))
                return super().fit(*given, **named)  # type: ignore[arg-type]

        monkeypatch.setattr("dslc.runtime.search.search.Model", Noting)
        assert run(["search", "tiny.net", "--data", "d.npz", "--trials", "8", "--run", "r", "--overwrite"]) == 0
    assert {mini for mini, _ in made[:8]} == {8, 32, 128} and all(room >= mini for mini, room in made)
    assert all(room == mini for mini, room in made[8:])


def test_pareto(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The loss against the number of parameters, which only the padding changes: of each kind the best is kept."""
    command = ["search", "tiny.net", "--data", "d.npz", "--trials", "6", "--pareto", "parameters", "--run", "r"]
    assert run(command) == 0
    told, rows = capsys.readouterr().out, trials("r/trials.csv")
    losses = {kind: {t["trial"]: float(t["dev_loss"]) for t in rows if t["kind"] == kind} for kind in ("same", "valid")}
    assert {(t["kind"], t["parameters"]) for t in rows} == {("same", "61.0"), ("valid", "25.0")}
    (small, loss_of_small), (large, loss_of_large) = (
        min(losses[kind].items(), key=lambda item: item[1]) for kind in ("valid", "same")
    )
    front = {small, large} if loss_of_large < loss_of_small else {small}
    assert {path.name for path in Path("r").glob("trial-*")} == {f"trial-{number}" for number in front}
    assert all(f"best: trial {number}, run: r/trial-{number}" in told for number in front)
    assert Path("r/pareto_front.png").exists()


def test_what_cannot_be_weighed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["search", "tiny.net", "--data", "d.npz", "--pareto"]
    assert run([*command, "beauty"]) == 1
    assert "--pareto beauty: there are predict_us, parameters, kilobytes, " in capsys.readouterr().err
    assert run([*command, "parameters", "--prune", "asha"]) == 1
    assert "trials are pruned by one metric" in capsys.readouterr().err


def test_a_database_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["search", "tiny.net", "--data", "d.npz", "--storage", "nothing://here/now"]
    assert run(command) == 1
    assert "cannot open the storage nothing://here/now: " in capsys.readouterr().err
