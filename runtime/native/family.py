"""Networks that share parameters: parts of one, each with memory of its own."""

from __future__ import annotations

from dslc.runtime.native.compiled import Compiled


class Family:
    """Whichever network is used next has the values of that which was used last. A switch copies the parameters that
    both have."""

    def __init__(self, first: Compiled) -> None:
        self.latest: dict[str, Compiled] = dict.fromkeys(first.parameters, first)

    def enter(self, compiled: Compiled) -> None:
        """Before a network is used: brings its parameters up to date. From now on they are the latest."""
        for name, view in compiled.parameters.items():
            source = self.latest.get(name, compiled)
            if source is not compiled:
                view[...] = source.parameters[name].numpy()
            self.latest[name] = compiled
