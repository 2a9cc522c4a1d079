"""Embeddings of categories: a row of a learned table for each value, as PyTorch has them, and zeros for a value that is
unknown."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import dslc
from dslc.compiler import check_text
from dslc.language.diagnostics import SpecError
from dslc.proofs.gradcheck import check_gradients
from dslc.proofs.verify import verify
from dslc.runtime.data.examples import DataNote
from dslc.runtime.data.random import random_batch
from dslc.runtime.model import Model
from dslc.target import TARGETS

SPEC = """net Places {
  input row: table {
    "home port": category(Cherbourg, Queenstown, Southampton) embedding=3
    age: number
    sex: category(female, male)
    cabin: category(A, B, C, D) missing=own embedding=5
  }
  dense(6) -> tanh -> dense(2) -> softmax
}
train {
  loss cross_entropy
  optimizer sgd(lr=0.1)
  batch 16
  epochs 2
}
"""
FIRST, SECOND = "row_embedding.home_port.weight", "row_embedding.cabin.weight"
ROWS = {
    "home port": ["Cherbourg", "Southampton", "Cherbourg", "Hull", "Southampton"],
    "age": [3, 20, 41, 20.5, 7],
    "sex": ["male", "female", "male", "female", "female"],
    "cabin": ["D", None, "A", "A", ""],
}
CODES = {"home port": [0, 2, 0, -1, 2], "cabin": [3, 4, 0, 0, 4]}
Y = [0, 1, 0, 0, 1]


def quiet(call: Any, *arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        return call(*arguments)


@pytest.fixture
def model() -> Model:
    made = dslc.loads(SPEC, dtype="float64")
    quiet(made.learn_columns, ROWS)
    return made


def test_the_input_has_a_code_for_each(model: Model) -> None:
    assert model.network.inputs[0].shape == (1 + 1 + 2 + 1,)
    assert model.network.nodes[0].output.shape == (3 + 1 + 2 + 5,)
    with pytest.warns(DataNote, match=r"column 'home port': .* 'Hull' \(1 row\)"):
        x = np.asarray(model.schema.inputs(model.network, ROWS))
    assert x[:, 0].tolist() == CODES["home port"] and x[:, 4].tolist() == CODES["cabin"]
    assert model.parameters[FIRST].shape == (3, 3) and model.parameters[SECOND].shape == (5, 5)


def test_rows_begin_as_large_as_standardized_numbers() -> None:
    values = ", ".join(f"v{i}" for i in range(900))
    many = dslc.loads(f"net A {{\n  input r: table {{ a: category({values}) embedding=20 }}\n  dense(2)\n}}\n")
    rows = many.parameters["r_embedding.a.weight"].numpy()
    assert abs(rows.mean()) < 0.03 and abs(rows.std() - 1) < 0.03


@pytest.mark.torch
def test_as_in_pytorch(model: Model) -> None:
    """Outputs, loss, gradients, and the weights after steps of sgd."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    tables = {name: torch.nn.Embedding(n + 1, size, padding_idx=n).double()
              for name, n, size in (("home port", 3, 3), ("cabin", 5, 5))}  # fmt: skip
    hidden, last = torch.nn.Linear(11, 6).double(), torch.nn.Linear(6, 2).double()
    named = {
        FIRST: tables["home port"].weight,
        SECOND: tables["cabin"].weight,
        "dense1.weight": hidden.weight,
        "dense1.bias": hidden.bias,
        "dense2.weight": last.weight,
        "dense2.bias": last.bias,
    }
    with torch.no_grad():
        for name, ours in model.copy_weights().items():
            named[name][: len(ours)] = torch.from_numpy(ours)
    ages = np.array(ROWS["age"])
    age = torch.from_numpy((ages - ages.mean()) / ages.std())[:, None]
    sex = torch.tensor([[word == "female", word == "male"] for word in ROWS["sex"]]).double()
    codes = {
        n: torch.tensor([n_rows.num_embeddings - 1 if c < 0 else c for c in CODES[n]]) for n, n_rows in tables.items()
    }
    optimizer = torch.optim.SGD([w for w in named.values()], lr=0.1)
    y = torch.tensor(Y)

    def logits() -> Any:
        x = torch.cat([tables["home port"](codes["home port"]), age, sex, tables["cabin"](codes["cabin"])], dim=1)
        return last(torch.tanh(hidden(x)))

    np.testing.assert_allclose(quiet(model.predict, ROWS), functional.softmax(logits(), 1).detach().numpy(), rtol=1e-12)
    for _ in range(3):
        optimizer.zero_grad()
        loss = functional.cross_entropy(logits(), y)
        loss.backward()
        for name, gradient in quiet(model.gradients, ROWS, Y).items():
            theirs = named[name].grad[: len(gradient)].numpy()
            np.testing.assert_allclose(gradient, theirs, rtol=1e-10, atol=1e-14)
        optimizer.step()
        assert quiet(model.train_step, ROWS, Y) == pytest.approx(loss.item(), rel=1e-12)
    for name, ours in model.copy_weights().items():
        np.testing.assert_allclose(ours, named[name][: len(ours)].detach().numpy(), rtol=1e-10, atol=1e-14)


def test_only_rows_that_occur_learn(model: Model) -> None:
    before = model.copy_weights()
    found = quiet(model.gradients, ROWS, Y)
    quiet(model.train_step, ROWS, Y)
    for name, seen in ((FIRST, {0, 2}), (SECOND, {0, 3, 4})):
        rows = set(np.flatnonzero(found[name].any(axis=1)).tolist())
        moved = set(np.flatnonzero((model.parameters[name].numpy() != before[name]).any(axis=1)).tolist())
        assert rows == moved == seen


@pytest.mark.parametrize("target", ["native", "c99"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_as_in_numpy(precision: str, target: str) -> None:
    text = SPEC.replace("sgd(lr=0.1)", "adam(lr=0.01)\n  clip norm(0.5)")
    model = Model(check_text(text, dtype=precision), target=TARGETS.get(target))
    assert all(row.ok for row in verify(model, 13))


def test_gradients_are_those_of_finite_differences() -> None:
    model = Model(check_text(SPEC, dtype="float64"))
    found = check_gradients(model, *random_batch(model.network, 9, 1), 1000, 0, 1e-5)
    assert not found.failures and {FIRST, SECOND} <= {row.name for row in found.rows}
    assert found.difference < 1e-8


def test_threads_leave_the_same_bits() -> None:
    """Of a table and a mini-batch so large that both kernels are shared."""
    values = ", ".join(f"v{i}" for i in range(3001))
    spec = SPEC.replace("A, B, C, D", values).replace("embedding=5", "embedding=33").replace("batch 16", "batch 999")
    network = check_text(spec)
    alone, shared = Model(network, threads=1), Model(network, threads=2)
    train = shared.plan.step("train")
    assert train is not None
    kernels = {k.operation.kind: k.parallel for k in train.kernels}
    assert kernels["embedding"] and kernels["embedding_gradient"]
    x, y = random_batch(network, 999, 3)
    for _ in range(2):
        assert alone.train_step(x, y["output"]) == shared.train_step(x, y["output"])
    for name, array in alone.copy_weights().items():
        np.testing.assert_array_equal(array, shared.copy_weights()[name])


def test_values_are_learned_saved_and_frozen(tmp_path: Any) -> None:
    spec = SPEC.replace("(A, B, C, D)", "").replace("epochs 2", "epochs 2\n  freeze row_embedding")
    made = dslc.loads(spec)
    assert made.network.open
    quiet(made.fit, ROWS, Y)
    assert "cabin: category(A, D) missing=own embedding=5" in made.network.source.text
    fresh = dslc.loads(made.network.source.text)
    np.testing.assert_array_equal(made.parameters[SECOND].numpy(), fresh.parameters[SECOND].numpy())
    made.save(tmp_path / "w.safetensors")
    again = dslc.loads(spec)
    again.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(quiet(again.predict, ROWS), quiet(made.predict, ROWS))


def test_names_that_the_tables_need_are_taken() -> None:
    for name in ("row_embedding", "row_embedding_cabin"):
        with pytest.raises(SpecError, match=f"two layers are called '{name}'"):
            check_text(SPEC.replace("dense(6)", f"dense(6, name={name})"))
    twice = SPEC.replace("age: number", '"home-port": category(x) embedding=2')
    names = [p.name for p in check_text(twice).parameters]
    assert names[:2] == [FIRST, "row_embedding.home_port_2.weight"]
