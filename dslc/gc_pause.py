"""Planning and printing make many objects that live on, in no circles: the search for circles among them takes
as long as making them, and finds nothing."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collection() -> Iterator[None]:
    """Python looks for no circles meanwhile; if it was told before not to look, it stays so."""
    looked = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looked:
            gc.enable()
