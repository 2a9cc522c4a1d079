"""What is shown while it trains."""

from __future__ import annotations

import io
import math

from rich.console import Console

from dslc.runtime.training.progress import BarProgress


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
    assert "loss 2.5000" in after and "128/640" in after
