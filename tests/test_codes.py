"""Every diagnostic has one code, an example and a section in docs/errors.md. DSLC_UPDATE_GOLDEN=1 writes the page."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import fields
from inspect import getdoc
from pathlib import Path

import pytest
from test_cli import dslc as run
from test_errors import said_of

import dslc.checker
import dslc.language
import dslc.planning
from dslc.checker.columns import require_values
from dslc.compiler import check_text, plan_network
from dslc.language.codes import CODES, PAGE, RETIRED
from dslc.language.diagnostics import Diagnostic, SpecError, render
from dslc.language.parse import MAX_BYTES, decode, read
from dslc.target import TARGETS
from helpers import REPO

HEAD = """# Errors

Every error and note has a code, which stands in its first line: `error[DSLC014]`. `dslc explain DSLC014` prints what is
said here. Codes never change. An error names its place; all independent errors of a file come at once.

"""
NO_TEXT = {
    "NotReadable": lambda: read("nowhere.net"),
    "NotText": lambda: decode(b"\x89PNG\r\n\x1a\n", "picture.png"),
    "TooLarge": lambda: decode(b"#" * 2 * MAX_BYTES, "data.net"),
    "ValuesUnknown": lambda: require_values(
        check_text("net A {\n  input row: table { sex: category }\n  dense(1)\n}\n")
    ),
    "TooLittleMemory": lambda: plan_network(
        check_text(
            "net A {\n  input x: 8\n  dense(4) -> relu\n  dense(2) -> softmax\n}\n"
            "train {\n  loss cross_entropy\n  optimizer sgd(0.1)\n  memory 100\n}\n"
        ),
        target=TARGETS["generic"],
    ),
}
"""Diagnostics of files that are no specs, and of what commands need of one that is right."""


def classes() -> dict[str, type[Diagnostic]]:
    """All kinds of diagnostics."""
    for package in (dslc.checker, dslc.language, dslc.planning):
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")

    def below(kind: type[Diagnostic]) -> Iterator[type[Diagnostic]]:
        for derived in kind.__subclasses__():
            yield derived
            yield from below(derived)

    found = [kind for kind in dict.fromkeys(below(Diagnostic)) if kind.__module__.startswith("dslc.")]
    assert len({kind.__name__ for kind in found}) == len(found), "a code belongs to a name: two classes share one"
    return {kind.__name__: kind for kind in found}


def example_of(name: str) -> tuple[str, Diagnostic]:
    """A spec, empty if there is none, and the diagnostic of this kind that it gets."""
    entry = CODES[name]
    text = (REPO / "tests" / "errors" / f"{entry.example}.net").read_text("utf-8") if entry.example else ""
    if text:
        found = said_of(text, "example.net")
    else:
        with pytest.raises(SpecError) as caught:
            NO_TEXT[name]()
        found = caught.value.diagnostics
    return text, next(d for d in found if type(d).__name__ == name)


def section(name: str, kind: type[Diagnostic]) -> str:
    text, diagnostic = example_of(name)
    about = re.split(
        "|".join(rf"[;.] `{f.name}`(?::| is)" for f in fields(kind)), " ".join((getdoc(kind) or "").split())
    )[0]
    about = about.rstrip(".") + "."
    spec = f"```\n{text.strip()}\n```\n\n" if text else ""
    return f"## {CODES[name].code}\n\n{about}\n\n{spec}```\n{render(diagnostic)}```\n\n"


def test_every_diagnostic_has_one_code() -> None:
    assert set(CODES) == set(classes())
    codes = [entry.code for entry in CODES.values()]
    assert len({*codes, *RETIRED}) == len(codes) + len(RETIRED)
    assert sorted({*codes, *RETIRED}) == [f"DSLC{number:03}" for number in range(1, len(codes) + len(RETIRED) + 1)]


def test_codes_do_not_change() -> None:
    """A few of them, which stand in people's notes from now on."""
    kept = {"NotReadable": "DSLC001", "UnexpectedWord": "DSLC010", "NoNet": "DSLC012", "UnknownOverride": "DSLC016"}
    assert {name: CODES[name].code for name in kept} == kept


@pytest.mark.parametrize("name", CODES)
def test_example(name: str) -> None:
    _, diagnostic = example_of(name)
    assert render(diagnostic).startswith(f"{diagnostic.severity}[{CODES[name].code}]: ")


def test_page() -> None:
    kinds = classes()
    page = HEAD + "".join(section(name, kinds[name]) for name in sorted(CODES, key=lambda name: CODES[name].code))
    path = REPO / PAGE
    if os.environ.get("DSLC_UPDATE_GOLDEN") == "1":
        path.write_text(page.rstrip() + "\n", "utf-8")
    assert path.read_text("utf-8") == page.rstrip() + "\n"


def test_explain(tmp_path: Path) -> None:
    said = {run("explain", code, cwd=tmp_path).stdout for code in ("DSLC005", "dslc5", "5")}
    assert len(said) == 1 and "error[DSLC005]" in said.pop()
    listed = run("explain", cwd=tmp_path).stdout.splitlines()
    assert len(listed) == len(CODES) and listed[0].startswith("DSLC001  The file cannot be opened")


def test_unknown_code(tmp_path: Path) -> None:
    assert run("explain", "DSLC999", cwd=tmp_path).returncode == 2
