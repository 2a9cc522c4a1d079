"""Chromium without a window, driven by its DevTools protocol through pipes, and a server of static files."""

from __future__ import annotations

import base64
import json
import math
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PATIENCE = 60
"""Seconds until something has happened on the page."""

Points = list[tuple[float, float]]
"""A stroke."""


class Page:
    """The only page of a browser."""

    def __init__(self, to: int, found: int) -> None:
        self._to, self._found = os.fdopen(to, "wb", 0), os.fdopen(found, "rb", 0)
        self._number, self._left, self._session = 0, b"", {}
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        self.send("Page.enable")

    def send(self, method: str, **given: Any) -> dict[str, Any]:
        """What the browser answers to a method of the protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": given, **self._session}
        self._to.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            some = self._found.read(1 << 20)
            assert some, "the browser has gone"
            self._left += some
        message, _, self._left = self._left.partition(b"\0")
        return json.loads(message)

    def open(self, url: str) -> None:
        """The page of an exported network, when it can be used."""
        self.send("Page.navigate", url=url)
        self.wait(f"location.href === '{url}' && document.body?.dataset.ready === 'yes'")

    def run(self, code: str) -> Any:
        """The value of JavaScript, of a promise when it is there."""
        done = self.send("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]["exception"].get("description")
        return done["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until JavaScript is true."""
        end = time.monotonic() + PATIENCE
        while not self.run(condition):
            assert time.monotonic() < end, f"in vain: {condition}\n{self.run('document.body?.innerText')}"
            time.sleep(0.02)

    def draw(self, selector: str, strokes: list[Points], finger: bool = False) -> None:
        """Lines by mouse or finger through places in an element, shares of its width and height."""
        corner = self.run(f"(({{x, y, width, height}}) => [x, y, width, height])"
                          f"(document.querySelector('{selector}').getBoundingClientRect())")  # fmt: skip
        for points in strokes:
            at = [(corner[0] + x * corner[2], corner[1] + y * corner[3]) for x, y in points]
            (self._touch if finger else self._drag)(at)

    def _drag(self, at: Points) -> None:
        for kind, (x, y) in [("mousePressed", at[0]), *(("mouseMoved", p) for p in at[1:]), ("mouseReleased", at[-1])]:
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def _touch(self, at: Points) -> None:
        for kind, points in [("touchStart", at[:1]), *(("touchMove", [p]) for p in at[1:]), ("touchEnd", [])]:
            self.send("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y} for x, y in points])

    def look(self, width: int, height: int, scheme: str = "light") -> None:
        """The size of the window, and light or dark."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path: Path) -> None:
        """A PNG of the whole page."""
        data = self.send("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which the files of a folder are, as `python -m http.server` serves them."""
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def browser(program: str) -> Iterator[Page]:
    """An empty page in a browser of its own."""
    (theirs, to), (found, answers) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = f"--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir={profile}"
        command = f"exec {program} {flags} --remote-debugging-pipe 3<&{theirs} 4>&{answers}"
        process = subprocess.Popen(["bash", "-c", command], pass_fds=(theirs, answers), stderr=subprocess.DEVNULL)
        os.close(theirs)
        os.close(answers)
        try:
            yield Page(to, found)
        finally:
            process.terminate()
            process.wait()


def circle(x: float, y: float, across: float, down: float) -> Points:
    """An ellipse as a stroke, in shares of an element."""
    turns = [2 * math.pi * i / 12 for i in range(13)]
    return [(x + across * math.sin(turn), y - down * math.cos(turn)) for turn in turns]


def line(begin: tuple[float, float], end: tuple[float, float]) -> Points:
    """A straight stroke."""
    return [tuple(a + (b - a) * i / 4 for a, b in zip(begin, end, strict=True)) for i in range(5)]
