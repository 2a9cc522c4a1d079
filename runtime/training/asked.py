"""What a call of `fit` asks for, looked at before anything is changed."""

from __future__ import annotations

from typing import Any

import numpy as np

from dslc.language.diagnostics import DataError


def require_count(name: str, given: Any) -> None:
    """Raises DataError if an argument is no whole number from 0 on. As a float it is one too: records have these."""
    number = isinstance(given, (int, float, np.integer, np.floating)) and not isinstance(given, bool)
    if not number or given < 0 or not float(given).is_integer():
        raise DataError(f"{name} is a whole number from 0 on, not {given!r:.40}")


def require_arguments(epochs: Any, on_epoch: Any) -> None:
    """Raises DataError if `epochs` is no whole number from 0 on, or `on_epoch` cannot be called; both may be None."""
    if epochs is not None:
        require_count("epochs", epochs)
        if not isinstance(epochs, (int, np.integer)):
            raise DataError(f"epochs is an int, not {epochs!r}")
    if on_epoch is not None and not callable(on_epoch):
        raise DataError(f"on_epoch is a function that is called with the record of each epoch, not {on_epoch!r:.40}")
