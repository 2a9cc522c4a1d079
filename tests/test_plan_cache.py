"""Plans are found again beside the modules: a load of what was compiled before plans nothing, and a broken or foreign
entry is no entry."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from dslc import cache, plan_cache
from dslc.cache import cache_folder
from dslc.codegen import build
from dslc.compiler import check_text
from dslc.language.source import Source
from dslc.planning.planner import Options
from dslc.runtime.model import Model

pytestmark = pytest.mark.cached_plans

SPEC = """
param units = 5
net Kept {
  input x: 6x6x3
  conv(4, 3x3) -> batchnorm -> relu -> flatten -> dense(units) -> tanh -> dense(2) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(lr=0.01)
  batch 8
}
"""
X = np.linspace(-1, 1, 8 * 108, dtype=np.float32).reshape(8, 6, 6, 3)
Y = np.arange(8) % 2


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, which is asked for anew."""
    monkeypatch.setenv("DSLC_CACHE", str(tmp_path / "cache"))
    for module in (cache, build, plan_cache):
        monkeypatch.setattr(module, "cache_folder", cache_folder.__wrapped__)
    return tmp_path / "cache"


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows with every plan that is made."""
    made: list[object] = []
    plan_network = plan_cache.plan_network

    def noting(*asked: object) -> object:
        made.append(asked)
        return plan_network(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(plan_cache, "plan_network", noting)
    return made


def trained(text: str = SPEC, params: dict[str, object] | None = None, **asked: object) -> list[np.ndarray]:
    """The parameters and states after two steps, gradients, and predictions."""
    model = Model(check_text(text, params), **asked)  # type: ignore[arg-type]
    for _ in range(2):
        model.train_step(X, Y)
    found = [*model.parameters.values(), *model.compiled.states().values()]
    return [*(view.numpy() for view in found), *model.gradients(X, Y).values(), model.predict(X)]


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("plan-*"))


def test_a_second_load_plans_nothing_and_computes_the_same(folder: Path, planned: list[object]) -> None:
    first = trained()
    assert len(planned) == 1 and len(entries(folder)) == 1
    for one, other in zip(first, trained(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(planned) == 1
    model = Model(check_text(SPEC))
    assert len(planned) == 1 and model.library.cached
    assert model.plan.memory_map == model.compiled.memory and len(planned) == 2


def test_what_a_plan_depends_on_names_it(folder: Path, planned: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Text, values from outside, precision, threads, options, the C compiler's flags, and dslc itself."""
    network = check_text(SPEC)
    asked = [
        (network, 1, None),
        (check_text(SPEC.replace("tanh", "relu")), 1, None),
        (check_text(SPEC, {"units": 6}), 1, None),
        (check_text(SPEC, {"batch": 9}), 1, None),
        (check_text(SPEC, dtype="float64"), 1, None),
        (network, 2, None),
        (network, 1, Options(disable=("fusion",))),
    ]
    requests = [plan_cache.Request(n, None, None, threads, options) for n, threads, options in asked]
    requests.append(plan_cache.Request(network, None, 32, 1, None))
    paths = [request.path for request in requests]
    assert None not in paths and len(set(paths)) == len(requests)
    again = plan_cache.Request(check_text(SPEC), None, None, 1, None)
    assert again.path == paths[0], "the same text is the same network"
    monkeypatch.setattr(plan_cache, "_version", lambda: "another")
    assert again.path != paths[0]
    monkeypatch.undo()
    monkeypatch.setenv("DSLC_CFLAGS", "-O1 -DOTHER")
    assert again.path != paths[0]
    monkeypatch.undo()


def test_where_the_spec_lies_does_not_matter() -> None:
    here, there = (plan_cache._written(Source(name, SPEC)) for name in ("here.net", "/there/s.net"))
    assert here == there != plan_cache._written(Source("here.net", SPEC.replace("8", "9")))


@pytest.mark.parametrize("how", ["cut", "flipped", "words", "others can write", "another user", "no module"])
def test_what_is_not_whole_or_ours_is_planned_again(
    how: str, folder: Path, planned: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained()
    (entry,) = entries(folder)
    content = bytearray(entry.read_bytes())
    if how == "cut":
        entry.write_bytes(content[:-1])
    elif how == "flipped":
        content[len(content) // 2] ^= 1
        entry.write_bytes(content)
    elif how == "words":
        entry.write_bytes(build.sealed(b'{"module": 7, "prefix": "kept"}'))
    elif how == "others can write":
        entry.chmod(0o666)
    elif how == "another user":
        if os.geteuid() != 0:
            pytest.skip("only root can give a file away")
        os.chown(entry, 12345, -1)
    else:
        next(folder.glob("_kept_*.so")).unlink()
    for one, other in zip(first, trained(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(planned) == 2, "the entry is not used"
    trained()
    assert len(planned) == 2 or how == "another user", "it is written anew"
