"""The spec of an estimator: the user's, or one made for the data, with what the data tell filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path

from dslc.checker.program import check
from dslc.ir import Network
from dslc.language import ast
from dslc.language.parse import parse, read
from dslc.language.source import Edit, Source, edited

BUILT = """\
param features = 1
param {outputs} = 2
param lr       = 0.001
param batch    = 64
param epochs   = 200
param seed     = 1

net {name} {{
  input x: features
  standardize
{layers}
}}

train {{
  loss       {loss}
{more}  optimizer  adam(lr=lr)
  init       glorot_uniform
{penalty}  batch      batch
  epochs     epochs
  seed       seed
}}
"""
"""The network of an estimator without a spec, much like scikit-learn's `MLPClassifier` behind a `StandardScaler`. The
number of examples, the classes' names, lr, epochs and seed change nothing in its C: all of them share one module."""


@dataclass(frozen=True)
class Kind:
    """What tells a classifier's network from a regressor's. `outputs`: the param with the size of its output; `ending`:
    what follows the last dense layer; `more`: lines of `train`."""

    name: str
    loss: str
    outputs: str
    ending: str
    more: str = ""


def built_in(kind: Kind, hidden: Iterable[int], activation: str, l2: float) -> str:
    """A network of dense layers, `hidden` units each, as a spec; without a penalty if l2 is 0."""
    layers = [*(f"dense({units}) -> {activation}" for units in hidden), f"dense({kind.outputs}) -> {kind.ending}"]
    penalty = f"  regularize l2({float(l2)!r})\n" if l2 else ""
    return BUILT.format(**asdict(kind), layers="\n".join(f"  {layer}" for layer in layers), penalty=penalty)


def spec_source(spec: str | PathLike[str]) -> Source:
    """The text of a spec that is given as text or as the path of its file. Raises SpecError if it cannot be read."""
    if isinstance(spec, str) and "{" in spec:
        return Source("<text>", spec)
    return read(Path(spec))


def declares_columns(source: Source) -> bool:
    """Whether an input is declared by the columns of a table. Raises SpecError if the text cannot be parsed."""
    nets = (d for d in parse(source).declarations if isinstance(d, ast.NetDecl))
    return any(isinstance(s, ast.InputDecl) and s.columns is not None for net in nets for s in net.body)


def check_spec(
    source: Source, told: Mapping[str, object], params: Mapping[str, object], dtype: str | None, seed: int | None
) -> Network:
    """The checked network.

    told: values for those params that the spec declares, as the data tell them. params: values that it must declare.
    seed: in place of the spec's.

    Raises:
        SpecError: with every error of the spec.
    """
    program = parse(source)
    declared = {d.name for d in program.declarations if isinstance(d, ast.ParamDecl)}
    values = {name: value for name, value in told.items() if name in declared}
    if seed is not None and "seed" in declared:
        values["seed"] = seed
    elif seed is not None:
        program = parse(_with_seed(program, seed))
    return check(program, {**values, **params}, dtype)


def _with_seed(program: ast.Program, seed: int) -> Source:
    """The source with this seed in `train`, so that it says how the network was trained."""
    source = program.source
    train = next((d for d in program.declarations if isinstance(d, ast.TrainDecl)), None)
    if train is None:
        return source
    old = next((setting for setting in train.settings if setting.key == "seed"), None)
    start, end = (train.span.end - 1, train.span.end - 1) if old is None else (old.span.start, old.span.end)
    return edited(source, [Edit(start, end, f"  seed {seed}\n" if old is None else f"seed {seed}", f"seed={seed}")])
