"""Colors for specs wherever Pygments is used: documentation, notebooks, `pygmentize -l dslc`."""

from __future__ import annotations

from typing import Any, ClassVar

from pygments.lexer import RegexLexer, bygroups, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace

from dslc.editor.vocabulary import SETTINGS, names


class NetLexer(RegexLexer):  # type: ignore[misc]
    """Words that start a line are keywords and settings; layers stand in chains, everything else in brackets."""

    name = "dslc"
    aliases: ClassVar[list[str]] = ["dslc", "dslc-net", "net"]
    filenames: ClassVar[list[str]] = ["*.net"]
    url = ""
    tokens: ClassVar[dict[str, list[Any]]] = {
        "root": [
            (r"\s+", Whitespace),
            (r"#[^\n]*", Comment.Single),
            (r'"[^"\n]*"', String),
            (r"\b(param|block|net)(\s+)(\w+)", bygroups(Keyword.Declaration, Whitespace, Name.Class)),
            (r"\b(input|output)(\s+)(\w+)", bygroups(Keyword.Declaration, Whitespace, Name.Variable)),
            (
                words(("train", "repeat", "when", "else", "shared", "train_only", "in", "subject_to"), r"\b", r"\b"),
                Keyword,
            ),
            (words(("and", "or", "not"), r"\b", r"\b"), Operator.Word),
            (words(("on", "off", "all", "valid", "same"), r"\b", r"\b"), Keyword.Constant),
            (r"(\w+)(\s*)(=)(?!=)", bygroups(Name.Attribute, Whitespace, Operator)),
            (words(tuple(SETTINGS), r"\b", r"\b(?=[ \t]+[\w\"(-])"), Keyword.Type),
            (words(names("layer"), r"\b", r"\b"), Name.Function),
            (r"\d+(?:x\d+)+", Number),
            (r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", Number),
            (r"->", Operator),
            (r"<=|>=|==|!=|//|[-+*/<>=]", Operator),
            (r"[(){},:.]", Punctuation),
            (r"\w+(?=\()", Name.Function),
            (r"\w+", Name),
        ],
    }
