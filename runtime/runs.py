"""Run folders: what a training leaves behind, and models loaded back from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open

from dslc import ast
from dslc.compiler import check_file, check_text
from dslc.diagnostics import DataError
from dslc.ir import Network
from dslc.parse import parse
from dslc.runtime.model import Model
from dslc.source import Source

SPEC, WEIGHTS, HISTORY, REPORT = "spec.net", "weights.safetensors", "history.csv", "report.html"


@contextmanager
def run_folder(wanted: str | None, net: str) -> Iterator[Path]:
    """A folder for a run, made before it begins; it goes again if the run fails and leaves it empty.

    Raises:
        DataError: the folder cannot be made.
    """
    folder = _make_folder(wanted, net)
    try:
        yield folder
    except BaseException:
        if not any(folder.iterdir()):
            folder.rmdir()
        raise


def _make_folder(wanted: str | None, net: str) -> Path:
    """The folder named, or `runs/<net>-<number>` with the first number that is free."""
    try:
        if wanted is not None:
            folder = Path(wanted)
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        number = 1
        while True:
            folder = Path("runs") / f"{net.lower()}-{number}"
            try:
                folder.mkdir(parents=True)
                return folder
            except FileExistsError:
                number += 1
    except OSError as error:
        raise DataError(f"cannot make the run folder {folder}: {error.strerror}") from None


def spec_as_trained(network: Network, overrides: Mapping[str, str]) -> str:
    """The spec's text with the values that the params really had."""
    text = network.source.text
    params = [d for d in parse(Source(network.source.name, text)).declarations if isinstance(d, ast.ParamDecl)]
    for param in reversed(params):
        if param.name in overrides:
            text = text[: param.value.span.start] + overrides[param.name] + text[param.value.span.end :]
    return text


def load_run(run: str, threads: int) -> Model:
    """A trained model from its run folder or its weights file (which holds the spec).

    Raises:
        DataError: there is no such run, or its files do not fit.
    """
    path = Path(run)
    if path.is_dir():
        if not (path / SPEC).exists() or not (path / WEIGHTS).exists():
            raise DataError(f"{run} is no run folder: it has no {SPEC} with {WEIGHTS}")
        model = Model(check_file(path / SPEC), threads)
        model.load_weights(path / WEIGHTS)
        return model
    model = Model(check_text(_spec_inside(path)), threads)
    model.load_weights(path)
    return model


def _spec_inside(path: Path) -> str:
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise DataError(f"cannot read {path}: {error}") from None
    if "spec" not in metadata:
        raise DataError(f"{path} does not say which network its weights belong to")
    return str(metadata["spec"])
