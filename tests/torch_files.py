"""Files as torch.save writes them, made without PyTorch."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from typing import Any

import numpy as np

KINDS = {"f4": "FloatStorage", "f8": "DoubleStorage", "f2": "HalfStorage", "i8": "LongStorage"}


class _Named:
    """Stands for a function or class of PyTorch in a pickle."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Pickler(pickle._Pickler):
    """Writes names of PyTorch, and storages as persistent objects."""

    def persistent_id(self, thing: object) -> object:
        return thing if isinstance(thing, tuple) and thing[:1] == ("storage",) else None

    def save(self, thing: Any, save_persistent_id: bool = True) -> None:
        if isinstance(thing, _Named):
            self.write(pickle.GLOBAL + f"{thing.module}\n{thing.name}\n".encode())
        elif isinstance(thing, _Tensor):
            self.save(_Named("torch._utils", "_rebuild_tensor_v2"))
            self.save(thing.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(thing, save_persistent_id)


class _Tensor:
    def __init__(self, *arguments: object) -> None:
        self.arguments = arguments


def written(
    arrays: dict[str, np.ndarray], size: tuple | None = None, stride: tuple | None = None, offset: int = 0
) -> bytes:
    """A state dict; size, stride and offset in place of those of each array."""
    state: OrderedDict[str, object] = OrderedDict()
    file, pickled = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for key, (name, array) in enumerate(arrays.items()):
            storage = ("storage", _Named("torch", KINDS[array.dtype.str[1:]]), str(key), "cpu", array.size)
            steps = tuple(step // array.itemsize for step in array.strides)
            shape, steps = size or array.shape, stride or steps
            state[name] = _Tensor(storage, offset, shape, steps, False, OrderedDict())
            archive.writestr(f"m/data/{key}", array.tobytes())
        _Pickler(pickled, 2).dump(state)
        archive.writestr("m/data.pkl", pickled.getvalue())
        archive.writestr("m/byteorder", "little")
    return file.getvalue()
