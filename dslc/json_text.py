"""JSON from files that may hold anything."""

from __future__ import annotations

import json
from typing import Any


def parsed(text: str | bytes) -> Any:
    """What a text of JSON says.

    Raises:
        ValueError: it is none, or its lists are too deep in one another.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("lists are too deep in one another") from None
