"""A layer whose weight is that of another, against PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.compiler import check_text
from dslc.export.network import Trained
from dslc.export.onnx.model import export_onnx
from dslc.interchange.foreign import Foreign, Module
from dslc.interchange.matching import matched
from dslc.language.diagnostics import DataError
from dslc.proofs.reference import Interpreter
from helpers import assert_close, load

torch = pytest.importorskip("torch")
F = torch.nn.functional

WORDS = """net Words {
  input text: 7
  h = embedding(21, 12, init=normal(0.5)) -> tanh
  h -> dense(21, tie=embedding1, l2=0.3) -> softmax
}
train {
  loss step_cross_entropy
  optimizer adamw(0.01, weight_decay=0.1)
  batch 6 in 2
}
"""
CODER = """net Coder {
  input x: 5x19
  code = dense(9) -> tanh
  again = code -> dense(19, tie=dense1)
  output y = again -> reshape(95)
  output z = code -> global_avgpool -> dense(19, tie=dense1, bias=off)
}
train {
  loss y: mse
  loss z: mse
  optimizer adam(0.01)
  regularize l2(0.3)
  batch 6
}
"""


@pytest.mark.torch
def test_a_head_has_the_table_of_the_embedding(rng: np.random.Generator, tmp_path: Path) -> None:
    """As torch.nn.Linear with `head.weight = embedding.weight`: one parameter, its gradients summed, one penalty and
    one decay, also where a mini-batch is worked through in slices and the table lies in blocks of rows."""
    model = load(WORDS, rng)
    assert [p.name for p in model.network.parameters] == ["embedding1.weight", "dense1.bias"]
    table, head = torch.nn.Embedding(21, 12, dtype=torch.float64), torch.nn.Linear(12, 21, dtype=torch.float64)
    head.weight = table.weight
    with torch.no_grad():
        table.weight.copy_(torch.tensor(model.parameters["embedding1.weight"].numpy()))
        head.bias.copy_(torch.tensor(model.parameters["dense1.bias"].numpy()))
    own = {"embedding1.weight": table.weight, "dense1.bias": head.bias}
    groups = [{"params": [table.weight], "weight_decay": 0.1}, {"params": [head.bias], "weight_decay": 0}]
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    for step in range(3):
        text = rng.integers(0, 21, (6, 8))
        x, y = text[:, :-1], text[:, 1:]
        z = head(table(torch.tensor(x)).tanh())
        loss = F.cross_entropy(z.mT, torch.tensor(y)) + 0.3 / 12 * (table.weight**2).sum()
        optimizer.zero_grad()
        loss.backward()
        assert_close(model.predict(x), z.softmax(-1).detach().numpy(), 1e-11, "probabilities")
        for name, gradient in model.gradients(x, y).items():
            assert_close(gradient, own[name].grad.numpy(), 1e-9, f"{name} {step}")
        assert model.train_step(x, y) == pytest.approx(loss.item(), rel=1e-11)
        optimizer.step()
        for name, value in own.items():
            assert_close(model.parameters[name].numpy(), value.detach().numpy(), 1e-9, f"{name} {step}")
    model.save(tmp_path / "w.safetensors")
    again = dslc.loads(WORDS, dtype="float64")
    again.load_weights(tmp_path / "w.safetensors")
    assert again.predict(x).tobytes() == model.predict(x).tobytes()


@pytest.mark.torch
def test_a_decoder_has_the_turned_weight_of_the_encoder(rng: np.random.Generator) -> None:
    """Of a sequence and of a vector, in blocks and not."""
    model = load(CODER, rng)
    p = {name: torch.tensor(view.numpy(), requires_grad=True) for name, view in model.parameters.items()}
    assert set(p) == {"dense1.weight", "dense1.bias", "dense2.bias"}
    optimizer = torch.optim.Adam(p.values(), lr=0.01)
    for step in range(3):
        x = rng.standard_normal((6, 5, 19))
        y = {"y": rng.standard_normal((6, 95)), "z": rng.standard_normal((6, 19))}
        w = p["dense1.weight"]
        code = F.linear(torch.tensor(x), w, p["dense1.bias"]).tanh()
        found = {"y": F.linear(code, w.T, p["dense2.bias"]).flatten(1), "z": F.linear(code.mean(1), w.T)}
        loss = sum(F.mse_loss(found[name], torch.tensor(y[name])) for name in y) + 0.3 / 12 * (w**2).sum()
        optimizer.zero_grad()
        loss.backward()
        for name, gradient in model.gradients(x, y).items():
            assert_close(gradient, p[name].grad.numpy(), 1e-9, f"{name} {step}")
        optimizer.step()
        assert model.train_step(x, y) == pytest.approx(loss.item(), rel=1e-10)
        for name, view in model.parameters.items():
            assert_close(view.numpy(), p[name].detach().numpy(), 1e-9, f"{name} {step}")
    w = p["dense1.weight"]
    code = F.linear(torch.tensor(x), w, p["dense1.bias"]).tanh()
    assert_close(model.predict(x)["z"], F.linear(code.mean(1), w.T).detach().numpy(), 1e-10, "prediction")
    assert_close(model.predict(x)["y"], F.linear(code, w.T, p["dense2.bias"]).flatten(1).detach().numpy(), 1e-10, "y")


def test_a_state_dict_holds_a_tied_weight_twice(rng: np.random.Generator) -> None:
    """PyTorch's files do; one that differs is none of the network."""
    table, bias = rng.standard_normal((21, 12)).astype(np.float32), rng.standard_normal(21).astype(np.float32)
    modules = (Module("tokens", {"weight": table}), Module("head", {"weight": table, "bias": bias}))
    found = matched(check_text(WORDS), Foreign(Path("gpt.pth"), "torch", modules, True))
    assert_close(found.arrays["embedding1.weight"], table, 0, "table")
    assert_close(found.arrays["dense1.bias"], bias, 0, "bias")
    modules = (modules[0], Module("head", {"weight": table + 1, "bias": bias}))
    with pytest.raises(DataError, match=r"head\.weight \(21, 12\) is not in dense1"):
        matched(check_text(WORDS), Foreign(Path("gpt.pth"), "torch", modules, True))


def test_onnx_has_one_array_for_both(rng: np.random.Generator) -> None:
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    text = "net Coder {\n  input x: 19\n  dense(9, bias=off) -> tanh -> dense(19, tie=dense1, bias=off)\n}\n"
    network = check_text(text)
    weight = rng.standard_normal((9, 19)).astype(np.float32)
    model = export_onnx(Trained(network, {"dense1.weight": weight}))
    arrays = [a for a in onnx.load_from_string(model).graph.initializer if len(a.dims) == 2]
    assert [a.name for a in arrays] == ["dense1.weight"]
    x = rng.standard_normal((4, 19)).astype(np.float32)
    wanted = Interpreter(network, {"dense1.weight": weight.astype(np.float64)}).predict({"x": x.astype(np.float64)})
    session = onnxruntime.InferenceSession(model)
    assert_close(session.run(None, {"x": x})[0], wanted["output"], 1e-5, "prediction")


def test_of_shared_layers_the_tied_weight_is_shared_too() -> None:
    text = """net Pair {
  input a: 6
  input b: 6
  tower = shared { dense(4) -> tanh -> dense(6, tie=dense1) }
  c = a -> tower
  d = b -> tower
  subtract(c, d) -> dense(2)
}
"""
    network = check_text(text)
    users = network.users["dense1.weight"]
    assert users == ("dense1", "dense2", "dense3", "dense4")


def test_a_part_freezes_what_is_shared(rng: np.random.Generator) -> None:
    """Whichever of the layers that share a weight is named."""
    for name in ("dense1", "dense2"):
        model = load(CODER, rng)
        part = model.part("y", freeze=[name])
        before = part.copy_weights()
        part.train_step(rng.normal(size=(6, 5, 19)), rng.normal(size=(6, 95)))
        assert (part.parameters["dense1.weight"].numpy() == before["dense1.weight"]).all()
        learned = {"dense1": "dense2.bias", "dense2": "dense1.bias"}[name]
        assert (part.parameters[learned].numpy() != before[learned]).any()
