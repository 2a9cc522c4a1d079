"""The playground as a server on this machine alone."""

from __future__ import annotations

import asyncio
import secrets
import socket
import webbrowser

import uvicorn

from dslc.language.diagnostics import UsageError
from dslc.play.app import Studio, playground
from dslc.play.guard import Guard


def serve(text: str, data: str, port: int, browser: bool) -> None:
    """Serves a playground that starts with a spec and the name of data, until Ctrl-C. port: 0 for any that is free.

    Raises:
        UsageError: the port is taken.
    """
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        listening.close()
        raise UsageError(f"cannot use port {port}: {error.strerror}") from None
    port, token = listening.getsockname()[1], secrets.token_urlsafe(18)
    studio = Studio(text, data)
    app = Guard(playground(studio), token, (f"127.0.0.1:{port}", f"localhost:{port}"))
    address = f"http://127.0.0.1:{port}/{token}/"
    print(f"playground: {address}\nCtrl-C ends it", flush=True)
    if browser:
        webbrowser.open(address)
    config = uvicorn.Config(app, log_level="error", access_log=False, server_header=False, timeout_graceful_shutdown=1)
    try:
        asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))
    except KeyboardInterrupt:
        pass
    finally:
        if studio.session is not None:
            studio.session.act("stop")
        studio.uploads.close()
