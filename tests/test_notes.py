"""docs/notes.md names specs and tests that exist."""

from __future__ import annotations

import re

from helpers import REPO


def test_every_row_leads_somewhere() -> None:
    rows = (REPO / "docs" / "notes.md").read_text().splitlines()[6:]
    assert len(rows) > 20
    for row in rows:
        (spec,), ((file, test),) = re.findall(r"`(specs/\w+\.net)`", row), re.findall(r"`(tests/\w+\.py)::(\w+)`", row)
        assert (REPO / spec).exists(), row
        assert f"\ndef {test}(" in (REPO / file).read_text(), row
