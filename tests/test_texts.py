"""Text as data: a running text whose next character is said, and texts of classes, with the vocabulary of the run."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np
import pytest

import dslc
import dslc.cli.main
from dslc.language.diagnostics import DataError
from dslc.runtime.data.examples import DataNote
from dslc.runtime.data.vocabulary import Characters, TextInput, learned
from dslc.runtime.runs.folder import load_run

pytest.importorskip("polars")
WRITER = """param words = 96
net Writer {
  input text: 8
  embedding(words, 10, name=tokens) -> positional -> attention(2, causal=on) -> dense(words, tie=tokens) -> softmax
}
train {
  loss      step_cross_entropy
  optimizer adam(lr=0.03)
  batch     16
  epochs    6
}
"""
REVIEWS = """param words = 12
net Reviews {
  input text: 6
  n = text -> lengths
  text -> embedding(words, 4, padding=0) -> global_avgpool(lengths=n) -> dense(2) -> softmax
}
train {
  loss      cross_entropy
  optimizer adam(lr=0.05)
  batch     16
  epochs    6
}
"""
POEM = "the cat sat on the mat, the rat sat on the hat.\n" * 40
"""Its characters are all in every tenth of it."""
KINDS = len(set(POEM))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("writer.net").write_text(WRITER)
    Path("reviews.net").write_text(REVIEWS)
    Path("poem.txt").write_text(POEM)
    return tmp_path


def run(*arguments: object) -> int:
    return dslc.cli.main.run([str(a) for a in arguments])


def reviews() -> list[tuple[str, str]]:
    """Sixty of them, of which one word tells the class."""
    chance, rest = random.Random(1), ["a", "film", "with", "some", "plot", "of", "it"]
    words = {"liked": ("Good", "fine", "great"), "not": ("bad", "poor")}
    made = []
    for i in range(60):
        label = ("liked", "not")[i % 2]
        said = [chance.choice(words[label]), *chance.choices(rest, k=chance.randint(0, 7))]
        made.append((" ".join(said) + "!", label))
    return made


def test_a_running_text(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the text to a run that writes; the vocabulary is that of the training, also where other data hold less."""
    with pytest.warns(DataNote, match=f"{KINDS} different characters are numbered from 1 on, 0 is any other"):
        assert run("train", "writer.net", "--data", "poem.txt", "-D", f"words={KINDS + 1}", "--run", "w") == 0
    capsys.readouterr()
    assert run("evaluate", "w") == 0
    scores = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert float(scores["loss"]) < 1.5 < np.log(KINDS)
    model = load_run("w", 1)
    known = model.schema.vocabularies["text"]
    assert known.tokens == tuple(sorted(set(POEM))) and known.first == 1
    Path("other.txt").write_text("that hat is ON" * 3)
    assert run("evaluate", "w", "--data", "other.txt") == 0
    capsys.readouterr()
    Path("loud.txt").write_text("THAT HAT IS ON" * 3)
    with pytest.warns(DataNote, match=r"input text: 7\d% of the characters are none of the training set's"):
        assert run("evaluate", "w", "--data", "loud.txt") == 0
    assert run("generate", "w", "--start", "the", "--seed", -1) == 2
    capsys.readouterr()
    runs = []
    for seed in (1, 1, 2):
        assert run("generate", "w", "--start", "the ", "--length", 40, "--seed", seed) == 0
        runs.append(capsys.readouterr().out)
    assert runs[0] == runs[1] != runs[2] and runs[0].startswith("the ")
    assert set(runs[0]) <= set(POEM) and len(runs[0]) == 4 + 40 + 1
    assert run("generate", "w", "--start", "X") == 1
    assert "the character 'X' is none of the" in capsys.readouterr().err
    codes = np.array([[ord(c) for c in "the hatX"]]).view(Characters)
    wanted = [[*(known.tokens.index(c) + 1 for c in "the hat"), 0]]
    assert np.array_equal(model.schema.inputs(model.network, codes), wanted)
    assert np.array_equal(model.predict(codes), model.predict(np.array(wanted)))


def test_other_sizes_are_told_with_both_numbers(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "writer.net", "--data", "poem.txt") == 1
    said = capsys.readouterr().err
    assert f"which with 1 more for unknown ones make {KINDS + 1}, but tokens of the network has 96 words" in said
    Path("short.txt").write_text("hat")
    assert run("train", "writer.net", "--data", "short.txt") == 1
    assert "has 3 characters; a window of 8 and the next one need 9" in capsys.readouterr().err
    assert run("train", "writer.net", "--data", "poem.txt", "--tokens", "words") == 1
    assert "leave out --tokens words" in capsys.readouterr().err
    with pytest.warns(DataNote, match="1 of 3 texts are longer than 3 and are cut; 1 texts are empty$"):
        learned(TextInput("x", steps=3, words=6, layer="tokens", continues=False), ["a b c", "a b c d", ""], None)


def test_texts_of_classes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From a table and from folders, which make the same examples; unknown words have a number of their own."""
    with Path("reviews.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("review", "verdict"), *reviews()])
    for i, (text, label) in enumerate(reviews()):
        (here / "texts" / label).mkdir(parents=True, exist_ok=True)
        (here / "texts" / label / f"{i:02}.txt").write_text(text, "utf-8")
    with pytest.warns(DataNote) as notes:
        assert run("train", "reviews.net", "--data", "reviews.csv", "--target", "verdict", "--run", "t") == 0
    said = " ".join(str(note.message) for note in notes)
    capsys.readouterr()
    assert "column 'review' is the text" in said
    assert "the 10 most frequent of 13 words are numbered from 2 on; 1 is any other" in said
    assert "texts are longer than 6 and are cut" in said
    assert run("evaluate", "t") == 0
    assert dict(line.split() for line in capsys.readouterr().out.splitlines())["accuracy"] == "1"
    Path("new.csv").write_text("n,review\n1,a GREAT film\n2,poor plot\n3,zzz\n")
    assert run("predict", "t", "--data", "new.csv", "-o", "p.csv") == 0
    with Path("p.csv").open() as file:
        assert [row["class"] for row in csv.DictReader(file)][:2] == ["liked", "not"]
    assert run("train", "reviews.net", "--data", "texts", "-D", "words=15", "--run", "f") == 0
    assert run("predict", "f", "--data", "texts", "-o", "p.csv") == 0
    with Path("p.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(row["file"].split("/")[-2] == row["class"] for row in rows) >= 58
    assert run("train", "reviews.net", "--data", "reviews.csv", "--target", "verdict", "-D", "words=50") == 1
    assert "make 15, but embedding1 of the network has 50 words" in capsys.readouterr().err


def test_texts_in_python(here: Path) -> None:
    """`fit` learns the vocabulary, and it is saved with the weights."""
    texts, labels = zip(*reviews(), strict=True)
    model = dslc.load("reviews.net")
    with pytest.raises(DataError, match="vocabulary of input text is learned by `fit`"):
        model.predict(list(texts))
    with pytest.warns(DataNote, match="most frequent of 13 words"):
        model.fit(list(texts), np.array(labels), epochs=1)
    model.save("w.safetensors")
    again = dslc.load("reviews.net")
    again.load_weights("w.safetensors")
    assert again.predict(list(texts)).tobytes() == model.predict(np.array(texts)).tobytes()
    for given, words in (("a film", "a single text"), (["a", None], "example 1 .from 0. is no text but None")):
        with pytest.raises(DataError, match=words):
            model.predict(given)
    padded = dslc.loads(REVIEWS.replace("lengths\n", "lengths(padding=3)\n"))
    with pytest.raises(DataError, match="texts are filled up with 0, and lengths1 has padding=3"):
        padded.fit(list(texts), np.array(labels))
