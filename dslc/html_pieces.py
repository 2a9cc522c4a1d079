"""Pieces of HTML: tables for notebooks, which show an object by its `_repr_html_`, and pictures within a page."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape


def html_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], bold: int | None = None) -> str:
    """A table under a title; the row with the number `bold` is set in bold. All text is escaped."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = [
        ('<tr style="font-weight: bold">' if number == bold else "<tr>")
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for number, row in enumerate(rows)
    ]
    return f"<table><caption>{escape(title)}</caption><tr>{head}</tr>{''.join(body)}</table>"


def data_url(data: bytes | str) -> str:
    """A PNG, or the text of an SVG, as an address that holds it."""
    raw, kind = (data.encode(), "svg+xml") if isinstance(data, str) else (data, "png")
    return f"data:image/{kind};base64,{base64.b64encode(raw).decode()}"
