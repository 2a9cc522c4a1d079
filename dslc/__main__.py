"""`dslc` and `python -m dslc`."""

import atexit
import gc

from dslc.cli.signals import end_at_once, ignore


def main() -> None:
    """The command line."""
    end_at_once()  # what follows are imports, for a second or two
    atexit.register(ignore)  # the first that is registered is the last that is called
    # Start-up makes objects by the ten thousand and hardly any garbage: looking for it each time costs a tenth of it.
    gc.set_threshold(100_000)
    from dslc.cli import main as cli

    cli.main()


if __name__ == "__main__":
    main()
