"""Options of whole numbers, of all commands: what is none is refused, in one line."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import get_args

import pytest
from cyclopts import App
from cyclopts.argument import Argument

from dslc.cli.app import app
from dslc.cli.main import COMMANDS, run


def _arguments(of: App) -> Iterator[Argument]:
    """Those of a command and of all below it."""
    if of.default_command is not None:
        yield from of.assemble_argument_collection()
    for name in of:
        if not name.startswith("-"):
            yield from _arguments(of[name])


def _whole_options() -> list[str]:
    """The options of whole numbers, by name; each has a converter that refuses fractions."""
    for command in COMMANDS:
        importlib.import_module(f"dslc.cli.{command}")
    found = [a for a in _arguments(app) if a.hint is int or int in get_args(a.hint)]
    assert not [a.name for a in found if a.parameter.converter is None]
    return sorted({a.name for a in found})


def test_every_option_of_whole_numbers_refuses_fractions() -> None:
    assert {"--epochs", "--seed", "--trials", "--threads", "--top", "--workers"} <= set(_whole_options())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("train", "--epochs", "1.5"), "--epochs: expected a whole number, not '1.5'"),
        (("train", "--epochs=1e3"), "--epochs: expected a whole number, not '1e3'"),
        (("train", "--epochs", "9" * 20), "--epochs: this number is too long; at most 18 digits fit"),
        (("train", "--seed", "-0.5"), "--seed: expected a whole number, not '-0.5'"),
        (
            ("train", "lenet5", "--data", "mnist", "--checkpoint-every", "1.5"),
            "--checkpoint-every wants a number of epochs or a time, as in 90s, 30m or 2h, not '1.5'",
        ),
        (("check", "--threads", "1.5"), "--threads: expected a whole number or auto, not '1.5'"),
        (("search", "lenet5", "--data", "mnist", "--trials", "many"), "--trials: expected a whole number, not 'many'"),
    ],
)
def test_what_is_no_whole_number_is_told(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(list(arguments)) == 2
    assert capsys.readouterr().err == f"error: {told}\n"
