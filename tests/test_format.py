"""`dslc fmt`: one form, the same network, every comment, and nothing left to change the second time."""

from __future__ import annotations

import os
import random
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_cli import DATA_SPEC, dslc

from dslc.compiler import check_text
from dslc.ir import Network
from dslc.language.diagnostics import SpecError
from dslc.language.format import TOKEN, format_source
from dslc.language.parse import parse
from dslc.language.source import Source, Span
from fuzzing.specs import networks
from helpers import REPO

FOLDERS = ("specs", "benchmarks/specs", "benchmarks/specs/accuracy", "benchmarks/specs/untuned", "tests/fuzz_found")
FILES = [path for folder in FOLDERS for path in sorted((REPO / folder).glob("*.net"))]
WRONG = sorted((REPO / "tests" / "errors").glob("*.net"))

UGLY = """

#first
param   lr=1e-3   in log( 1e-4,1e-1 )
block unit( n , size = 3 ){conv( n,size , pad = same )->relu}


net   A{ # the net
   input x:28x28x1
 unit( 8 , ) -> flatten  # one

        # why
  # it goes on

   -> dense( -(2+ 3) * -1 )->tanh # two
  repeat (1+1) { relu }
  h=dense(10)   # three
  -> softmax
  # last

}
train{loss   cross_entropy(class_weights=(1,2,1,1,1,1,1,1,1,1),label_smoothing = .1)
 optimizer adam( lr )

 schedule warmup(5)->cosine( 10 )
 optimize accuracy subject_to predict_us<=50,recall>= 0.5
}
"""
NEAT = """#first
param lr = 1e-3 in log(1e-4, 1e-1)
block unit(n, size=3) { conv(n, size, pad=same) -> relu }

net A {  # the net
  input x: 28x28x1
  unit(8,) -> flatten  # one
    # why
    # it goes on
    -> dense(-(2 + 3) * -1) -> tanh  # two
  repeat (1 + 1) { relu }
  h = dense(10)  # three
    -> softmax
  # last
}
train {
  loss      cross_entropy(class_weights=(1, 2, 1, 1, 1, 1, 1, 1, 1, 1), label_smoothing=.1)
  optimizer adam(lr)

  schedule  warmup(5) -> cosine(10)
  optimize  accuracy subject_to predict_us <= 50, recall >= 0.5
}
"""


def formatted(text: str) -> str:
    return format_source(Source("spec.net", text))


def meaning(thing: Any) -> Any:
    """A syntax tree or a network without places in the text."""
    if isinstance(thing, (Span, Source)):
        return None
    if is_dataclass(thing):
        return type(thing), [meaning(getattr(thing, f.name)) for f in fields(thing) if f.compare]
    return [meaning(item) for item in thing] if isinstance(thing, tuple) else thing


def words_of(text: str) -> list[str]:
    """The words and comments of a text, without the space between them."""
    return [m[0].rstrip() for m in TOKEN.finditer(text) if m.lastgroup not in ("blank", "newline")]


def judge(text: str) -> None:
    """What must hold for every text that checks."""
    once = formatted(text)
    assert formatted(once) == once
    assert meaning(check_text(once)) == meaning(check_text(text))
    assert words_of(once) == words_of(text)


def scrambled(text: str, seed: int) -> str:
    """The text with other spaces, comments and empty lines."""
    rng = random.Random(seed)
    found = [(m.lastgroup, m[0]) for m in TOKEN.finditer(text)]
    parts = []
    for place, (kind, token) in enumerate(found):
        if kind == "blank":
            needed = all(at in range(len(found)) and found[at][1][:1].isalnum() for at in (place - 1, place + 1))
            token = rng.choice(["  ", "\t", " "]) if needed else rng.choice(["", " ", "   "])
        elif kind == "newline":
            token = rng.choice(["\n", "  \n", "\n\n\n", "# a, b -> c\n", "\n   # {\n", "  ##\n\n"])
        parts.append(token)
    return "".join(parts)


def test_form() -> None:
    assert formatted(UGLY) == NEAT
    assert meaning(parse(Source("", UGLY)))[1][1] == meaning(parse(Source("", NEAT)))[1][1]


def test_sizes_of_memory_stay_whole() -> None:
    assert formatted("train { memory 100MB\n loss mse }") == "train {\n  memory 100MB\n  loss   mse\n}\n"


def test_meaning_sees_a_difference() -> None:
    """The comparison that the tests below rely on."""
    text = (REPO / "specs/alexnet.net").read_text()
    assert isinstance(check_text(text), Network)
    assert meaning(check_text(text)) == meaning(check_text("\n\n" + text))
    assert meaning(check_text(text)) != meaning(check_text(text.replace("11x11", "9x9")))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_specs(path: Path) -> None:
    judge(path.read_text("utf-8"))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FILES), st.integers(0, 2**32))
def test_scrambled_specs(path: Path, seed: int) -> None:
    text = path.read_text("utf-8")
    other = scrambled(text, seed)
    judge(other)
    uncommented = [word for word in words_of(text) if not word.startswith("#")]
    assert [word for word in words_of(formatted(other)) if not word.startswith("#")] == uncommented


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.integers(0, 2**32))
def test_random_networks(text: str, seed: int) -> None:
    judge(text)
    judge(scrambled(text, seed))


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_wrong_specs_are_formatted_if_they_parse(path: Path) -> None:
    text = path.read_text("utf-8")
    try:
        tree = parse(Source("", text))
    except SpecError as error:
        with pytest.raises(SpecError, match=error.diagnostics[0].title[:5].replace("(", ".")):
            formatted(text)
        return
    once = formatted(text)
    assert formatted(once) == once
    assert meaning(parse(Source("", once))) == meaning(tree)


def test_command(tmp_path: Path) -> None:
    """On files, and on a run folder for its spec."""
    path = tmp_path / "a.net"
    path.write_text(UGLY)
    would = dslc("fmt", "--check", "a.net", cwd=tmp_path)
    assert would.returncode == 1 and "a.net would change" in would.stderr and path.read_text() == UGLY
    shown = dslc("fmt", "--diff", "a.net", cwd=tmp_path)
    assert shown.returncode == 1 and "+net A {  # the net\n" in shown.stdout and path.read_text() == UGLY
    assert dslc("fmt", "a.net", cwd=tmp_path).returncode == 0
    assert path.read_text() == NEAT and os.listdir(tmp_path) == ["a.net"]
    assert dslc("fmt", "--check", "--diff", "a.net", cwd=tmp_path).stdout == ""
    (tmp_path / "r").mkdir()
    path.rename(tmp_path / "r" / "spec.net").write_text(UGLY)
    would = dslc("fmt", "--check", "r", cwd=tmp_path)
    assert would.returncode == 1 and "r/spec.net would change" in would.stderr
    assert dslc("fmt", "r", cwd=tmp_path).returncode == 0
    assert (tmp_path / "r" / "spec.net").read_text() == NEAT and os.listdir(tmp_path / "r") == ["spec.net"]


def test_a_file_that_does_not_parse_is_left_and_the_others_are_formatted(tmp_path: Path) -> None:
    (tmp_path / "wrong.net").write_text("net A { relu relu\n")
    (tmp_path / "right.net").write_text(DATA_SPEC)
    done = dslc("fmt", "wrong.net", "right.net", cwd=tmp_path)
    assert done.returncode == 1 and "wrong.net:1:14" in done.stderr
    assert (tmp_path / "wrong.net").read_text() == "net A { relu relu\n"
    assert (tmp_path / "right.net").read_text() == DATA_SPEC.removeprefix("\n").replace("sgd(lr)", "sgd(lr)")
    assert dslc("fmt", cwd=tmp_path).returncode == 2
