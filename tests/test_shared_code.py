"""Functions of C that several kernels share, with sizes as parameters, and loops over calls that repeat."""

from __future__ import annotations

import re
from itertools import chain
from operator import add, floordiv, mod, mul, sub

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslc.codegen.emit import emit
from dslc.codegen.loops import repeats
from dslc.codegen.sizes import Size, bytes_of, declared, largest, parameters
from dslc.codegen.text import without_brackets
from dslc.compiler import check_text, plan_network
from dslc.proofs.verify import verify
from dslc.runtime.model import Model

WORDS = {add: "+", sub: "-", mul: "*", floordiv: "//", mod: "%"}


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)), min_size=1, max_size=3), st.data())
def test_a_size_prints_what_it_is(pairs: list[tuple[int, int]], data: st.DataObject) -> None:
    """For every kernel, the C of an expression has the value that the expression has with this kernel's numbers."""
    a, b = parameters({"a": [p[0] for p in pairs], "b": [p[1] for p in pairs]}).values()
    first, second = data.draw(st.tuples(*[st.sampled_from(sorted(WORDS, key=WORDS.__getitem__))] * 2))
    assert isinstance(a, Size) and isinstance(b, Size)
    found = second(first(a, b) if data.draw(st.booleans()) else first(a, 7), data.draw(st.sampled_from([b, 3])))
    for i, (left, right) in enumerate(pairs):
        assert eval(str(found).replace("/", "//"), {"a": left, "b": right}) == found.values[i]


def test_what_a_size_cannot_say_is_refused() -> None:
    size = parameters({"n": [3, 4]})["n"]
    for expression in (lambda: -size, lambda: 1 / size, lambda: size**2, lambda: 7 % size, lambda: float(size)):
        with pytest.raises(TypeError, match="n is a parameter"):
            expression()


def test_parameters_are_as_wide_as_what_is_computed_from_them() -> None:
    narrow, wide = parameters({"n": [3, 1 << 20]})["n"], parameters({"n": [3, 1 << 20]})["n"]
    assert isinstance(narrow, Size) and isinstance(wide, Size)
    assert str(wide * wide) == "(n * n)"
    assert declared(narrow) == "int n" and declared(wide) == "int64_t n"
    assert (
        largest(narrow) == 1 << 20
        and bytes_of(narrow) == "(size_t)n * sizeof(real)"
        and bytes_of(8) == "8 * sizeof(real)"
    )


def test_brackets_that_matter_stay() -> None:
    assert without_brackets("f((a * b), c) + (a * b) * c;") == "f(a * b, c) + a * b * c;"
    assert without_brackets("x / (a * b) - i * (a * b)") == "x / (a * b) - i * (a * b)"


@given(st.lists(st.sampled_from("abc"), max_size=60), st.integers(1, 5))
def test_loops_say_the_same_calls(calls: list[str], times: int) -> None:
    forms = [*calls, *calls * times, *calls[:2]]
    parts = repeats(forms)
    said = chain.from_iterable(forms[p.start : p.start + p.period] * p.rounds for p in parts)
    assert list(said) == forms
    assert sum(p.period for p in parts) <= max(len(calls) + 8, len(calls) * 2 + 2) or times == 1


NET = """
block unit(filters) {
  conv(filters, 3x3, pad=1, bias=off) -> batchnorm -> relu
  when in.channels == filters { add(in) }
}
net Repeating {
  input image: 6x6x20
  repeat 4 { unit(20) }
  unit(24) -> unit(28) -> unit(36) -> unit(40)
  repeat 3 { unit(40) }
  global_avgpool -> dense(5) -> softmax
}
train { loss cross_entropy
        optimizer momentum(lr=0.05)
        regularize l2(0.01)
        batch 6 }
"""


@pytest.mark.slow
def test_a_network_of_repeated_blocks() -> None:
    """Loops over offsets that grow evenly and over tables, functions of several sizes: as NumPy computes it."""
    network = check_text(NET)
    code = emit(plan_network(network, threads=2)).code
    loops = re.findall(r"for \(int k = 0; k < (\d+); \+\+k\) {", code)
    assert len(loops) >= 5 and "(size_t)k * " in code and re.search(r"static const size_t \w+_of\[\] = {", code)
    assert re.search(r"static KERNEL void batchnorm_merge_statistics\(.*int channels,", code)
    assert "nadam_product" not in code and "real_tanh_softplus" not in code
    assert "gradients_backward(" not in code and re.search(r"train_backward\(.*, 0, part, parts\);", code)
    assert "if (updates) {" in code and "} else {" in code
    assert re.search(r"static const size_t conv1_weight = \d+, conv1_weight_grad = ", code)
    for row in verify(Model(network, threads=2), 3):
        assert row.ok, row
