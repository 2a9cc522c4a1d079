"""The recipe of CONTRIBUTING.md: a layer is added by a file, and no other file is edited."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import dslc
import dslc.layers
from dslc import registry
from dslc.layers import Layer
from helpers import REPO, assert_agrees, assert_differentiates, data, example_spec, load

NAME = "hard_tanh"


def recipe() -> str:
    """The first block of Python under 'Add a layer'."""
    section = (REPO / "CONTRIBUTING.md").read_text().split("Add a layer\n", 1)[1]
    block = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return block[1]


@pytest.fixture
def layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Layer]]:
    """The recipe's layer, in a file of its own beside the layers that there are."""
    assert NAME not in registry.names(dslc.layers), "the recipe's example must not exist yet"
    (tmp_path / f"{NAME}.py").write_text(recipe())
    monkeypatch.setattr(dslc.layers, "__path__", [*dslc.layers.__path__, str(tmp_path)])
    found = registry.find(dslc.layers, NAME, Layer)
    assert found is not None
    yield found
    del sys.modules[f"dslc.layers.{NAME}"]
    delattr(dslc.layers, NAME)


def test_without_the_file_there_is_no_such_layer() -> None:
    with pytest.raises(dslc.SpecError, match=NAME):
        dslc.loads(f"net None {{\n  input x: 4\n  {NAME}\n}}")


def test_the_layer_is_in_the_language(layer: type[Layer]) -> None:
    model = dslc.loads(f"net Toy {{\n  input x: 5\n  {NAME}\n}}", dtype="float64")
    x = np.array([[-9, -0.5, 0, 0.25, 9]])
    assert np.allclose(model.predict(x), [[-1, -0.5, 0, 0.25, 1]], rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_it_agrees_with_its_reference(layer: type[Layer], dtype: str, rng: np.random.Generator) -> None:
    assert layer.examples
    for example in layer.examples:
        model = load(example_spec(example), rng, dtype)
        for n in (5, 1):
            assert_agrees(model, n, rng)


def test_its_gradients_are_the_slopes_of_the_loss(layer: type[Layer], rng: np.random.Generator) -> None:
    for example in layer.examples:
        model = load(example_spec(example), rng)
        assert_differentiates(model, *data(model.network, 5, rng), rng, layer.smooth)


def test_it_chooses_an_init(layer: type[Layer]) -> None:
    network = dslc.compiler.check_text(f"net Toy {{\n  input x: 5\n  dense(3) -> {NAME}\n}}")
    assert type(network.parameters[0].init).__name__.lower() == layer.suits
