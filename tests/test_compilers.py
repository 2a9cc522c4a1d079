"""What is compiled by clang and zig, for Python and as exported C, agrees with NumPy; every other test is by gcc."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sys

import pytest

from dslc.codegen import build
from dslc.compiler import check_text
from dslc.proofs.verify import verify
from dslc.runtime.model import Model
from dslc.target import TARGETS, Target, native

ALL_TOOLS = """net AllTools {
  input image: 13x13x20
  a = image -> conv(24, 3x3, pad=same) -> relu
  b = a -> conv(24, 5x5, pad=same) -> maxpool(2x2)
  c = a -> conv(24, 3x3, pad=same, groups=24) -> avgpool(2x2) -> batchnorm -> elu
  d = add(b, c) -> lrn(size=3) -> conv(3, 3x3, stride=2) -> flatten
  d -> dense(33) -> gelu -> layernorm -> dropout(0.3) -> dense(5) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(0.01)
  regularize l2(0.01)
  batch 21
}
"""
"""A network that needs most of the tools: products, Winograd's transforms in all directions, transposition, lanes."""
ZIG = shlex.join([sys.executable, "-m", "ziglang", "cc"])


@pytest.mark.slow
@pytest.mark.parametrize("target", [TARGETS["generic"], native()], ids=lambda target: target.name)
@pytest.mark.parametrize("compiler", ["clang", ZIG], ids=["clang", "zig"])
def test_verified_by_other_compilers(compiler: str, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs, gradients and ten steps, as `dslc verify` compares them; optimized, since that is when loops unroll."""
    if compiler == ZIG and importlib.util.find_spec("ziglang") is None:
        pytest.skip("not installed: ziglang")
    if compiler != ZIG and shutil.which(compiler) is None:
        pytest.fail(compiler) if os.environ.get("DSLC_REQUIRE_TARGETS") else pytest.skip(f"not installed: {compiler}")
    monkeypatch.setenv("CC", compiler)
    monkeypatch.setenv(build.EXTRA_FLAGS, "-O2")
    model = Model(check_text(ALL_TOOLS), target=target)
    assert all(row.ok for row in verify(model, 21))
