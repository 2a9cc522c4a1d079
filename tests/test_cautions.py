"""Notes about batch norm where mini-batches are tiny, at check and at fit."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import dslc
from dslc.compiler import check_text
from dslc.ir import Network
from dslc.runtime.training.cautions import small_batches

SPEC = """net Normalized {
  input x: 3
  dense(4) -> batchnorm -> relu -> batchnorm(momentum=0.5MORE) -> dense(2)
}
train {
  loss mse
  optimizer sgd(0.01)
  batch BATCH
}
"""


def network_with(batch: object, more: str = "") -> Network:
    return check_text(SPEC.replace("BATCH", str(batch)).replace("MORE", more))


@pytest.mark.parametrize(("batch", "words"), [(1, "a single example"), (2, "only 2 examples")])
def test_check_notes_tiny_mini_batches(batch: int, words: str) -> None:
    """A note for each batchnorm that learns, in its line; none for a frozen one."""
    notes = network_with(batch).notes
    assert [note.title for note in notes] == [
        f"batchnorm{i} gets mean and variance from {words}, and its running averages too" for i in (1, 2)
    ]
    assert [note.span.text for note in notes] == ["batchnorm", "batchnorm(momentum=0.5)"]
    assert len(network_with(batch, ", freeze=on").notes) == 1


@pytest.mark.parametrize("batch", [3, 64, "all"])
def test_no_note_where_there_are_enough(batch: object) -> None:
    assert not network_with(batch).notes


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ("1", "each mini-batch has a single example"),
        ("2", "each mini-batch has only 2"),
        ("4 in 2", "each slice has only 2"),
    ],
)
def test_fit_warns_of_tiny_mini_batches(batch: str, words: str) -> None:
    """As check does, for those who train without it; not where batch norm is frozen."""
    assert str(small_batches(network_with(batch), 40)).startswith(words)
    frozen = network_with(batch, ", freeze=on")
    assert "batchnorm1:" in str(small_batches(frozen, 40))
    x = np.random.default_rng(0).normal(size=(12, 3))
    with pytest.warns(UserWarning, match=words):
        dslc.loads(SPEC.replace("BATCH", batch).replace("MORE", "")).fit(x, x[:, :2], epochs=1)


def test_fit_warns_of_a_tiny_last_mini_batch() -> None:
    """It says how many they are, how much they count, and a batch that leaves none or more of them."""
    model = dslc.loads(SPEC.replace("BATCH", "4").replace("MORE", ""))
    random = np.random.default_rng(1)
    x, y = random.standard_normal((9, 3)), random.standard_normal((9, 2))
    with pytest.warns(UserWarning, match="9 examples in mini-batches of 4 .* single example.* 0.5 of .* batch 5"):
        model.fit(x, y, epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(x[:8], y[:8], epochs=1)


@pytest.mark.parametrize("batch", [3, 5, 16, 64, 100])
@pytest.mark.parametrize("examples", [1, 2, 5, 64, 65, 66, 67, 101, 1001])
def test_the_advice_helps(batch: int, examples: int) -> None:
    """There is a warning exactly for one or two left, and none with the batch that it proposes."""
    text = small_batches(network_with(batch), examples)
    assert (text is not None) == (examples % batch in (1, 2))
    if text is not None and "use batch" in text:
        better = int(text.partition("use batch ")[2].partition(",")[0])
        assert small_batches(network_with(better), examples) is None
    assert examples < 3 or text is None or "use batch" in text


def test_slices_are_noted() -> None:
    """A batch norm sees one slice at a time, which may be of two examples."""
    titles = [note.title for note in network_with("12 in 3").notes]
    assert titles[0] == "batchnorm1 gets mean and variance from each slice of 4 examples, not from the whole mini-batch"
    assert "only 2 examples" in network_with("12 in 6").notes[1].title
    text = small_batches(network_with("12 in 3"), 29)
    assert text is not None and "29 examples in slices of 4 the last one has a single example" in text
