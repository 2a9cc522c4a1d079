"""Text as data: a running text, whose next character is to be said, and texts of classes in a table or in folders."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

import numpy as np

from dslc.language.diagnostics import DataError
from dslc.runtime.data import tables
from dslc.runtime.data.column_kinds import numbers_of
from dslc.runtime.data.examples import Dataset, Files, Reading, Split, TextReading
from dslc.runtime.data.files import read_whole
from dslc.runtime.data.frames import listed, quoted
from dslc.runtime.data.vocabulary import WORDS, Characters

Array = np.ndarray[Any, Any]
TXT = (".txt", ".txt.gz")
PARTS = {"train": "train", "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev", "test": "test"}
"""Folders that are parts of the data."""


def reads(path: Path, how: Reading) -> bool:
    """Whether what stands at the path is text for a network that reads text: a text file, a table with a column of
    text, or folders of text files."""
    if how.text is None:
        return False
    if path.is_dir():
        classes = [folder for part in _parts(path).values() for folder in _inside(part)]
        return not how.text.continues and any(map(_texts_in, classes))
    if how.text.continues:
        return path.name.lower().endswith(TXT)
    return tables.reads(path)


def read(path: Path, how: Reading) -> Dataset:
    """What stands there, as texts: x are strings (n,), or windows of code points (n, steps) and y the same one on.

    Raises:
        DataError: it is too short, or not as it should be; with the file and the line.
    """
    assert how.text is not None
    if path.is_dir():
        return _folders(path, how)
    if how.text.continues and how.tokens == WORDS:
        raise DataError(f"{path} is a running text, which is read by characters: leave out --tokens words")
    return _windows(path, how.text) if how.text.continues else _table(path, how)


def _windows(path: Path, text: TextReading) -> Dataset:
    content, notes = _text_of(path)
    codes, steps = np.array([ord(c) for c in content], np.int32), text.steps
    count = (len(codes) - 1) // steps
    if count < 1:
        raise DataError(f"{path} has {len(codes)} characters; a window of {steps} and the next one need {steps + 1}")
    x = codes[: count * steps].reshape(count, steps).view(Characters)
    y = codes[1 : count * steps + 1].reshape(count, steps).view(Characters)
    left = len(codes) - 1 - count * steps
    notes += (f"{path}: {count:,} windows of {steps} characters, one after the other; the target is the next one",)
    notes += (f"{path}: the last {left} characters fill no window and are left out",) if left else ()
    return Dataset(str(path), Split(x, y), notes=notes)


def _table(path: Path, how: Reading) -> Dataset:
    table = tables.open_table(path, how.header)
    target = tables.target_of(table, how)
    name = _text_column(table, how, target)
    if name is None:
        return tables.read(path, how)
    column = table.column(name)
    gone = column.is_null().to_numpy()
    texts = np.array(["" if lost else str(cell) for cell, lost in zip(column, gone, strict=True)], object)
    if gone.any():
        place = int(np.argmax(gone))
        raise DataError(f"{table(place)}, column {quoted(name)}: the text is missing: leave the row out")
    labelled = how.labelled and target is not None
    y, more = tables.targets(table, str(target), how) if labelled else (np.zeros(len(texts)), ())
    split = Split(texts, y, origins=table, weights=tables.weights(table, how))
    notes = (*table.notes, f"{path}: column {quoted(name)} is the text", *more)
    return Dataset(str(path), split, target=target, features=(name,), labelled=labelled, notes=notes)


def _text_column(table: tables.Table, how: Reading, target: str | None) -> str | None:
    """The column of the text: that of the training, the one that is named, or the only one of words; None where all are
    numbers."""
    names = table.frame.columns
    wanted = how.text_column or (how.columns[0] if how.columns is not None and len(how.columns) == 1 else None)
    if wanted is not None:
        if wanted not in names:
            raise DataError(f"there is no column {wanted!r} in {table.path} for the text; its columns: {listed(names)}")
        return wanted
    others = [name for name in names if name not in (target, how.target, how.weight)]
    words = [name for name in others if numbers_of(table.column(name))[0] == "word"]
    if len(words) > 1:
        raise DataError(
            f"{table.path} has several columns of words: name that of the text with --text, {listed(words)}"
        )
    return words[0] if words else None


def _folders(path: Path, how: Reading) -> Dataset:
    parts = _parts(path)
    read_parts = {part: _of_classes(folder) for part, folder in parts.items()}
    splits = {part: split for part, (split, _) in read_parts.items()}
    classes = tuple(sorted({str(label) for split in splits.values() for label in split.y}))
    notes = tuple(note for _, more in read_parts.values() for note in more)
    notes += (f"{path}: the folders {listed(classes)} are the classes",)
    dev, test = splits.get("dev"), splits.get("test")
    return Dataset(str(path), splits["train"], dev, test, classes=classes, labelled=how.labelled, notes=notes)


def _parts(path: Path) -> dict[str, Path]:
    """The folders of train, dev and test; of data that are not divided the folder itself."""
    found = {PARTS[folder.name]: folder for folder in _inside(path) if folder.name in PARTS}
    return found if "train" in found else {"train": path}


def _of_classes(path: Path) -> tuple[Split, tuple[str, ...]]:
    """One folder a class, one file a text."""
    files = [(file, folder.name) for folder in _inside(path) for file in _texts_in(folder)]
    if not files:
        raise DataError(f"{path} holds no folders of .txt files, one a class")
    read_files = [_text_of(file) for file, _ in files]
    texts = np.array([text for text, _ in read_files], object)
    split = Split(texts, np.array([label for _, label in files]), origins=Files([str(file) for file, _ in files]))
    return split, tuple(note for _, notes in read_files for note in notes)


def _inside(path: Path) -> list[Path]:
    return sorted(folder for folder in path.iterdir() if folder.is_dir())


def _texts_in(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file() and file.name.lower().endswith(TXT))


def _text_of(path: Path) -> tuple[str, tuple[str, ...]]:
    """A file as text in UTF-8, or Windows-1252 with a note; all ends of lines are the same."""
    data = read_whole(path, 8)
    notes: tuple[str, ...] = ()
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
        notes = (f"{path} is not in UTF-8; it was read as Windows-1252",)
    return with_plain_ends(text), notes


def with_plain_ends(text: str) -> str:
    """All ends of lines as one character."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
