"""Averages of parameters: what predictions, dev sets, weights files and checkpoints use beside what is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.language.diagnostics import DataError
from dslc.proofs.verify import verify
from helpers import assert_close, data

SPEC = """net Averaged {
  input x: 4
  dense(7, bias=off) -> batchnorm -> tanh -> dense(2)
}
train {
  loss mse
  optimizer adam(0.05)
  regularize l2(0.1), max_norm(1)
  average ema(0.8)
  batch 8 in 2
  epochs 6
  precision float64
}
"""


def examples(count: int = 39) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    x = random.standard_normal((count, 4))
    return x, np.tanh(x[:, :2]) + 0.1 * random.standard_normal((count, 2))


def test_as_pytorch_averages() -> None:
    """In float64 over ten updates: averages of parameters, copies of the running averages, and predictions."""
    torch = pytest.importorskip("torch")
    text = SPEC.replace("adam(0.05)", "sgd(0.3, momentum=0.5)").replace("  regularize l2(0.1), max_norm(1)\n", "")
    model = dslc.loads(text.replace("8 in 2", "8"))
    modules = torch.nn.Sequential(
        torch.nn.Linear(4, 7, bias=False), torch.nn.BatchNorm1d(7), torch.nn.Tanh(), torch.nn.Linear(7, 2)
    ).double()
    pairs = {"dense1.weight": 0, "dense2.weight": 3, "dense2.bias": 3, "batchnorm1.gamma": 1}
    with torch.no_grad():
        for name, at in pairs.items():
            tensor = modules[at].bias if name.endswith("bias") else modules[at].weight
            tensor.copy_(torch.from_numpy(model.parameters[name].numpy()))
    average = torch.optim.swa_utils.get_ema_multi_avg_fn(0.8)
    averaged = torch.optim.swa_utils.AveragedModel(modules, multi_avg_fn=average)
    optimizer = torch.optim.SGD(modules.parameters(), lr=0.3, momentum=0.5)
    x, y = examples(80)
    for start in range(0, 80, 8):
        part = slice(start, start + 8)
        modules.train()
        optimizer.zero_grad()
        loss = ((modules(torch.from_numpy(x[part])) - torch.from_numpy(y[part])) ** 2).mean()
        loss.backward()
        optimizer.step()
        averaged.update_parameters(modules)
        assert model.train_step(x[part], y[part]) == pytest.approx(loss.item(), rel=1e-11)
        inside = averaged.module.eval()
        for name, at in pairs.items():
            tensor = inside[at].bias if name.endswith("bias") else inside[at].weight
            assert_close(model.parameters[name].numpy(), tensor.detach().numpy(), 1e-10, name)
        assert_close(model.parameters["batchnorm1.mean"].numpy(), modules[1].running_mean.numpy(), 1e-10, "mean")
    assert not np.allclose(model.parameters["dense1.weight"].numpy(), modules[0].weight.detach().numpy(), rtol=1e-3)


def test_verify_knows_averages() -> None:
    """Outputs, gradients and ten updates with slices, penalties and limits, against NumPy."""
    found = verify(dslc.loads(SPEC), 8)
    assert [c.what for c in found if not c.ok] == [] and len(found) > 10


@pytest.mark.parametrize("threads", [1, 2])
def test_filters_stored_in_blocks(threads: int) -> None:
    """Averages are stored as the weights are, also where groups are widened."""
    net = "input image: 9x8x6\n  conv(6, 3x3, groups=3) -> relu -> conv(17, 3x3, stride=2)\n  flatten -> dense(2)"
    text = SPEC.replace("input x: 4\n  dense(7, bias=off) -> batchnorm -> tanh -> dense(2)", net)
    found = verify(dslc.loads(text, dtype="float32", threads=threads), 8)
    assert [c.what for c in found if not c.ok] == [] and len(found) > 10


def test_fit_judges_and_keeps_averages(tmp_path: Path) -> None:
    """`dev_loss` and the best weights are those of the averages; a weights file holds them."""
    model, (x, y) = dslc.loads(SPEC), examples()
    dev = (x[::-1], y[::-1] + 0.3)
    history = model.fit(x, y, dev)
    best = min(record["dev_loss"] for record in history.records)
    assert model.evaluate(*dev)["loss"] == pytest.approx(best, rel=1e-12)
    model.save(tmp_path / "w")
    other = dslc.loads(SPEC)
    other.load_weights(tmp_path / "w")
    np.testing.assert_array_equal(other.predict(x), model.predict(x))


@pytest.mark.parametrize("with_dev", [False, True])
def test_a_checkpoint_holds_both(with_dev: bool, tmp_path: Path) -> None:
    """Stopped after every epoch, also where the best averages were put back: the same bits as without a stop."""
    x, y = examples()
    dev = (x[::-1], y[::-1] + 0.3) if with_dev else None
    whole = dslc.loads(SPEC)
    whole.fit(x, y, dev)
    for epochs in (1, 3, 5):
        first, second = dslc.loads(SPEC), dslc.loads(SPEC)
        first.fit(x, y, dev, epochs=epochs)
        first.checkpoint(tmp_path / "c")
        second.resume(tmp_path / "c")
        np.testing.assert_array_equal(second.predict(x), first.predict(x))
        second.copy().fit(x, y, dev, epochs=6 - epochs)
        second.fit(x, y, dev, epochs=6 - epochs)
        for mine, its in ((whole.parameters, second.parameters), (whole.compiled.states(), second.compiled.states())):
            for name, view in mine.items():
                np.testing.assert_array_equal(view.numpy(), its[name].numpy(), err_msg=name)
    with pytest.raises(DataError, match="averaging of parameters"):
        dslc.loads(SPEC.replace("  average ema(0.8)\n", "")).resume(tmp_path / "c")


def test_writing_a_parameter_changes_what_is_trained(rng: np.random.Generator) -> None:
    model = dslc.loads(SPEC)
    xs, ys = data(model.network, 8, rng)
    model.train_step(xs, ys)
    model.parameters["dense2.bias"] = np.array([1.0, -1.0])
    np.testing.assert_array_equal(model.compiled.states()["dense2.bias.trained"].numpy(), [1, -1])
    model.compiled.states()["dense2.bias.trained"][...] = np.array([3.0, 3.0])
    np.testing.assert_array_equal(model.parameters["dense2.bias"].numpy(), [1, -1])
