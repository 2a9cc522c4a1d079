"""Runs tests again and again, each time in a forked process that has loaded what does not change: lines of arguments
of pytest come in as JSON, exit statuses go out. With the word `warm` the project is loaded too, for its templates."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys

import cffi
import hypothesis
import jinja2
import lark
import numpy as np
import pycparser
import pytest
import rich

PATIENCE_SECONDS = 300
LOADED = cffi, hypothesis, jinja2, lark, np, pycparser, rich


def main() -> None:
    """Serves until there is no more to do."""
    if "warm" in sys.argv[1:]:
        import test_layers  # with all that the compiler and the runtime consist of

        assert test_layers
    print("ready", flush=True)  # what is changed from now on is not in it
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE_SECONDS, PATIENCE_SECONDS))
            signal.alarm(5 * PATIENCE_SECONDS)  # for those that wait for ever
            nowhere = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(nowhere, number)
            os._exit(pytest.main(json.loads(line)))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
