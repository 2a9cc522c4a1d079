"""Every block of code in README and docs runs as it stands there, page by page: specs, shell, Python.

A page has a folder of its own, in which its blocks run one after another. A spec or a C file gets the name that stands
in backquotes before it, else `spec.net`; what a page says it prints is compared. Before a block may stand

    <!-- before: ... -->        Python that the block needs and nobody has to read
    <!-- shorter: WORDS => OTHERS; ... -->    what is run in place of words that would take minutes
    <!-- not run: reason -->    of its lines, `dslc` commands are still parsed

Blocks without a language, or of `text`, are output.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from dslc.cli.app import app
from dslc.cli.main import COMMANDS
from dslc.compiler import check_text
from helpers import REPO

PAGES = sorted([REPO / "README.md", REPO / "CONTRIBUTING.md", *(REPO / "docs").rglob("*.md")])
FENCE = re.compile(
    r"(?:<!-- before:\n(?P<before>.*?)-->\s*)?(?:<!-- shorter:(?P<shorter>.*?)-->\s*)?"
    r"(?:<!-- not run: (?P<reason>[^\n]+?) -->\s*)?"
    r"^(?P<indent> *)```(?P<kind>\w*)\n(?P<code>.*?)^(?P=indent)```",
    re.DOTALL | re.MULTILINE,
)
RUNS = ("net", "sh", "python", "c")
OUTPUT = ("", "text")


@dataclass(frozen=True)
class Block:
    """A block with the text before it and behind it."""

    kind: str
    code: str
    before: str
    shorter: str
    reason: str
    text: str
    after: str


def blocks(page: Path) -> list[Block]:
    """All blocks of a page; errors.md has examples that tests/test_codes.py runs."""
    if page.name == "errors.md":
        return []
    text = page.read_text("utf-8")
    found = []
    for match in FENCE.finditer(text):
        code = re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        around = text[max(0, match.start() - 300) : match.start()], text[match.end() : match.end() + 200]
        given = (match[name] or "" for name in ("before", "shorter", "reason"))
        found.append(Block(match["kind"], code, *given, *around))
    return found


def named(block: Block, ending: str, usual: str) -> str:
    """The file that a block is."""
    names = re.findall(rf"`([\w-]+\.{ending})`", block.text.rpartition("```")[2])
    return names[-1] if names else usual


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """With the command `dslc`."""
    command = tmp_path_factory.mktemp("bin") / "dslc"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dslc "$@"\n')
    command.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{REPO}:{os.environ.get('PYTHONPATH', '')}",
    }


RUNNING = [page for page in PAGES if any(b.kind in RUNS and not b.reason for b in blocks(page))]


@pytest.mark.slow
@pytest.mark.trains
@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.stem)
def test_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").symlink_to(REPO / "specs")
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks(page):
        if block.before:
            exec(compile(block.before, f"{page.name} (before)", "exec"), names)
        if block.reason or block.kind in OUTPUT:
            continue
        if block.kind == "net":
            check_text(block.code)
            (tmp_path / named(block, "net", "spec.net")).write_text(block.code)
        elif block.kind == "c":
            (tmp_path / named(block, "c", "main.c")).write_text(block.code)
        elif block.kind == "python":
            exec(compile(block.code, page.name, "exec"), names)
        else:
            shell(block, environment)


def shell(block: Block, environment: dict[str, str]) -> None:
    """Carries out a block, and compares what the page says it prints."""
    code = shortened(block)
    done = subprocess.run(["sh", "-e", "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if told := re.match(r"\s*It prints `([^`]+)`", block.after):
        assert done.stdout == f"{told[1]}\n"


def shortened(block: Block) -> str:
    """The code that is run: with other words where it would take minutes, without pages where nothing makes them."""
    code = block.code
    for pair in (pair for pair in block.shorter.split(";") if pair.strip()):
        words, other = (part.strip() for part in pair.split("=>"))
        assert words in code, f"{words!r} is not in the block"
        code = code.replace(words, other)
    programs = {"wasm-ld": "--to wasm", "mpiexec": "mpiexec"}
    missing = [words for program, words in programs.items() if shutil.which(program) is None]
    return "".join(line for line in code.splitlines(keepends=True) if not any(words in line for words in missing))


def test_every_block_is_run_or_says_why() -> None:
    """Kinds that nothing runs have a reason; and `dslc` commands have the options that they are shown with."""
    for command in COMMANDS:
        __import__(f"dslc.cli.{command}")
    count = 0
    for page in PAGES:
        for block in blocks(page):
            assert block.kind in (*RUNS, *OUTPUT) or block.reason, f"{page.name}: {block.kind} {block.code[:60]}"
            for line in block.code.splitlines() if block.kind == "sh" else ():
                words = shlex.split(line, comments=True)
                if words[:1] == ["dslc"]:
                    app.parse_args(words[1:], exit_on_error=False, print_error=False)
                    count += 1
    assert count > 40


@pytest.mark.slow
def test_the_site_builds(tmp_path: Path) -> None:
    """Without a warning: every link leads somewhere, and what pages ask for is made."""
    pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        command, cwd=REPO, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    maxpool = (tmp_path / "reference" / "layers" / "maxpool.html").read_text("utf-8")
    assert "maxpool1_forward" in maxpool and "Max Pooling - Backward Pass" in maxpool and "data:image/svg" in maxpool
    lenet = (tmp_path / "lenet5-in-c.html").read_text("utf-8")
    assert all(name in lenet for name in ("image_in_pad", "predict_forward", "lenet5_train_step"))
