"""What a caller gives as an array: lists, frames, tensors of PyTorch, matrices of SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from dslc.language.diagnostics import DataError

Array = np.ndarray[Any, Any]


def as_array(given: Any, what: str) -> Array:
    """An array of NumPy, of any dtype.

    Raises:
        DataError: it is none, or must be turned into one first; `what` names it.
    """
    if hasattr(given, "toarray"):
        raise DataError(f"{what} is a sparse matrix: pass it with .toarray()")
    try:
        array: Array = given.to_numpy() if hasattr(given, "to_numpy") else np.asarray(given)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise DataError(f"{what} {_of_tensor(given) or f'is no array: {error}'}") from None
    return array


def _of_tensor(given: Any) -> str:
    """What is to be done with a tensor of PyTorch that NumPy does not take; nothing where it is none."""
    if getattr(given, "is_meta", False):
        return "is a tensor on the device meta, which holds no numbers"
    calls = (
        (".detach()", getattr(given, "requires_grad", False)),
        (".to_dense()", str(getattr(given, "layout", "torch.strided")) != "torch.strided"),
        (".cpu()", getattr(getattr(given, "device", None), "type", "cpu") != "cpu"),
        (".float()", str(getattr(given, "dtype", "")) == "torch.bfloat16"),
    )
    needed = "".join(call for call, needs in calls if needs)
    return f"is a tensor that NumPy does not read: pass it with {needed}" if needed else ""
