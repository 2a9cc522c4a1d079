"""Every mistake in tests/errors gets the message that stands beside it, and nothing at all gets a traceback.

DSLC_UPDATE_GOLDEN=1 rewrites the messages; read the difference before it is committed.
"""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dslc.checker.program import check
from dslc.cli.app import overrides
from dslc.language.diagnostics import Diagnostic, SpecError, render_all
from dslc.language.parse import MAX_DIGITS, parse, read
from dslc.language.source import Source

ROOT = Path(__file__).parent.parent
WRONG = sorted((ROOT / "tests" / "errors").glob("*.net"))
SPECS = sorted((ROOT / "specs").glob("*.net"))
UPDATE = os.environ.get("DSLC_UPDATE_GOLDEN") == "1"
AT_LEAST = 60

VALID = """net Small {
  input x: 4
  dense(3) -> softmax
}

train {
  loss      cross_entropy
  optimizer adam(lr=0.001)
}
"""


def error_of(text: str, name: str = "spec.net") -> SpecError:
    with pytest.raises(SpecError) as caught:
        check(parse(Source(name, text)))
    return caught.value


def said_of(text: str, name: str) -> tuple[Diagnostic, ...]:
    """What is reported of a file: errors, or notes where it checks. Values from outside stand in its first line."""
    given = overrides(re.findall(r"-D (\S+)", text.partition("\n")[0]))
    try:
        return check(parse(Source(name, text)), given).notes
    except SpecError as error:
        return error.diagnostics


def error_of_file(path: Path) -> SpecError:
    with pytest.raises(SpecError) as caught:
        check(parse(read(path)))
    return caught.value


def titles(error: SpecError) -> list[str]:
    return [d.title for d in error.diagnostics]


# ------------------------------------------------------------------------------------------------ golden files


def test_there_are_many_mistakes() -> None:
    assert len(WRONG) >= AT_LEAST


def test_no_message_is_left_over() -> None:
    messages = {p.stem for p in (ROOT / "tests" / "errors").glob("*.err")}
    assert messages == {p.stem for p in WRONG}


@pytest.mark.parametrize("path", WRONG, ids=lambda p: p.stem)
def test_message(path: Path) -> None:
    shown = render_all(said_of(path.read_text("utf-8"), f"tests/errors/{path.name}"))
    golden = path.with_suffix(".err")
    if UPDATE:
        golden.write_text(shown, "utf-8")
    assert shown == golden.read_text("utf-8")


@pytest.mark.parametrize("path", WRONG, ids=lambda p: p.stem)
def test_message_names_a_place_inside_the_file(path: Path) -> None:
    text = path.read_text("utf-8")
    for diagnostic in said_of(text, path.name):
        span = diagnostic.span.as_written
        assert 0 <= span.start <= span.end <= len(text)
        assert diagnostic.title and "\n" not in diagnostic.title + diagnostic.label
        assert not re.search(r"[{}]\w*[{}]|None|<.*object", diagnostic.title + diagnostic.label)


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_spec_checks(path: Path) -> None:
    check(parse(read(path)))


# ------------------------------------------------------------------------------------------------ one and many


def test_independent_errors_come_at_once_and_in_order() -> None:
    error = error_of((ROOT / "tests" / "errors" / "several_errors.net").read_text("utf-8"))
    lines = [d.span.line for d in error.diagnostics]
    assert len(lines) == 8
    assert lines == sorted(lines)


def test_failed_size_does_not_cascade() -> None:
    error = error_of((ROOT / "tests" / "errors" / "no_cascade.net").read_text("utf-8"))
    assert titles(error) == ["the filter is larger than its input"]


def test_failed_param_does_not_cascade() -> None:
    assert titles(error_of("param width = 8 / 0\n" + VALID.replace("dense(3)", "dense(width) -> dense(3)"))) == [
        "this divides by zero"
    ]


def test_very_many_errors_are_counted() -> None:
    error = error_of(VALID.removesuffix("}\n") + "  epoch 3\n" * 250 + "}\n")
    assert len(error.diagnostics) > 200
    assert str(error).count("error[DSLC") == 20
    assert str(error).endswith(f"... and {len(error.diagnostics) - 20} more\n")


def test_error_in_a_block_comes_once() -> None:
    text = "block hidden() {\n  dense(8, bais=off)\n}\n" + VALID.replace("dense(3)", "hidden -> hidden -> dense(3)")
    assert titles(error_of(text)) == ["dense has no argument 'bais'"]


def test_arguments_after_a_failure_are_still_checked() -> None:
    error = error_of(VALID.replace("dense(3)", "conv(8, 3x3) -> dense(2.5) -> dense(3)"))
    assert [d.span.text for d in error.diagnostics] == ["conv(8, 3x3)", "2.5"]


def test_the_example_of_the_language_page() -> None:
    """`conv(16, 7x7)` on 5x5x6: the page shows title, place, label, formula and help."""
    error = error_of((ROOT / "tests" / "errors" / "conv_filter_too_large.net").read_text("utf-8"), "specs/tiny.net")
    assert str(error) == (
        "error[DSLC052]: the filter is larger than its input\n"
        "  --> specs/tiny.net:6:12\n"
        "   |\n"
        " 6 |   conv(16, 7x7) -> relu\n"
        "   |            ^^^ 7 needs at least 7 rows and columns; the input here is 5x5x6\n"
        "   = size: floor((n + 2p - f) / s) + 1 = floor((5 + 0 - 7) / 1) + 1 = -1\n"
        "   = help: use a filter of at most 5x5, or pad=1\n"
    )


@pytest.mark.parametrize("size", ["7x7", "7x5", "9x20"])
@pytest.mark.parametrize("image", ["5x5x3", "5x6x3", "6x4x3"])
def test_what_the_help_proposes_is_right(size: str, image: str) -> None:
    text = VALID.replace("x: 4", f"x: {image}").replace("dense(3)", f"conv(8, {size}) -> flatten -> dense(3)")
    help_ = error_of(text).diagnostics[0].notes[-1]
    filter_, pad = re.findall(r"at most (\w+), or pad=(\d+)", help_)[0]
    check(parse(Source("spec.net", text.replace(f"conv(8, {size})", f"conv(8, {filter_})"))))
    check(parse(Source("spec.net", text.replace(f"conv(8, {size})", f"conv(8, {size}, pad={pad})"))))


@pytest.mark.parametrize("shapes", [("3x2x5", "3x4x5"), ("2x3x5", "4x3x5"), ("4x3", "5x3"), ("4", "2x4")])
def test_channels_of_different_places_are_not_joined(shapes: tuple[str, str]) -> None:
    """Rows alone, columns alone, steps, and a vector beside a sequence."""
    inputs = "\n  ".join(f"input {name}: {shape}" for name, shape in zip("ab", shapes, strict=True))
    error = error_of(f"net Joined {{\n  {inputs}\n  concat(a, b)\n}}\n")
    assert titles(error)[0].endswith(f"or only vectors, not {shapes[0]} and {shapes[1]}")


# ------------------------------------------------------------------------------------------- unreadable input


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.net"
    path.write_bytes(b"")
    assert titles(error_of_file(path)) == ["this file declares no net"]


@pytest.mark.parametrize("data", [b"\n", b"   ", b"# only a comment", b"\n\n# one\n\n"])
def test_file_of_blanks(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "blank.net"
    path.write_bytes(data)
    assert titles(error_of_file(path)) == ["this file declares no net"]


@pytest.mark.parametrize(
    "data", [bytes(range(256)), b"\x89PNG\r\n\x1a\n", b"net A {\0}", "net Zürich {".encode("latin-1")]
)
def test_binary_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "binary.net"
    path.write_bytes(data)
    assert "not text" in str(error_of_file(path))


def test_directory(tmp_path: Path) -> None:
    assert titles(error_of_file(tmp_path)) == ["cannot read the spec: is a directory"]


def test_a_run_folder_stands_for_its_spec(tmp_path: Path) -> None:
    (tmp_path / "spec.net").write_text(VALID)
    assert check(parse(read(tmp_path))).name == "Small"
    (tmp_path / "spec.net").write_text(VALID.replace("softmax", "sofmax"))
    assert f"--> {tmp_path / 'spec.net'}:3:15" in str(error_of_file(tmp_path))


def test_missing_path(tmp_path: Path) -> None:
    error = error_of_file(tmp_path / "missing.net")
    assert titles(error) == ["cannot read the spec: no such file or directory"]
    assert str(tmp_path / "missing.net") in str(error)


def test_path_with_a_nul() -> None:
    with pytest.raises(SpecError, match="cannot read the spec"):
        read("a\0b.net")


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root reads everything")
def test_unreadable_path(tmp_path: Path) -> None:
    path = tmp_path / "secret.net"
    path.write_text(VALID)
    path.chmod(0)
    assert titles(error_of_file(path)) == ["cannot read the spec: permission denied"]


def test_ten_megabytes_of_brackets(tmp_path: Path) -> None:
    path = tmp_path / "brackets.net"
    path.write_bytes(b"(" * 10_000_000)
    assert "10.0 MB" in str(error_of_file(path))
    assert "10.0 MB" in str(error_of("(" * 10_000_000))


@pytest.mark.parametrize(
    "value",
    [
        "(" * 5000 + "1" + ")" * 5000,
        "(" * 400_000,
        "-" * 20_000 + "1",
        "+".join(["1"] * 150),
        "+".join(["1"] * 15_000),
        "*".join(["1"] * 15_000),
        "size(" * 5000,
        "size(" * 90 + "+".join(["1"] * 90) + ")" * 90,
    ],
    ids=["brackets", "open", "signs", "sum", "long sum", "product", "calls", "sum in calls"],
)
def test_deep_expression(value: str) -> None:
    error = error_of(VALID.replace("dense(3)", f"dense({value})"))
    assert titles(error) == ["more than 100 brackets or operators inside each other"]
    assert len(str(error)) < 1000


def test_deep_braces() -> None:
    error = error_of(VALID.replace("dense(3)", "repeat 2 { " * 5000 + "relu" + " }" * 5000))
    assert titles(error) == ["more than 100 brackets or operators inside each other"]


def test_moderate_sum_still_has_a_value() -> None:
    check(parse(Source("spec.net", VALID.replace("dense(3)", f"dense({'+'.join(['1'] * 60)})"))))


def test_brackets_in_comments_do_not_count() -> None:
    check(parse(Source("spec.net", "# ((({{{ " + ":(" * 500 + "\n" + VALID)))


def test_fann_file(tmp_path: Path) -> None:
    path = tmp_path / "xor.net"
    path.write_text("FANN_FLO_2.1\nnum_layers=3\nlearning_rate=0.700000\n")
    error = error_of_file(path)
    assert len(error.diagnostics) == 1
    assert "saved by FANN" in error.diagnostics[0].title


def test_fann_file_of_one_line() -> None:
    assert "saved by FANN" in str(error_of("FANN_FLO_2.1"))


@pytest.mark.parametrize("data", [VALID.replace("\n", "\r\n").encode(), b"\xef\xbb\xbf" + VALID.encode()])
def test_windows_files_still_parse(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "windows.net"
    path.write_bytes(data)
    assert check(parse(read(path))).name == "Small"


def test_windows_lines_are_shown_without_their_ends(tmp_path: Path) -> None:
    path = tmp_path / "windows.net"
    path.write_bytes(VALID.replace("softmax", "sofmax").replace("\n", "\r\n").encode())
    shown = str(error_of_file(path))
    assert "did you mean 'softmax'?" in shown
    assert "\r" not in shown


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in str(error_of(VALID.replace("dense(3)", "dense(3) \x1b[31m")))


def test_long_numbers() -> None:
    digits = "9" * (MAX_DIGITS + 1)
    for value in (digits, f"{digits}x{digits}", "1e999", "9" * 100_000):
        assert len(titles(error_of(VALID.replace("dense(3)", f"dense({value})")))) == 1


def test_blocks_that_double_come_to_an_end() -> None:
    blocks = "".join(f"block b{i}() {{\n  relu -> b{i + 1} -> b{i + 1}\n}}\n" for i in range(60))
    text = blocks + "block b60() {\n  relu\n}\n" + VALID.replace("dense(3)", "b0 -> dense(3)")
    assert titles(error_of(text)) == ["this makes more than 5000 layers or calls of blocks"]


# ----------------------------------------------------------------------------------------------------- fuzzing

TOKEN = re.compile(r"\s+|#[^\n]*|\w+|->|.", re.DOTALL)
NOISE = [*'(){}:=,+-*/x."#\n;', "->", "0", "-1", "1e999", "5x5", "on", "in", "relu", "add", "repeat", "output", "é"]


def mutated(text: str, seed: int) -> str:
    """The text with up to five of its tokens or characters deleted, doubled, swapped or replaced."""
    rng = random.Random(seed)
    parts = TOKEN.findall(text) if rng.random() < 0.7 else list(text)
    for _ in range(rng.randint(1, 5)):
        at, other = rng.randrange(len(parts)), rng.randrange(len(parts))
        kind = rng.randrange(4)
        if kind == 0:
            parts[at] = ""
        elif kind == 1:
            parts[at] *= 2
        elif kind == 2:
            parts[at], parts[other] = parts[other], parts[at]
        else:
            parts[at] = rng.choice(NOISE)
    return "".join(parts)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SPECS), st.integers(0, 2**32))
@example(SPECS[0], 0)
def test_mutated_specs_check_or_raise_spec_errors(path: Path, seed: int) -> None:
    try:
        check(parse(Source(path.name, mutated(path.read_text("utf-8"), seed))))
    except SpecError as error:
        assert error.diagnostics
        assert str(error).startswith("error[DSLC")


def test_numbers_too_large_for_float32_fit_float64() -> None:
    text = VALID.replace("dense(3)", "dense(3, init=constant(1e300))")
    assert [type(d).__name__ for d in error_of(text).diagnostics] == ["TooLargeFor"]
    check(parse(Source("", text.replace("train {", "train {\n  precision float64"))))
    check(parse(Source("", text)), {"precision": "float64"})
    check(parse(Source("", text)), precision="float64")
    check(parse(Source("", text.replace("1e300", "3.4028235e38"))))
