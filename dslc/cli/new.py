"""`dslc new`: a folder to start from."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Literal, get_args

from dslc.cache import write_whole
from dslc.cli.app import app, examples, writing
from dslc.language.diagnostics import CallError, UsageError

Kind = Literal["digits", "table", "images", "regression"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Starter:
    """What is particular of a kind: `about` in a sentence, the `data` that its folder gets or names, the column that
    is the `target`, and what to do with data of one's own."""

    about: str
    data: str
    target: str
    own: str


TABLE = "Another table: name its column with --target, and write the number of its other columns behind `input`."
STARTERS: dict[Kind, Starter] = {
    "digits": Starter(
        "Which digit does an image show? The data, a part of MNIST, ship with dslc.",
        "mnist",
        "",
        "Images of your own: `dslc new NAME images`. Arrays of your own: an .npz with x and y.",
    ),
    "table": Starter(
        "Of which class is a row of a table? data.csv is made up, for a start.",
        "data.csv",
        "kind",
        f"{TABLE} The last dense layer has an output a class.",
    ),
    "images": Starter(
        "Of which class is an image? The images are made up, for a start.",
        "images",
        "",
        "Images of your own go into one folder a class; the last dense layer has an output a class.",
    ),
    "regression": Starter(
        "A number for each row of a table. data.csv is made up, for a start.", "data.csv", "y", TABLE
    ),
}


@app.command(help_epilogue=examples("dslc new", "dslc new flowers table", "dslc new cats images"))
def new(name: str | None = None, kind: Kind | None = None) -> None:
    """Make a folder to start from: a spec with comments, a script, a README and, if need be, example data.

    Asks for what is not given.

    Args:
        name: The folder to make; the network is named after it.
        kind: What it is about.
    """
    if name in KINDS and kind is None:
        name, kind = None, name
    if kind is None:
        kind = _ask_kind()
        name = name or input(f"name of the folder, Enter for {kind}: ").strip()
    name = name or kind
    folder, net = Path(name), _net_name(name)
    if folder.exists():
        raise UsageError(f"{folder} exists already: choose another name, nothing was written")
    with writing(folder):
        folder.mkdir(parents=True)
        _write(folder, net, kind)
    print(f"{folder} has {', '.join(sorted(path.name for path in folder.iterdir()))}; next:")
    print(f"  cd {folder}\n  dslc check {net.lower()}.net\n  {_train(net, STARTERS[kind])}")


def _ask_kind() -> Kind:
    """The kind, asked for where a person can answer."""
    if not sys.stdin.isatty():
        raise CallError(f"name what it is about, {', '.join(KINDS)}: dslc new flowers table")
    for kind in KINDS:
        print(f"  {kind:12}{STARTERS[kind].about}")
    while True:
        answer = input("what is it about? ").strip()
        found = [kind for kind in KINDS if answer and kind.startswith(answer)]
        if len(found) == 1:
            return found[0]
        print(f"one of {', '.join(KINDS)}, please")


def _net_name(name: str) -> str:
    """The folder's name as the name of a network: `my-flowers` is MyFlowers."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in Path(name).name).split()
    net = "".join(word[0].upper() + word[1:] for word in words)
    if not net or net[0].isdigit():
        raise CallError(f"a network is named after its folder: start {Path(name).name!r} with a letter")
    return net


def _train(net: str, starter: Starter, command: str = "train") -> str:
    target = f" --target {starter.target}" if starter.target else ""
    return f"dslc {command} {net.lower()}.net --data {starter.data}{target}"


def _write(folder: Path, net: str, kind: Kind) -> None:
    from dslc.cli.starter_data import write_images, write_table

    starter = STARTERS[kind]
    made = starter.data != "mnist"
    target = f', target="{starter.target}"' if starter.target else ""
    words = {
        "net": net,
        "file": f"{net.lower()}.net",
        "run": net.lower(),
        "about": starter.about,
        "own": starter.own,
        "data_row": f"\n| `{starter.data}` | example data |" if made else "",
        "train": _train(net, starter),
        "search": _train(net, starter, "search"),
        "arguments": f'"{starter.data}"{target}',
    }
    texts = {f"{net.lower()}.net": f"{kind}.net", "train.py": "train.py", "README.md": "README.md"}
    for name, template in texts.items():
        text = resources.files("dslc.cli").joinpath(f"starters/{template}.txt").read_text("utf-8")
        write_whole(folder / name, Template(text).substitute(words).encode())
    if kind == "images":
        write_images(folder / starter.data)
    elif made:
        write_table(folder / starter.data, classes=kind == "table")
