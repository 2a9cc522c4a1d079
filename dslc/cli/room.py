"""What is said of a network that this process has no memory for."""

from __future__ import annotations

import sys

from dslc.free_memory import lacking
from dslc.ir import Network


def note_room(network: Network, needed: int) -> None:
    """A note if a network takes more bytes than there are; to use it will be refused."""
    found = lacking(needed, needed)
    if found is not None:
        from dslc.runtime.native.memory import advice  # with NumPy, which `dslc check` need not wait for

        what = "this network" if network.training is None else "training"
        print(f"note: {found.said(what, advice(network))}", file=sys.stderr)
