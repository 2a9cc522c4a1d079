"""`dslc` and `python -m dslc`."""

import gc
import importlib

ROOMS = ("augment", "errors", "evaluate", "inspect", "report", "search")
"""Commands in files of their own, which add them to `cli.app`."""


def main() -> None:
    """The command line."""
    # Start-up makes objects by the ten thousand and hardly any garbage: looking for it each time costs a tenth of it.
    gc.set_threshold(100_000)
    from dslc import cli

    for room in ROOMS:
        importlib.import_module(f"dslc.cli_{room}")
    cli.main()


if __name__ == "__main__":
    main()
