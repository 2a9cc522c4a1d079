"""`dslc` and `python -m dslc`."""

import gc


def main() -> None:
    """The command line."""
    # Start-up makes objects by the ten thousand and hardly any garbage: looking for it each time costs a tenth of it.
    gc.set_threshold(100_000)
    from dslc.cli import main as cli

    cli.main()


if __name__ == "__main__":
    main()
