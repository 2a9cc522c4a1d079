"""What is shown while it trains."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from dslc.language.diagnostics import DataError
from dslc.runtime.training.pace import Pace, duration
from dslc.runtime.training.progress import BarProgress, Progress, UntilItFails
from dslc.runtime.training.progress_kinds import make_progress


def shown(progress: BarProgress) -> str:
    """The bar as a terminal of a hundred columns shows it."""
    console = Console(file=io.StringIO(), width=100)
    console.print(progress.bar.get_renderable())
    return console.file.getvalue()


def test_the_bar_shows_a_loss_once_there_is_one() -> None:
    """Before the first slice is done there is none, nor where no label has come by yet."""
    progress = BarProgress()
    progress.begin(epochs=5, examples=640)
    before = shown(progress)
    progress.advance(1, 64, math.nan)
    without_labels = shown(progress)
    progress.advance(1, 128, 2.5)
    after = shown(progress)
    progress.end()
    assert "epoch 1" in before and "0/640" in before and "64/640" in without_labels
    for text in (before, without_labels):
        assert "nan" not in text and "loss" not in text
    assert "loss 2.5000" in after and "128/640" in after and "examples/s" in after and " left" in after


def test_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all epochs of a training that goes on with its sixth: 100 examples a second, 250 are left."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    pace, stream = Pace(3, 100, started=0.0), Pace(3, None, started=0.0)
    for seconds, (epoch, done) in enumerate([(6, 50), (6, 100), (7, 50)], 1):
        clock[0] = seconds / 2
        words, unknown = pace.words(epoch, done, 1.0), stream.words(epoch, done, math.nan)
    assert words == "loss 1.0000  100 examples/s  2s left" and pace.last == 8
    assert unknown == "100 examples/s"
    assert [duration(s) for s in (7.2, 187, 7387)] == ["7s", "3:07", "2:03:07"]


def test_kinds() -> None:
    assert type(make_progress(False)) is type(make_progress("none")) is Progress
    assert type(make_progress(True)) is type(make_progress("auto"))
    with pytest.raises(DataError, match="progress is one of bar, plain, json, none and auto, not 'bars'"):
        make_progress("bars")


@pytest.mark.parametrize("kind", ["plain", "json", "bar"])
def test_progress_that_cannot_be_written_ends(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first failure, and training is not told; a bar is stopped then, for which it may write once more."""

    class Full(io.StringIO):
        failures = 0

        def write(self, _: str) -> int:
            self.failures += 1
            raise OSError(28, "No space left on device")

    full = Full()
    monkeypatch.setattr("sys.stderr", full)
    progress = UntilItFails(make_progress(kind))
    progress.begin(2, 64)
    progress.advance(1, 32, 1.0)
    progress.epoch({"epoch": 1, "loss": 1.0, "lr": 0.1, "seconds": 1.0})
    failures = full.failures
    progress.epoch({"epoch": 2, "loss": 1.0, "lr": 0.1, "seconds": 1.0})
    progress.end()
    assert 1 <= full.failures == failures
