"""Blocks that adapt to what flows in: what they unroll to is compared with the same network written out."""

from __future__ import annotations

import numpy as np
import pytest

from dslc.checker.program import check
from dslc.compiler import check_text
from dslc.ir import Network
from dslc.language.diagnostics import SpecError
from dslc.language.format import format_source
from dslc.language.parse import parse
from dslc.language.source import Source
from dslc.proofs.reference import Interpreter

REUSABLE = """param wide = on

block basic(filters, stride=1) {
  main = conv(filters, 3x3, stride=stride, pad=1, bias=off) -> batchnorm -> relu
    -> conv(filters, 3x3, pad=1, bias=off) -> batchnorm
  when stride > 1 or in.channels != filters {
    shortcut = in -> conv(filters, 1x1, stride=stride, bias=off) -> batchnorm
  } else {
    shortcut = in
  }
  add(main, shortcut) -> relu
}

block exchanged(other, half=other.channels // 2, rest=in.channels - half) {
  a, b = other -> split
  c, d = in -> split(half, rest)
  e = concat(a, d)
  h = concat(c, b)
  h, e
}

net A {
  input x: 8x8x8
  basic(8)
  y = basic(16, stride=2)
  z = y -> basic(16)
  f, g = y -> exchanged(z)
  add(f, g)
  when wide and not (g.height == 1) { conv(round(g.channels / 3), 1x1) } else when wide {
    conv(2, 1x1)
  } else { conv(3, 1x1) }
  flatten -> dense(max(3, min(x.width, 4)) - x.height // 8) -> softmax
}
"""
WRITTEN_OUT = """net A {
  input x: 8x8x8
  m1 = conv(8, 3x3, pad=1, bias=off) -> batchnorm -> relu -> conv(8, 3x3, pad=1, bias=off) -> batchnorm
  b1 = add(m1, x) -> relu
  m2 = conv(16, 3x3, stride=2, pad=1, bias=off) -> batchnorm -> relu -> conv(16, 3x3, pad=1, bias=off) -> batchnorm
  s2 = b1 -> conv(16, 1x1, stride=2, bias=off) -> batchnorm
  y = add(m2, s2) -> relu
  m3 = conv(16, 3x3, pad=1, bias=off) -> batchnorm -> relu -> conv(16, 3x3, pad=1, bias=off) -> batchnorm
  z = add(m3, y) -> relu
  a = slice(0, 8)
  b = z -> slice(8, 16)
  c = y -> slice(0, 8)
  d = y -> slice(8, 16)
  e = concat(a, d)
  f = concat(c, b)
  add(f, e) -> conv(5, 1x1) -> flatten -> dense(3) -> softmax
}
"""


def network(text: str, **given: object) -> Network:
    return check(parse(Source("spec.net", text)), given)


def test_a_block_that_adapts_is_what_it_unrolls_to() -> None:
    found, written = network(REUSABLE), network(WRITTEN_OUT)
    assert [(n.name, n.layer, n.inputs, n.output) for n in found.nodes] == [
        (n.name, n.layer, n.inputs, n.output) for n in written.nodes
    ]
    assert found.heads == written.heads
    assert network(REUSABLE, wide=False).nodes[-4].output.shape == (4, 4, 3)


def test_what_does_not_run_still_uses_its_names() -> None:
    text = """param width = 4
param deep = off
block unit(size) { dense(size * width) }
block other(size, unused_here) {
  when size > 100 { unit(unused_here) }
  dense(size)
}
net A {
  input x: 5
  other(3, 1)
  when deep { repeat 0 { unit(3) } }
}
"""
    assert [node.output.shape for node in network(text).nodes] == [(3,)]
    assert [node.output.shape for node in network(text, deep=True).nodes] == [(3,)]


def test_comparisons_are_switches() -> None:
    text = "param n = 3\nnet A {{\n  input x: 4\n  dense(2, bias={})\n}}\n"
    holds = {
        "n > 2": True, "n >= 4": False, "n < 3 or n <= 3": True, "not n == 3 and 1 / 0 > 2": False, "n != 3": False,
        "n == 3 or 1 / 0 > 2": True, "(n > 1) == on": True, "not (n > 1 and n < 9)": False,
    }  # fmt: skip
    for condition, expected in holds.items():
        assert network(text.format(condition)).nodes[0].layer.bias is expected, condition


def test_rounding_takes_the_larger_of_two_that_are_equally_near() -> None:
    text = "net A {{\n  input x: 4\n  dense({})\n}}\n"
    for value, expected in {"2.5": 3, "3.5": 4, "2.49": 2, "-0.5 + 1": 1, "7 / 2": 4}.items():
        assert network(text.format(f"round({value})")).heads[0].value.shape == (expected,), value


def test_arithmetic_of_values_is_the_layers_that_do_it() -> None:
    text = "  h = x * 0.5\n  z = x - 2 * h + y -> relu\n  (1 - -(x + h) ^ 2 / 4) * z\n"
    found = network(f"net A {{\n  input x: 4\n  input y: 4\n{text}}}\n")
    kinds = ["activation", "activation", "subtract", "add", "relu", "add", *["activation"] * 4, "multiply"]
    assert [node.name.rstrip("0123456789") for node in found.nodes] == kinds
    x, y = np.random.default_rng(0).standard_normal((2, 3, 4))
    wanted = (1 + (1.5 * x) ** 2 / 4) * np.maximum(y, 0)
    assert Interpreter(found, {}).predict({"x": x, "y": y})["output"] == pytest.approx(wanted, rel=1e-12)


def test_formatting() -> None:
    crooked = """block b(n){
a,b=dense( n )->split
when in . features==n and(n>2 or not ( n!=3)){ dense(round( in.features*0.5 )) }
else when n<-1 {
dense(1) }   else{ dense(2)
}
a,b
}
net A {
  input x: 4
  b(4)
}
"""
    straight = """block b(n) {
  a, b = dense(n) -> split
  when in.features == n and (n > 2 or not (n != 3)) { dense(round(in.features * 0.5)) }
  else when n < -1 {
    dense(1)
  } else {
    dense(2)
  }
  a, b
}
net A {
  input x: 4
  b(4)
}
"""
    assert format_source(Source("spec.net", crooked)) == straight
    assert format_source(Source("spec.net", straight)) == straight


def test_what_only_the_other_branch_uses_is_left_out() -> None:
    """Also with all that leads to it alone, and shared layers."""
    text = """param deep = 1
    net A {
      input x: 7
      both = x -> dense(7)
      tower = shared { dense(7) -> tanh }
      other = both -> dense(7) -> relu
      when deep > 2 {
        high = both -> tower
        last = add(both, other, high)
      } else {
        last = both -> relu
      }
      output y = last -> dense(2)
    }"""
    assert [node.name for node in check_text(text).nodes] == ["dense1", "relu2", "dense3"]
    deep = check_text(text, {"deep": 3})
    assert [node.name for node in deep.nodes][:4] == ["dense1", "dense2", "relu1", "dense3"]
    with pytest.raises(SpecError, match="'other' is never used"):
        check_text(text.replace("other, high", "high"))


def test_train_may_speak_of_what_another_branch_makes() -> None:
    """An input, an output with its loss, and a layer to freeze that are there with one value of a param only."""
    text = """param more = off
    net A {
      input x: 7
      input y: 3
      h = x -> dense(5, name=one) -> relu
      when more {
        output side = y -> dense(2, name=two) -> softmax train_only
      }
      output main = h -> dense(2)
    }
    train {
      loss main: mse
      loss side: cross_entropy
      freeze one, two
      optimizer sgd(0.1)
    }"""
    less, more = check_text(text), check_text(text, {"more": True})
    assert [value.name for value in less.inputs] == ["x"] and [head.name for head in less.heads] == ["main"]
    assert [value.name for value in more.inputs] == ["x", "y"]
    assert [head.name for head in more.heads] == ["main", "side"]
    for wrong in ("loss sid: mse", "freeze three"):
        with pytest.raises(SpecError):
            check_text(text.replace("loss side: cross_entropy" if "loss" in wrong else "freeze one, two", wrong))


def test_results_that_are_not_wanted() -> None:
    """They are left out with all that leads to them alone; the last result with a name flows on."""
    text = """block step(h) {
      made = add(in, h) -> tanh
      rest = made -> dense(3) -> relu
      made, rest
    }
    net A {
      input x: 6
      _, h, _ = x -> split(1, 4, 1)
      k, _ = h -> step(h)
      dense(2)
    }"""
    network = check_text(text)
    assert [node.name for node in network.nodes] == ["slice2", "add1", "tanh1", "dense2"]
    assert network.nodes[-1].inputs[0].name == "tanh1"


@pytest.mark.parametrize("setting", ["regularize l2(0.1), max_norm(3)", "init he", "precise on", "precision mixed"])
def test_train_may_say_how_layers_learn_that_only_another_branch_makes(setting: str) -> None:
    """Layers in a block there, too; but a branch without such layers excuses nothing."""
    text = f"""param more = off
    block wide() {{
      conv(4, 3x3) -> flatten -> dense(4)
    }}
    net A {{
      input x: 5x5x1
      when more {{
        wide
      }} else {{
        maxpool(2) -> flatten
      }}
      scale
    }}
    train {{
      loss mse
      optimizer sgd(0.1)
      {setting}
    }}"""
    check_text(text)
    check_text(text, {"more": True})
    with pytest.raises(SpecError, match="has no effect"):
        check_text(text.replace("conv(4, 3x3) -> flatten -> dense(4)", "relu -> flatten"))
