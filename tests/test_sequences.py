"""Sequences, values of T x C: what the layers for images and vectors make of them."""

from __future__ import annotations

import numpy as np
import pytest

import dslc
from dslc.language.diagnostics import DataError
from helpers import assert_agrees, load

ROWWISE = """
net Rowwise {
  input x: 7x5
  input g: 5
  n = x -> standardize -> noise(0.2)
  a = n -> dense(8, bias=off) -> batchnorm -> relu -> groupnorm(2) -> rmsnorm -> dropout(0.2)
  b = n -> dense(16) -> glu -> l2_normalize -> prelu -> scale -> alpha_dropout(0.1) -> drop_path(0.2)
  c = add(a, b) -> softmax -> instancenorm(affine=on)
  d = concat(c, n) -> lrn -> maxout(13)
  gate = g -> dense(1) -> sigmoid
  e = multiply(a, gate) -> log_softmax -> dense(3) -> gelu
  h = e -> flatten -> reshape(3x7) -> dense(4)
  f = d -> global_maxpool(keep=on)
  output one = multiply(h, f) -> linear
  output two = e -> softmax
}
train {
  loss one: mse
  loss two: step_cross_entropy
  optimizer adam(0.01)
  batch 6
}
"""
"""Layers without an example of a sequence of their own."""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_layers_work_on_every_step(dtype: str, rng: np.random.Generator) -> None:
    model = load(ROWWISE, rng, dtype)
    for n in (6, 1):
        assert_agrees(model, n, rng)


def test_words_are_whole_numbers(rng: np.random.Generator) -> None:
    """What is no word is refused, and where it stands; bytes are words too, not pictures."""
    model = dslc.loads(
        "net Text {\n  input text: 6\n  embedding(9, 3, init=constant(2)) -> global_avgpool -> dense(2) -> softmax\n}\n"
        "train {\n  loss cross_entropy\n  optimizer sgd(0.1)\n  batch 4\n}\n"
    )
    before = model.parameters["embedding1.weight"].numpy()
    assert (before == 2).all()
    text = rng.integers(0, 9, (5, 6))
    for words in (text, text.astype(np.uint8), text.astype(np.float32)):
        assert np.array_equal(model.predict(words), model.predict(text))
    for wrong, found in ((9, "9"), (-1, "-1"), (1.5, "1.5")):
        bad = text.astype(np.float32)
        bad[3, 4] = wrong
        expected = f"input text is {found} at place 4 in example 3.*: embedding1 wants whole numbers from 0 to 8"
        for call in (model.predict, lambda x: model.train_step(x, np.zeros(5)), lambda x: model.fit(x, np.zeros(5))):
            with pytest.raises(DataError, match=expected):
                call(bad)
    assert np.array_equal(model.parameters["embedding1.weight"].numpy(), before)


def test_arrays_of_sequences(rng: np.random.Generator) -> None:
    """(n, T, C); one channel needs no axis; nothing else fits."""
    model = dslc.loads("net One {\n  input x: 6x1\n  dense(2)\n}\n")
    x = rng.normal(size=(3, 6, 1)).astype(np.float32)
    assert model.predict(x).shape == (3, 6, 2)
    assert np.array_equal(model.predict(x[..., 0]), model.predict(x))
    with pytest.raises(DataError, match=r"expected the shape \(n, 6, 1\), found \(3, 6, 2\)"):
        model.predict(np.zeros((3, 6, 2)))
