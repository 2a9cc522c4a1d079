"""Sequences, values of T x C: what the layers for images and vectors make of them."""

from __future__ import annotations

import numpy as np
import pytest

import dslc
from dslc.codegen.emit import emit
from dslc.compiler import check_text, plan_network
from dslc.language.diagnostics import DataError
from helpers import assert_agrees, data, load

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


SHARED = """
net Shared {
  input text: 40
  n = text -> lengths
  x = text -> embedding(80, 24, padding=0) -> positional
  a = x -> attention(2, causal=on, lengths=n)
  b = a -> conv1d(24, 3, pad=causal) -> layernorm
  scores = matmul(b, x, transpose=second) -> softmax
  c = matmul(scores, x)
  output word = add(a, c) -> dense(80) -> softmax
  output kind = c -> global_maxpool(lengths=n) -> dense(3) -> softmax
}
train {
  loss word: step_cross_entropy
  loss kind: cross_entropy
  optimizer adam(0.01)
  batch 32
}
"""


def test_the_same_bits_with_any_number_of_threads(rng: np.random.Generator) -> None:
    """Two steps, and what is predicted after them; the kernels of sequences are shared."""
    models = {n: dslc.loads(SHARED, threads=n) for n in (1, 2)}
    shared = {k.operation.name.rpartition("_")[0] for k in models[2].plan.steps[2].kernels if k.parallel}
    assert {"attention1", "conv1d1", "matmul1", "matmul2", "embedding1"} <= shared
    batches = [data(models[1].network, n, rng, "float32") for n in (32, 9)]
    results = []
    for model in models.values():
        losses = [model.train_step(*batch) for batch in batches]
        weights = {name: w.tobytes() for name, w in model.copy_weights().items()}
        results.append((losses, weights, {name: y.tobytes() for name, y in model.predict(batches[0][0]).items()}))
    assert results[0] == results[1]


def test_text_does_not_grow_with_the_steps() -> None:
    """As many lines of C for five times as many steps, but for the last tiles of registers, which are cut otherwise."""
    lines = [
        emit(plan_network(check_text(SHARED.replace("text: 40", f"text: {steps}")))).code.count("\n")
        for steps in (200, 1000)
    ]
    assert abs(lines[0] - lines[1]) < 20
