"""Who is let in: calls to this machine's own address that know the token, and nothing that is too large."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any

from starlette.responses import PlainTextResponse

MOST_BYTES = 256 << 20
"""The largest body of a call: a file of data."""
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
Scope = dict[str, Any]


class TooLarge(Exception):
    """A body has more bytes than are taken."""


class Guard:
    """Stands before an application. Addresses begin with the token, which other pages in the browser cannot know, and
    which the application does not see. `Host` must be one of `hosts`, so that no other name may be led here (DNS
    rebinding); `Origin`, where there is one, the same."""

    def __init__(self, app: Any, token: str, hosts: Collection[str]) -> None:
        self.app, self.token, self.hosts = app, token, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Passes a call on, or answers it with a plain error."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refusal = None if scope["type"] == "http" else (403, "only HTTP is spoken here")
        refusal = refusal or self._refusal(scope)
        if refusal is not None:
            if scope["type"] == "http":
                status, text = refusal
                await PlainTextResponse(f"{text}\n", status, HEADERS)(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        inner = {**scope, "path": scope["path"][len(self.token) + 1 :] or "/"}
        inner["raw_path"] = inner["path"].encode()
        await self.app(inner, _limited(receive), _with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        given = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if given.get("host") not in self.hosts:
            return 403, "this page answers only at the address that dslc play printed"
        origin = given.get("origin")
        if origin is not None and origin.removeprefix("http://") not in self.hosts:
            return 403, "another page asks: refused"
        word = scope["path"].split("/")[1].encode() if "/" in scope["path"] else b""
        if not secrets.compare_digest(word, self.token.encode()):
            return 404, "nothing is here: use the whole address that dslc play printed"
        length = given.get("content-length", "0")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            return 413, f"a call has at most {MOST_BYTES >> 20} MB"
        return None


def _limited(receive: Any) -> Any:
    taken = 0

    async def limited() -> Any:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MOST_BYTES:
            raise TooLarge
        return message

    return limited


def _with_headers(send: Any) -> Any:
    async def with_headers(message: Any) -> None:
        if message["type"] == "http.response.start":
            more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return with_headers
