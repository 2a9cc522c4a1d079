"""`add`, `subtract`, `multiply`, ... with broadcasting: against PyTorch, in lanes, on threads, and what they become."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

import dslc
from dslc.compiler import check_text, plan_network
from dslc.layers.multiply import Multiply
from dslc.proofs.reference import Interpreter
from dslc.shape import Shape, SizeProblem
from helpers import Arrays, assert_agrees, assert_close, assert_differentiates, data, load

VALUES: dict[str, Shape] = {
    "a": (6, 7, 5), "b": (6, 7, 5), "channels": (5,), "pixels": (6, 7, 1), "rows": (6, 1, 5), "columns": (1, 7, 1),
    "one": (1,),
}  # fmt: skip


def network(cases: tuple[str, ...], batch: int = 6) -> str:
    """Every case behind values of its own, which learn: `a` of the second case is made by the layer a2."""
    lines = [f"input in_{name}: {'x'.join(map(str, shape))}" for name, shape in VALUES.items() if used(name, cases)]

    def suffixed(found: re.Match[str]) -> str:
        return f"{found[0]}_{number}"

    for number, text in enumerate(cases, 1):
        for name, shape in VALUES.items():
            if used(name, (text,)):
                layer = f"dense({shape[0]}" if len(shape) == 1 else f"conv({shape[2]}, 1x1"
                end = " -> sigmoid" if f", {name})" in text and text.startswith("divide") else ""
                lines.append(f"{name}_{number} = in_{name} -> {layer}, name={name}{number}){end}")
        call = re.sub(r"(?<=[( ])\w+", suffixed, text)
        lines.append(f"output y{number} = {call} -> linear")
    losses = [f"loss y{i}: mse" for i in range(1, len(cases) + 1)]
    settings = "\n  ".join([*losses, "optimizer sgd(lr=0.1)", f"batch {batch}"])
    return "net Values {\n  " + "\n  ".join(lines) + f"\n}}\ntrain {{\n  {settings}\n}}\n"


def used(name: str, cases: tuple[str, ...]) -> bool:
    return any(re.search(rf"\b{name}\b", text) for text in cases)


CASES = (
    "multiply(a, channels)", "multiply(channels, a, pixels)", "multiply(a, b, a)", "multiply(rows, columns)",
    "multiply(a, one)", "add(a, channels)", "add(a, b, rows)", "subtract(pixels, a)", "subtract(a, channels)",
    "divide(a, pixels)", "divide(channels, b)", "maximum(a, channels, b)", "minimum(a, columns)", "mean(a, b, pixels)",
)  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-11), ("float32", 2e-5)])
def test_equal_to_pytorch(dtype: str, tolerance: float, rng: np.random.Generator) -> None:
    """Predictions and the gradients of what the values are made by."""
    torch = pytest.importorskip("torch")
    functions: dict[str, Callable[..., object]] = {
        "add": lambda *v: sum(v[1:], v[0]), "mean": lambda *v: sum(v[1:], v[0]) / len(v), "subtract": torch.sub,
        "divide": torch.div, "multiply": lambda *v: v[0] * v[1] if len(v) == 2 else v[0] * v[1] * v[2],
        "maximum": lambda *v: torch.amax(torch.stack(torch.broadcast_tensors(*v)), 0), "minimum": torch.minimum,
    }  # fmt: skip

    def value(p: dict[str, object], name: str, x: np.ndarray) -> object:
        """Dense and 1x1 convolution alike: a product along the last axis; a vector is an image of one pixel."""
        w, y = p[f"{name}.weight"], torch.tensor(x)
        y = y @ (w.T if w.ndim == 2 else w[0, 0]) + p[f"{name}.bias"]
        return y if y.ndim == 4 else y[:, None, None, :]

    model = load(network(CASES), rng, dtype)
    for n in (6, 1):
        xs, ys = data(model.network, n, rng, dtype)
        p = {k: torch.tensor(v.numpy().astype(np.float64), requires_grad=True) for k, v in model.parameters.items()}
        predicted: Arrays = model.predict(xs)
        total = torch.zeros((), dtype=torch.float64)
        for i, text in enumerate(CASES, 1):
            layer, *names = re.findall(r"\w+", text)
            values = [value(p, f"{name}{i}", xs[f"in_{name}"]) for name in names]
            values[-1] = torch.sigmoid(values[-1]) if layer == "divide" else values[-1]
            y = functions[layer](*values)
            assert_close(predicted[f"y{i}"], y.detach().numpy(), tolerance, f"{text} of {n}")
            total = total + torch.nn.functional.mse_loss(y, torch.tensor(ys[f"y{i}"]))
        total.backward()
        for name, gradient in model.gradients(xs, ys).items():
            assert_close(gradient, p[name].grad.numpy(), tolerance, f"{name} of {n}")


SQUEEZE = """net Squeeze {
  input image: 9x8x3
  map = conv(CHANNELS, 3x3, pad=same) -> relu
  gate = map -> global_avgpool -> dense(4) -> relu -> dense(CHANNELS) -> sigmoid
  scaled = multiply(map, gate)
  where = scaled -> conv(1, 3x3, pad=same) -> sigmoid
  multiply(scaled, where) -> conv(CHANNELS, 3x3) -> flatten -> dense(3) -> softmax
}
train {
  loss cross_entropy
  optimizer sgd(lr=0.1)
  batch 60
}
"""


@pytest.mark.parametrize("channels", [4, 24])
def test_squeeze_and_excitation(channels: int, rng: np.random.Generator) -> None:
    """With few channels examples lie in lanes, also those of the gates."""
    model = load(SQUEEZE.replace("CHANNELS", str(channels)), rng)
    for n in (60, 13, 1):
        assert_agrees(model, n, rng)
    assert_differentiates(model, *data(model.network, 5, rng), rng, smooth=False, entries=6)


@pytest.mark.parametrize("channels", [4, 160])
def test_the_same_bits_with_any_number_of_threads(channels: int, rng: np.random.Generator) -> None:
    """Predictions and steps on full mini-batches and parts of one."""
    text = SQUEEZE.replace("CHANNELS", str(channels))
    models = [dslc.loads(text, threads=threads) for threads in (1, 2)]
    assert any(k.parallel for step in models[1].plan.steps for k in step.kernels if k.operation.kind == "combine")
    batches = [data(models[0].network, n, rng, "float32") for n in (60, 7)]
    found = []
    for model in models:
        losses = [model.train_step(*batch) for batch in batches]
        weights = {name: w.tobytes() for name, w in model.copy_weights().items()}
        found.append((losses, weights, model.predict(batches[0][0]).tobytes()))
    assert found[0] == found[1]


def test_neighbouring_axes_are_one() -> None:
    """Values of one size are passed over as one row; a vector times a map is rows of channels."""
    plan = plan_network(check_text(network(("subtract(a, b)", "multiply(a, channels)"))))
    kernels = {k.operation.name: k.variant for step in plan.steps for k in step.kernels}
    assert kernels["subtract1_forward"].name == "plain"
    assert kernels["multiply1_forward"].context["rows"] == 42
    assert kernels["multiply1_backward_2"].context["summed"] == (("r1", 42),)


def test_a_tie_goes_to_the_first(rng: np.random.Generator) -> None:
    """As in max pooling: the gradient is not shared."""
    text = (
        "net Tie {\n  input x: 3\n  a = x -> dense(3)\n  b = x -> dense(3)\n  c = x -> dense(3)\n  LAYER(a, b, c)\n}\n"
    )
    text += "train {\n  loss mse\n  optimizer sgd(lr=0.1)\n  batch 4\n}\n"
    for layer in ("maximum", "minimum"):
        model = load(text.replace("LAYER", layer), rng)
        for name in ("dense2", "dense3"):
            for role in ("weight", "bias"):
                model.parameters[f"{name}.{role}"] = model.parameters[f"dense1.{role}"].numpy()
        gradients = model.gradients(*data(model.network, 4, rng))
        assert np.abs(gradients["dense1.weight"]).min() > 0
        assert not gradients["dense2.weight"].any() and not gradients["dense3.weight"].any()


@pytest.mark.parametrize(
    ("shapes", "hint"),
    [
        (((4, 4, 16), (4, 4, 8)), "conv(16, 1x1) makes 4x4x16 of 4x4x8"),
        (((4, 4, 16), (8,)), "dense(16) makes 16 of 8"),
        (((5,), (3,)), "dense(5) makes 5 of 3"),
        (((4, 4, 8), (2, 2, 8)), "the same height and width"),
    ],
)
def test_sizes_that_do_not_fit(shapes: tuple[Shape, ...], hint: str) -> None:
    with pytest.raises(SizeProblem) as raised:
        Multiply().infer(shapes)
    assert hint in raised.value.notes[0]


def test_chains_start_with_powers_and_signs(rng: np.random.Generator) -> None:
    network = check_text("net P {\n  input a: 4\n  output squared = (a - 1)^2\n  output negative = -a -> relu\n}\n")
    a = rng.standard_normal((3, 4))
    found = Interpreter(network, {}).predict({"a": a})
    np.testing.assert_allclose(found["squared"], (a - 1) ** 2, rtol=1e-12)
    np.testing.assert_array_equal(found["negative"], np.maximum(-a, 0))
