"""The example of docs/deployment.md, as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from helpers import REPO


def test_the_example_runs(tmp_path: Path) -> None:
    """Its files are written, its commands carried out one after another; it prints what the page says."""
    page = (REPO / "docs" / "deployment.md").read_text()
    blocks = re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL)
    (spec,), (code,) = ([text for kind, text in blocks if kind == wanted] for wanted in ("net", "c"))
    (tmp_path / "iris.net").write_text(spec)
    (tmp_path / "flower.c").write_text(code)
    command = tmp_path / "bin" / "dslc"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dslc "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"}
    said = ""
    for kind, text in blocks:
        if kind == "sh":
            done = subprocess.run(
                ["sh", "-e", "-c", text], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            said = done.stdout
    (printed,) = re.findall(r"It prints `([^`]+)`", page)
    assert said == f"{printed}\n"
