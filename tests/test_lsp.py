"""The language server as an editor uses it: JSON-RPC over standard input and output, by a client of our own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dslc.checker.train import TrainReader
from dslc.compiler import check_text
from dslc.editor.completion import complete
from dslc.editor.sizes import sizes_by_line
from dslc.editor.symbols import rename
from dslc.editor.vocabulary import SETTINGS
from dslc.language.diagnostics import DataError
from dslc.language.format import format_source
from dslc.language.parse import parse
from dslc.language.source import Source
from dslc.shape import show_shape
from helpers import REPO, SPECS

pytest.importorskip("pygls")

SPEC = """# Grüße, 🙂: a comment whose letters take one and two units of UTF-16.
param lr = 1e-3 in log(1e-4, 1e-1)
param wide = 8

block unit(filters, size=3) {
  h = conv(filters, size, pad=same) -> batchnorm -> relu
  conv(filters, size, pad=same) -> add(h)
}

net Net {
  input image: 12x12x1
  conv(wide, 3x3, pad=same) -> relu
  unit(wide) -> maxpool(2x2)
  unit(2 * wide)
  trunk = flatten -> dense(5, name=last) -> relu
  output a = trunk -> dense(3) -> softmax
  output b = trunk -> dense(1)
}

train {
  loss a: cross_entropy
  loss b: mse
  optimizer adam(lr=lr)
  freeze last
}
"""


class Client:
    """A small editor."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "dslc", "lsp", "--stdio"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.number = self.version = 0
        self.published: list[dict[str, Any]] = []
        self.request("initialize", processId=None, rootUri=None, capabilities={})
        self.notify("initialized")

    def _send(self, **message: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        length = 0
        while (line := self.process.stdout.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        message: dict[str, Any] = json.loads(self.process.stdout.read(length))
        if message.get("method") == "textDocument/publishDiagnostics":
            self.published.append(message["params"])
        return message

    def notify(self, method: str, **params: Any) -> None:
        self._send(method=method, params=params)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self.number += 1
        self._send(id=self.number, method=method, params=params)
        while (message := self._receive()).get("id") != self.number:
            pass
        return message

    def request(self, method: str, **params: Any) -> Any:
        answer = self.ask(method, **params)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, text: str) -> list[dict[str, Any]]:
        """The diagnostics of a new document."""
        self.version += 1
        self.text, self.document = text, {"uri": f"file:///spec{self.version}.net"}
        item = {**self.document, "languageId": "dslc", "version": 1, "text": text}
        self.notify("textDocument/didOpen", textDocument=item)
        return self.diagnostics()

    def diagnostics(self) -> list[dict[str, Any]]:
        while not self.published:
            self._receive()
        found: list[dict[str, Any]] = self.published.pop()["diagnostics"]
        return found

    def at(self, words: str, more: int = 0) -> dict[str, Any]:
        """Document and position of words in the text, `more` letters on."""
        before = self.text[: self.text.index(words) + more].split("\n")
        column = len(before[-1].encode("utf-16-le")) // 2
        return {"textDocument": self.document, "position": {"line": len(before) - 1, "character": column}}

    def marked(self, found: dict[str, Any]) -> str:
        """The text of a range."""
        start, end = found["start"], found["end"]
        assert start["line"] == end["line"]
        line = self.text.split("\n")[start["line"]].encode("utf-16-le")
        return line[2 * start["character"] : 2 * end["character"]].decode("utf-16-le")

    def hover(self, words: str, more: int = 0) -> str:
        found = self.request("textDocument/hover", **self.at(words, more))
        return "" if found is None else str(found["contents"]["value"])

    def completions(self, words: str, more: int) -> list[str]:
        return [item["label"] for item in self.request("textDocument/completion", **self.at(words, more))]


@pytest.fixture(scope="module")
def editor() -> Iterator[Client]:
    client = Client()
    yield client
    client.request("shutdown")
    client.notify("exit")
    assert client.process.wait(20) == 0
    assert client.process.stderr is not None and b"Traceback" not in client.process.stderr.read()


def test_diagnostics_as_one_types(editor: Client) -> None:
    assert editor.open(SPEC) == []
    wrong = SPEC.replace("-> relu\n  unit", "-> rellu\n  unit").replace("adam(lr=lr)", "adam(lr=lr, beta=0.9)")
    editor.text = wrong
    change = {"textDocument": {**editor.document, "version": 2}, "contentChanges": [{"text": wrong}]}
    editor.notify("textDocument/didChange", **change)
    found = editor.diagnostics()
    assert [editor.marked(d["range"]) for d in found] == ["rellu", "beta=0.9"]
    assert [d["code"] for d in found] == ["DSLC023", "DSLC030"]
    assert "did you mean 'relu'?" in found[0]["message"] and found[0]["severity"] == 1


def test_a_place_behind_wide_letters_is_right(editor: Client) -> None:
    (found,) = editor.open(SPEC.replace("-> relu\n  unit", '-> "🙂é" rellu\n  unit'))
    assert editor.marked(found["range"]) == '"🙂é"'


def test_a_note_is_no_error(editor: Client) -> None:
    (found,) = editor.open(SPEC.replace("maxpool(2x2)", "maxpool(5x5)"))
    assert found["severity"] == 3 and editor.marked(found["range"]) == "maxpool(5x5)"


def test_hover(editor: Client) -> None:
    editor.open(SPEC)
    layer = editor.hover("conv(wide", 1)
    assert "conv(filters, size, stride=1" in layer and "**conv1**: 12x12x1 → 12x12x8" in layer
    assert "`conv1.weight` 3x3x1x8: 72 parameters" in layer and "10,368 multiply-adds" in layer
    inside = editor.hover("conv(filters, size, pad=same) -> batchnorm")
    assert "**conv2**: 12x12x8 → 12x12x8" in inside and "**conv4**: 6x6x8 → 6x6x16" in inside
    assert "12x12x8 → 12x12x8, 5 layers" in editor.hover("unit(wide)")
    assert "size 5" in editor.hover("trunk -> dense(1)", 2)
    assert "size 12x12x8, 6x6x16" in editor.hover("h = conv")
    assert "size 12x12x1" in editor.hover("image")
    assert "param lr = 1e-3 in log(1e-4, 1e-1)" in editor.hover("lr)", 1)
    assert "bias-corrected" in editor.hover("adam") or "adam(lr" in editor.hover("adam")
    assert editor.hover("optimizer") == SETTINGS["optimizer"]
    assert "conv(filters" in editor.hover("pad=same")
    assert editor.hover("Grüße") == "" == editor.hover("\n\nblock")


def test_completion(editor: Client) -> None:
    editor.open(SPEC + "\n")
    assert {"conv", "unit", "trunk", "output", "repeat"} <= set(editor.completions("output b", 0))
    after = editor.completions("dense(1)", 0)
    assert {"conv", "unit", "dense"} <= set(after) and "trunk" not in after
    assert editor.completions("12x12x1\n  conv(", len("12x12x1\n  conv("))[:3] == ["filters=", "size=", "stride="]
    assert "stride=" in editor.completions("name=last", 0) or "bias=" in editor.completions("name=last", 0)
    assert {"adam", "sgd"} <= set(editor.completions("adam", 2))
    assert editor.completions("adam(lr=lr", 5)[0] == "lr="
    assert "he" in completions_of("net A {\n  input x: 3\n  dense(3, init=")
    assert "schedule" in editor.completions("freeze", 2) and "freeze" in SETTINGS
    assert editor.completions("a comment", 3) == []


def completions_of(text: str) -> list[str]:
    return [proposal.text for proposal in complete(text, len(text))]


def test_completion_where_nothing_parses_yet() -> None:
    assert completions_of("") == ["param", "block", "net", "train"]
    assert "log" in completions_of("param lr = 1 in ")
    head = "param k = 3\nblock b(n) {\n  relu\n}\nnet A {\n  input x: 4\n  h = x -> relu\n"
    assert {"x", "h", "b", "conv"} <= set(completions_of(head + "  "))
    assert {"h", "x", "k"} <= set(completions_of(head + "  x -> add("))
    assert completions_of("train {\n  batch ") == ["all"]
    assert "loss" in completions_of("train {\n  loss mse\n  ") and "batch" not in completions_of(
        "train {\n  batch 2\n  "
    )


def test_every_setting_is_known() -> None:
    assert set(SETTINGS) == set(TrainReader.KEYS)


def test_definition_and_references(editor: Client) -> None:
    editor.open(SPEC)
    for use, more, line, word in [
        ("trunk -> dense(1)", 0, "  trunk = flatten", "trunk"),
        ("adam(lr=lr", 9, "param lr", "lr"),
        ("unit(2", 1, "block unit", "unit"),
        ("filters, size, pad=same) -> add", 0, "block unit(filters", "filters"),
        ("add(h)", 4, "  h = conv", "h"),
        ("b: mse", 0, "  output b", "b"),
        ("freeze last", 8, "  trunk = flatten -> dense(5, name=last", "last"),
    ]:
        found = editor.request("textDocument/definition", **editor.at(use, more))
        assert editor.marked(found["range"]) == word
        assert editor.text.split("\n")[found["range"]["start"]["line"]].startswith(line)
    assert editor.request("textDocument/definition", **editor.at("softmax")) is None
    at = editor.at("param wide", 7)
    uses = editor.request("textDocument/references", **at, context={"includeDeclaration": True})
    assert [editor.marked(use["range"]) for use in uses] == ["wide"] * 4


@pytest.mark.parametrize(
    ("words", "more", "name", "count"),
    [
        ("param wide", 7, "filters", 4),
        ("h = conv", 0, "side", 2),
        ("last)", 1, "fc6", 2),
        ("unit(2", 0, "step", 3),
        ("b = t", 0, "c", 2),
    ],
)
def test_rename_keeps_the_meaning(editor: Client, words: str, more: int, name: str, count: int) -> None:
    editor.open(SPEC)
    answer = editor.request("textDocument/rename", **editor.at(words, more), newName=name)
    (edits,) = answer["changes"].values()
    assert len(edits) == count
    lines = editor.text.split("\n")
    for edit in sorted(edits, key=lambda e: (e["range"]["start"]["line"], -e["range"]["start"]["character"])):
        assert edit["newText"] == name
        start, end = edit["range"]["start"], edit["range"]["end"]
        line = lines[start["line"]]
        lines[start["line"]] = line[: start["character"]] + name + line[end["character"] :]
    before, after = check_text(editor.text), check_text("\n".join(lines))
    assert [(n.layer, n.output.shape) for n in before.nodes] == [(n.layer, n.output.shape) for n in after.nodes]


@pytest.mark.parametrize(
    ("words", "more", "name", "why"),
    [
        ("param wide", 7, "2x", "is no name"),
        ("param wide", 7, "lr", "would not do"),
        ("unit(2", 0, "relu", "would not do"),
        ("trunk =", 2, "image", "would not do"),
        ("softmax", 2, "other", "can be renamed"),
    ],
)
def test_a_rename_that_would_break_is_refused(editor: Client, words: str, more: int, name: str, why: str) -> None:
    editor.open(SPEC)
    answer = editor.ask("textDocument/rename", **editor.at(words, more), newName=name)
    assert why in answer["error"]["message"]


def test_a_rename_that_would_catch_another_name_is_refused() -> None:
    """The text would still check, and mean something else."""
    text = "param k = 3\nblock b(n) {\n  dense(n + k)\n}\nnet A {\n  input x: 4\n  dense(k) -> b(2)\n}\n"
    with pytest.raises(DataError, match="another name"):
        rename(parse(Source("", text)), text.index("k"), "n")
    assert len(rename(parse(Source("", text)), text.index("k"), "m")) == 3


def test_formatting(editor: Client) -> None:
    options = {"tabSize": 8, "insertSpaces": False}
    editor.open(SPEC)
    (edit,) = editor.request("textDocument/formatting", textDocument=editor.document, options=options)
    assert edit["newText"] == format_source(Source("", SPEC)) and edit["range"]["start"] == {"line": 0, "character": 0}
    assert edit["range"]["end"]["line"] == SPEC.count("\n")
    editor.open(edit["newText"])
    assert editor.request("textDocument/formatting", textDocument=editor.document, options=options) == []
    editor.open("net A {")
    assert editor.request("textDocument/formatting", textDocument=editor.document, options=options) == []


def test_sizes_after_each_line(editor: Client) -> None:
    editor.open(SPEC)
    everything = {"start": {"line": 0, "character": 0}, "end": {"line": 99, "character": 0}}
    hints = editor.request("textDocument/inlayHint", textDocument=editor.document, range=everything)
    lines = editor.text.split("\n")
    shown = {lines[h["position"]["line"]].strip(): h["label"] for h in hints}
    assert shown["unit(wide) -> maxpool(2x2)"] == "6x6x8"
    assert shown["unit(2 * wide)"] == "6x6x16"
    assert shown["conv(filters, size, pad=same) -> add(h)"] == "12x12x8, 6x6x16"
    assert shown["output b = trunk -> dense(1)"] == "1"
    assert all(h["position"]["character"] == len(lines[h["position"]["line"]]) for h in hints)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_last_size_is_the_output(path: Path) -> None:
    network = check_text(path.read_text())
    sizes = sizes_by_line(network)
    for head in network.heads:
        producer = network.producer(head.value)
        assert producer is not None and sizes[producer.span.line] == show_shape(head.value.shape)


def test_lexer_colors_every_word() -> None:
    pytest.importorskip("pygments")
    from pygments.token import Token

    from dslc.editor.lexer import NetLexer

    for path in [*SPECS, *sorted((REPO / "tests" / "fuzz_found").glob("*.net"))]:
        found = list(NetLexer().get_tokens(path.read_text("utf-8")))
        assert "".join(text for _, text in found) == path.read_text("utf-8")
        assert not [text for kind, text in found if kind is Token.Error]
    kinds = {text: str(kind) for kind, text in NetLexer().get_tokens(SPEC)}
    assert kinds["conv"] == kinds["unit"] == "Token.Name.Function"
    assert (kinds["optimizer"], kinds["12x12x1"]) == ("Token.Keyword.Type", "Token.Literal.Number")


def test_the_extension_colors_every_setting() -> None:
    """What it has of the language that is no pattern is the list of settings."""
    grammar = json.loads((REPO / "editors/vscode/syntaxes/dslc.tmLanguage.json").read_text())
    keys = next(p["match"] for p in grammar["patterns"] if "optimizer" in p["match"])
    assert set(keys[keys.index("(") + 1 : keys.index(")")].split("|")) == set(SETTINGS)


REUSABLE = """block unit(filters, skip=in) {
  when in.channels != filters {
    same = skip -> conv(filters, 1x1)
  } else {
    same = skip
  }
  a, b = same -> split
  a, b
}

net Net {
  input x: 8x8x4
  tower = shared { conv(6, 3x3) -> activation(x * sigmoid(x)) }
  c, d = x -> tower -> unit(8)
  c + d -> flatten -> dense(x.channels)
}
"""


def test_blocks_that_adapt() -> None:
    """A value that both branches name is one; the x of a formula is not the input."""
    program = parse(Source("spec.net", REUSABLE))
    assert len(rename(program, REUSABLE.index("same ="), "kept")) == 3
    assert len(rename(program, REUSABLE.index("x: 8x8x4"), "image")) == 3
    assert len(rename(program, REUSABLE.index("tower ="), "trunk")) == 2
    assert len(rename(program, REUSABLE.index("d = x"), "other")) == 2
    assert len(rename(program, REUSABLE.index("skip=in"), "given")) == 3
    assert sizes_by_line(check_text(REUSABLE))[3] == "6x6x8"
    assert completions_of("net A {\n  input x: 8x8x4\n  dense(x.") == [
        "features",
        "steps",
        "channels",
        "height",
        "width",
    ]
    assert {"split", "when"} <= set(completions_of("net A {\n  input x: 8x8x4\n  "))
    assert "h" in completions_of("block b(v) {\n  v\n}\nnet A {\n  g, h = split\n  b(")
