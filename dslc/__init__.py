"""dslc: a compiler for neural networks. A `.net` file becomes specialized C that trains and predicts.

>>> import dslc
>>> model = dslc.load("specs/lenet5.net", lr=0.01)      # check, compile (cached), load
>>> model.fit(x, y, dev=(x_dev, y_dev), epochs=10)
>>> model.predict(x)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dslc.language.diagnostics import DataError, SpecError, UsageError

if TYPE_CHECKING:
    from dslc.cores import Threads
    from dslc.ir import Network
    from dslc.runtime.model import Model


def check(path: str | Path, **params: object) -> Network:
    """The checked network of a file. Raises SpecError, whose `diagnostics` are all of the file's errors."""
    from dslc.compiler import check_file

    return check_file(path, params)


def load(path: str | Path, *, dtype: str | None = None, threads: Threads = "auto", **params: object) -> Model:
    """Check, compile (cached) and load a file.

    dtype: `float32` or `float64`, the file's unless given. threads: how many share the work at most, as many as pay
    off on this process's cores unless given here or in $DSLC_THREADS; the results are the same bits for any number.
    params: values for the file's params.
    """
    from dslc.compiler import check_file
    from dslc.runtime.model import Model

    return Model(check_file(path, params, _precision(dtype)), threads)


def loads(text: str, *, dtype: str | None = None, threads: Threads = "auto", **params: object) -> Model:
    """The same for the text of a spec."""
    from dslc.compiler import check_text
    from dslc.runtime.model import Model

    return Model(check_text(text, params, _precision(dtype)), threads)


def _precision(dtype: str | None) -> str | None:
    if dtype not in (None, "float32", "float64"):
        raise ValueError(f"dtype is 'float32' or 'float64', not {dtype!r}")
    return dtype


__all__ = ["DataError", "SpecError", "UsageError", "check", "load", "loads"]
