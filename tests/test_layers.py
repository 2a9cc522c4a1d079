"""Every layer on every one of its examples: C against the NumPy reference, and gradients against differences."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

import dslc
import dslc.layers
from dslc import registry
from dslc.compiler import check_text
from dslc.language.arguments import slots
from dslc.layers import Activation, Example, Layer, Mode
from dslc.layers._recurrent import Recurrent
from dslc.layers.attention import Attention
from dslc.layers.conv_transpose import ConvTranspose
from dslc.layers.divide import Divide
from dslc.layers.matmul import MatMul
from dslc.runtime.model import Model
from dslc.shape import show_shape
from helpers import (
    FORWARD,
    assert_agrees,
    assert_all_close,
    assert_differentiates,
    data,
    example_spec,
    interpreter,
    load,
    randomize_parameters,
)

LAYERS = registry.every(dslc.layers, Layer)
ACTIVATIONS = [
    name
    for name, layer in LAYERS.items()
    if issubclass(layer, Activation) and not any(slot.required for slot in slots(layer))
]
CASES = [
    pytest.param(layer, example, id=f"{example.text} on {' '.join(map(show_shape, example.inputs))}")
    for layer in LAYERS.values()
    for example in layer.examples
]


@pytest.mark.parametrize("name", LAYERS)
def test_has_an_example(name: str) -> None:
    assert LAYERS[name].examples
    assert all(example.text.partition("(")[0] == name for example in LAYERS[name].examples)


@pytest.mark.parametrize(("layer", "example"), CASES)
def test_agrees_with_its_reference(layer: type[Layer], example: Example, rng: np.random.Generator) -> None:
    """On a full mini-batch, on a part of one, and on a single example; its gradients are the slopes of the loss."""
    model = load(example_spec(example), rng)
    assert_predicts_in_portions(model, rng)
    for n in (5, 3, 1):
        assert_agrees(model, n, rng)
    randomize_parameters(model, rng)
    model.compiled.step = 0  # whose random numbers do not drop all examples
    upstream = {p.name for node in model.network.nodes[: len(example.inputs)] for p in node.parameters if p.learns}
    for n in (5, 3):
        xs, ys = data(model.network, n, rng)
        assert upstream <= model.gradients(xs, ys).keys()
        assert_differentiates(model, xs, ys, rng, layer.smooth)


@pytest.mark.usefixtures("fences")
@pytest.mark.parametrize(("layer", "example"), CASES)
def test_agrees_in_single_precision(layer: type[Layer], example: Example, rng: np.random.Generator) -> None:
    model = load(example_spec(example), rng, "float32")
    for n in (5, 3, 1):
        assert_agrees(model, n, rng)


def assert_predicts_in_portions(model: Model, rng: np.random.Generator) -> None:
    """Prediction goes through more examples than a mini-batch in portions; each example's result is its own."""
    xs, _ = data(model.network, 12, rng)
    whole = model.predict(xs)
    for i in range(12):
        alone = model.predict({name: x[i : i + 1] for name, x in xs.items()})
        assert np.array_equal(whole[i], alone[0])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_far_from_zero(name: str, dtype: str) -> None:
    """No overflow at either end, and no jump where an approximation begins or ends."""
    x = np.concatenate([np.linspace(-12, 12, 481), [-1000, -100, -88.5, -60, 60, 88.5, 100, 1000]])
    model = dslc.loads(f"net Far {{\n  input x: {len(x)}\n  {name}\n}}", dtype=dtype)
    x = x.astype(dtype).astype(np.float64)
    with np.errstate(over="ignore"):
        wanted = LAYERS[name]().reference((x[None],), {}, Mode(training=False)).y[0]
    error = np.abs(model.predict(x[None])[0] - wanted)
    assert (error <= FORWARD[dtype] * np.maximum(np.abs(wanted), 1e-2)).all(), x[error.argmax()]


@pytest.mark.parametrize(("layer", "example"), CASES)
def test_multiply_adds(layer: type[Layer], example: Example) -> None:
    """Every weight meets every pixel of the result once, of a transposed convolution or a recurrent layer every one of
    the input; layers without weights do none. In attention every query meets its keys and values too."""
    nodes = check_text(example_spec(example)).nodes
    node = next(node for node in reversed(nodes) if isinstance(node.layer, layer))
    by_input = isinstance(node.layer, (ConvTranspose, Recurrent))
    pixels = prod((node.input_shapes[0] if by_input else node.output.shape)[:-1])
    among_steps = 0
    if isinstance(node.layer, MatMul):
        among_steps = node.output.elements * node.input_shapes[0][-2 if node.layer.turned[0] else -1]
    if isinstance(node.layer, Attention):
        steps, channels = node.output.shape
        keys = next((shape[0] for shape in node.input_shapes[1:] if len(shape) == 2), steps)
        among_steps = steps * (steps + 1) * channels if node.layer.causal else 2 * steps * keys * channels
    of_memory = {p.name for p in node.parameters if p.name.endswith(".weight_memory")}
    weighted = sum(p.elements * (keys if p.name in of_memory else pixels) for p in node.parameters if p.decays)
    assert node.layer.multiply_adds(node.input_shapes) == weighted + among_steps


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "at_zero"), [("relu", 1), ("leaky_relu(0.2)", 1), ("elu", 1), ("softplus", 0.5)])
def test_derivatives_at_zero(name: str, at_zero: float, dtype: str) -> None:
    """The notes take 1 for relu and leaky_relu: the gradient of a bias that makes z = 0 shows it."""
    model = dslc.loads(
        f"net Zero {{\n  input x: 3\n  dense(5) -> {name} -> linear\n}}\n"
        "train {\n  loss mse\n  optimizer sgd(0.1)\n  batch 2\n}\n",
        dtype=dtype,
    )
    model.parameters["dense1.weight"] = np.zeros((5, 3))
    x = np.ones((2, 3))
    y = model.predict(x)
    gradients = model.gradients(x, y - 1.0)
    assert np.allclose(gradients["dense1.bias"], at_zero * 2 / 5, rtol=1e-6)


def test_a_product_with_zeros_has_gradients(rng: np.random.Generator) -> None:
    """By the product of all other factors: where one is 0 only that one gets some, where two are none does; what
    is multiplied twice gets both parts."""
    text = (
        "net P {\n  input x: 4\n  a = x -> dense(3)\n  b = x -> dense(3)\n  c = x -> dense(3)\n"
        "  multiply(a, b, c, a)\n}\ntrain {\n  loss mse\n  optimizer sgd(0.1)\n  batch 5\n}\n"
    )
    model = load(text, rng)
    for zeros in (("dense1",), ("dense2",), ("dense2", "dense3"), ()):
        for name in zeros:
            for role in ("weight", "bias"):
                array = model.parameters[f"{name}.{role}"].numpy()
                array[1] = 0
                model.parameters[f"{name}.{role}"] = array
        assert_agrees(model, 5, rng)
        assert_differentiates(model, *data(model.network, 5, rng), rng)
        randomize_parameters(model, rng)


KINKS = [
    case
    for case in CASES
    if not (case.values[0].smooth or case.values[0].first or case.values[0].augments or case.values[0] is Divide)
]


@pytest.mark.parametrize(("layer", "example"), KINKS)
def test_equal_numbers_are_told_apart_as_by_the_reference(
    layer: type[Layer], example: Example, rng: np.random.Generator
) -> None:
    """Of two that are largest the first one gets the gradient; at a kink the documented slope counts."""
    model = load(example_spec(example), rng, "float32")
    for node in model.network.nodes[: len(example.inputs)]:
        for p in node.parameters:
            model.parameters[p.name] = np.eye(p.shape[-1]).reshape(p.shape)
    xs, ys = data(model.network, 5, rng, "float32")
    plain = [value for value in model.network.inputs if value not in model.network.whole_numbers]
    xs |= {value.name: rng.integers(-1, 2, (5, *value.shape)) * 1.0 for value in plain}
    _, gradients, _ = interpreter(model).loss_and_gradients(xs, ys)
    assert_all_close(model.gradients(xs, ys), gradients, FORWARD["float32"])


# ------------------------------------------------------------------------------------------- activations

SMALLEST = 100
"""Times the smallest normal number: what results are compared from on, for what they are made of is smaller still."""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_are_accurate_at_every_magnitude(dtype: str) -> None:
    """To 6 units in the last place of the result, however small; gelu's tail to as much as the rounding of x does."""
    calls = {f"of_{name}": name for name in ACTIVATIONS} | {"of_gelu_tanh": "gelu(approximate=tanh)"}
    heads = "\n  ".join(f"output {head} = x -> {call}" for head, call in calls.items())
    model = dslc.loads(f"net Activations {{\n  input x: 1\n  {heads}\n}}\n", dtype=dtype)
    size = np.geomspace(1e-30, 1e2, 20_000)
    x = np.concatenate([size, -size]).astype(dtype)[:, None]
    for node, (head, found) in zip(model.network.nodes, model.predict(x).items(), strict=True):
        exact = x.astype(np.longdouble if dtype == "float64" else np.float64)
        reference = node.layer.reference((exact,), {}, Mode(training=False))
        (slope,), _ = reference.pull(np.ones_like(exact))
        wanted = reference.y
        normal = np.abs(wanted) > SMALLEST * np.finfo(dtype).tiny
        sensitive = np.abs(exact * slope / np.where(normal, wanted, 1)) if head.startswith("of_gelu") else 1
        error = np.where(normal, np.abs(found - wanted) / np.where(normal, np.abs(wanted), 1), 0) / np.finfo(dtype).eps
        worst = int((error / np.maximum(sensitive, 1)).argmax())
        assert (error <= 6 * np.maximum(sensitive, 1)).all(), (head, x[worst], error[worst])
