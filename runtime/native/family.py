"""Networks that share parameters: parts of one, each with memory of its own."""

from __future__ import annotations

from dslc.runtime.native.compiled import Compiled


class Family:
    """Whichever network is used next has the values of that which was used last. A switch copies the parameters that
    both have. All have one lock: a switch works in the memory of two."""

    def __init__(self, first: Compiled) -> None:
        self.lock = first.lock
        self.latest: dict[str, Compiled] = dict.fromkeys(first.parameters, first)

    def join(self, compiled: Compiled) -> None:
        """Before a network that has some of these parameters is used for the first time."""
        compiled.share_lock(self.lock)

    def enter(self, compiled: Compiled) -> None:
        """Before a network is used: brings its parameters up to date. From now on they are the latest."""
        with self.lock:
            for name, view in compiled.parameters.items():
                source = self.latest.get(name, compiled)
                if source is not compiled:
                    view[...] = source.parameters[name]
                self.latest[name] = compiled
