"""Settings from outside are those that the file would say."""

from __future__ import annotations

import pytest

import dslc
from dslc.checker.overrides import as_params
from dslc.compiler import check_text
from dslc.language.diagnostics import SpecError
from dslc.language.parse import parse
from dslc.language.source import Source
from dslc.runtime.training.spec_text import as_trained

SPEC = """param rate = 0.1 in log(1e-3, 1)
param start = 4
param size = 4
net A {
  input x: 3
  dense(2) -> softmax
}
train {
  loss      cross_entropy
  optimizer sgd(rate, momentum=0.5)
  batch     2 * size
  seed      start
  shuffle   on
}
"""


def test_settings_of_a_file_and_settings_that_it_leaves_out() -> None:
    training = check_text(SPEC, {"epochs": 3, "shuffle": False}).training
    assert training is not None
    assert (training.epochs, training.shuffle, training.batch) == (3, False, 8)


def test_a_setting_that_is_a_param_stands_for_the_param() -> None:
    network = check_text(SPEC, {"lr": 0.25, "seed": 9})
    assert network.training is not None
    assert (network.training.optimizer.lr, network.training.seed) == (0.25, 9)
    assert {p.name: p.value for p in network.params} == {"rate": 0.25, "start": 9, "size": 4}
    with pytest.raises(SpecError, match="outside its own range"):
        check_text(SPEC, {"lr": 2.0})


def test_a_search_fixes_the_param_that_a_setting_stands_for() -> None:
    assert as_params(parse(Source("", SPEC)), {"lr": 0.25, "epochs": 2}) == {"rate": 0.25, "epochs": 2}


@pytest.mark.parametrize(
    ("optimizer", "lr"),
    [("adam(lr=1e-3)", 0.5), ("adam(1e-3, beta1=0.5)", 1e-7), ("sgd(momentum=0.5)", 0.5), ("adam", 2)],
)
def test_the_learning_rate_wherever_it_stands(optimizer: str, lr: float) -> None:
    text = SPEC.replace("sgd(rate, momentum=0.5)", optimizer).replace("param rate = 0.1 in log(1e-3, 1)\n", "")
    training = check_text(text, {"lr": lr}).training
    assert training is not None and training.optimizer.lr == lr


@pytest.mark.parametrize("close", ["\n}\n", " }", "\n  # last\n}"])
def test_a_setting_is_added_however_train_ends(close: str) -> None:
    text = SPEC.removesuffix("\n}\n") + close
    training = check_text(text, {"epochs": 3, "precision": "float64"}).training
    assert training is not None and training.epochs == 3
    assert check_text(text, {"precision": "float64"}).precision == "float64"


def test_a_run_keeps_them() -> None:
    """The spec that a run folder gets trains the same without any value from outside."""
    network = check_text(SPEC, {"lr": 0.25, "epochs": 3, "seed": 9, "shuffle": False})
    assert check_text(as_trained(network)).training == network.training


@pytest.mark.parametrize(
    ("values", "title"),
    [
        ({"batch": 3}, "'batch' is computed here"),
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"epochs": 0}, "epochs: it must be at least 1, not 0"),
        ({"epochs": "3\n  batch 4"}, "no value of the language"),
        ({"shuffle": [1]}, "no value of the language"),
        ({"loss": "mse"}, "no param 'loss'"),
    ],
)
def test_wrong(values: dict[str, object], title: str) -> None:
    with pytest.raises(SpecError, match=title):
        check_text(SPEC, values)


def test_without_train() -> None:
    with pytest.raises(SpecError, match="'epochs' cannot be set: there is no train"):
        check_text("net A {\n  input x: 3\n  dense(2)\n}\n", {"epochs": 3})
    with pytest.raises(SpecError, match="'lr' cannot be set: there is no optimizer"):
        check_text(SPEC.replace("  optimizer sgd(rate, momentum=0.5)\n", ""), {"lr": 3})


@pytest.mark.parametrize("name", ["regularize l2(0)", "regularize l1(0.0), max_norm(3)"])
def test_a_penalty_of_strength_0_is_off(name: str) -> None:
    network = check_text(SPEC.replace("shuffle   on", name))
    assert all(p.regularizers == () for p in network.parameters)


@pytest.mark.parametrize("off", ["noise(0)", "shift(0)", "rotate(0)", "dropout(0)", "dropout(keep=1)"])
def test_off_means_the_same_network_as_without(off: str) -> None:
    """Bit for bit, a step of training and a prediction."""
    import numpy as np

    text = """net A {
  input x: 4x4x1
  OFF flatten -> dense(3) -> softmax
}
train {
  loss      cross_entropy
  optimizer sgd(0.5)
  batch     8
}
"""
    random = np.random.default_rng(0)
    x, y = random.random((8, 4, 4, 1)), random.integers(0, 3, 8)
    found = []
    for layer in (f"{off} ->", ""):
        model = dslc.loads(text.replace("OFF", layer))
        found.append((model.train_step(x, y), model.predict(x)))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])


@pytest.mark.parametrize(
    ("values", "place"),
    [({"epochs": 0}, "epochs=0"), ({"epochs": 10**20}, f"epochs={10**20}"), ({"shuffle": 3}, "shuffle=3")],
)
def test_an_error_points_at_the_value_and_at_no_line_that_the_file_does_not_have(
    values: dict[str, object], place: str
) -> None:
    with pytest.raises(SpecError) as error:
        check_text(SPEC, values)
    assert f"--> {place}, given from outside the file\n" in str(error.value) and "<text>" not in str(error.value)


TRAIN_FIRST = """train {
  loss      cross_entropy
  optimizer sgd
  batch     64
}
param first = 4
net A {
  input x: first
  dense(3) -> softmax
}
"""


def test_lines_below_what_was_set_from_outside_are_those_of_the_file() -> None:
    """Of errors, of other places that they name, and of layers; `batch` becomes longer, `lr` and `epochs` are added."""
    given = {"batch": 1024, "epochs": 3, "lr": 0.125}
    with pytest.raises(SpecError) as error:
        check_text(TRAIN_FIRST.replace("softmax", "sofmax"), given)
    assert "--> <text>:9:15\n" in str(error.value) and " 9 |   dense(3) -> sofmax\n" in str(error.value)
    with pytest.raises(SpecError, match="already has a meaning: line 6"):
        check_text(TRAIN_FIRST + "param first = 4\n", given)
    with pytest.raises(SpecError) as error:
        check_text(TRAIN_FIRST.replace("64", "64 in 3"), given)
    assert "<text>:4:19\n" in str(error.value) and "4 |   batch     64 in 3\n" in str(error.value)
    assert str(error.value).endswith("  = note: given from outside the file: batch=1024\n"), "the line shows another"
    for given in ({"size": 8}, {"batch": 8}):
        with pytest.raises(SpecError) as error:
            check_text("param size = 64\n" + TRAIN_FIRST.replace("64", "size in 3"), given)
        assert str(error.value).endswith("  = note: given from outside the file: size=8\n")
    node = check_text(TRAIN_FIRST, given).nodes[0]
    assert (node.span.line, node.span.line_text) == (9, "  dense(3) -> softmax")


def test_what_is_a_word_is_switched_off() -> None:
    text = SPEC.replace("shuffle   on", "quantize int8\n  memory low\n  precision float64")
    plain = check_text(SPEC).training
    least = check_text(text, {"memory": "1.5MB"}).training
    assert least is not None and least.memory is not None and least.memory.bytes == 1_500_000
    network = check_text(text, {"quantize": False, "memory": "off", "precision": "float32", "shuffle": True})
    assert network.training == plain and network.precision == "float32"
    assert [node.name for node in network.nodes] == ["dense1", "softmax1"]
    assert check_text(as_trained(network)).training == plain
