"""The web application of the playground. It checks, compiles and trains specs; nothing that it is sent is executed."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from dslc.editor.vocabulary import SETTINGS, names
from dslc.export.export import export_c
from dslc.export.network import Wishes
from dslc.json_text import parsed
from dslc.language.diagnostics import DataError, SpecError, UsageError
from dslc.play.analysis import analysis_of, c_of
from dslc.play.guard import TooLarge
from dslc.play.session import Order, Session
from dslc.play.uploads import TAKEN, Uploads
from dslc.runtime.analysis.vega import vega_script
from dslc.runtime.data.named import data_names
from dslc.runtime.runs.trained import trained
from dslc.runtime.training.weights import save_weights
from dslc.target import TARGETS

PAGES = {
    "/": ("index.html", "text/html"),
    "/play.css": ("play.css", "text/css"),
    "/play.js": ("play.js", "text/javascript"),
    "/editor.js": ("editor.js", "text/javascript"),
    "/network.js": ("network.js", "text/javascript"),
    "/views.js": ("views.js", "text/javascript"),
}
MOST_TEXT = 200_000
"""Characters of a spec that are looked at."""
PAUSE = 0.1
"""Seconds between two looks at a training."""


class Studio:
    """What the page works with: the spec that it starts with, dropped files, and the present training."""

    def __init__(self, text: str, data: str) -> None:
        self.text, self.data = text, data
        self.uploads = Uploads()
        self.session: Session | None = None

    def present(self) -> Session:
        """The present training. Raises DataError if there is none."""
        if self.session is None:
            raise DataError("nothing is trained yet: press Train")
        return self.session

    def begin(self, order: Order) -> None:
        """Ends the present training and begins another."""
        if self.session is not None:
            self.session.act("stop")
        self.session = Session(order)
        self.session.start()


def playground(studio: Studio) -> Starlette:
    """The application, without the guard that stands before it."""

    async def check(request: Request) -> Response:
        return await _answer(analysis_of, _text(await _given(request)))

    async def c(request: Request) -> Response:
        given = await _given(request)
        return await _answer(c_of, _text(given), _word(given, "layer"))

    async def start(request: Request) -> Response:
        known = {"text": studio.text, "data": studio.data, "names": data_names(), "endings": TAKEN}
        return JSONResponse({**known, "layers": names("layer"), "settings": list(SETTINGS)})

    async def upload(request: Request) -> Response:
        name = await studio.uploads.keep(request.query_params.get("name", ""), request.stream())
        return JSONResponse({"name": name})

    async def train(request: Request) -> Response:
        given = await _given(request)
        target = _word(given, "target") if given.get("target") else None
        studio.begin(Order(_text(given), studio.uploads.find(_word(given, "data")), target))
        return JSONResponse({})

    async def control(request: Request) -> Response:
        studio.present().act(_word(await _given(request), "action"))
        return JSONResponse({})

    async def events(request: Request) -> Response:
        return StreamingResponse(_news(request, studio.present()), media_type="text/event-stream")

    async def export(request: Request) -> Response:
        session = studio.present()
        return await run_in_threadpool(_zip, session)

    routes = [
        Route("/check", check, methods=["POST"]),
        Route("/c", c, methods=["POST"]),
        Route("/start", start),
        Route("/data", upload, methods=["POST"]),
        Route("/train", train, methods=["POST"]),
        Route("/control", control, methods=["POST"]),
        Route("/events", events),
        Route("/export", export),
        Route("/vega.js", _vega),
        *(Route(path, _page) for path in PAGES),
    ]
    errors = {kind: _said for kind in (SpecError, DataError, UsageError)}
    made = Starlette(routes=routes, exception_handlers={**errors, TooLarge: _too_large})
    made.state.studio = studio
    return made


async def _page(request: Request) -> Response:
    file, kind = PAGES[request.scope["path"]]
    return Response(resources.files("dslc.play").joinpath("static", file).read_bytes(), media_type=kind)


async def _vega(request: Request) -> Response:
    return Response(await run_in_threadpool(vega_script), media_type="text/javascript")


async def _answer(work: Callable[..., Any], *given: str) -> Response:
    """The result of something that takes a while, as JSON."""
    return JSONResponse(await run_in_threadpool(work, *given))


def _said(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def _too_large(request: Request, error: Exception) -> Response:
    return PlainTextResponse("this is too large\n", 413)


async def _given(request: Request) -> dict[str, Any]:
    """The JSON object that a call brings. Raises DataError for anything else."""
    try:
        given = parsed(await request.body())
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise DataError("a call brings a JSON object")
    return given


def _word(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise DataError(f"{name!r} is missing, or no text")
    return value


def _text(given: dict[str, Any]) -> str:
    """The text of a spec, whose lines end in LF."""
    text = _word(given, "text")
    if len(text) > MOST_TEXT:
        raise DataError(f"a spec has at most {MOST_TEXT:,} characters here")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError("the text holds half of a character") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


async def _news(request: Request, session: Session) -> AsyncIterator[str]:
    """What happens in a training, as server-sent events, until it is over."""
    records = looks = -1
    told: tuple[Any, ...] = ()
    while not await request.is_disconnected():
        over = session.over
        news = session.news(max(records, 0), max(looks, 0))
        progress = (news["state"], news["progress"].get("step"))
        if news["records"] or news["looks"] != looks or progress != told:
            yield f"data: {json.dumps(news)}\n\n"
            records, looks, told = max(records, 0) + len(news["records"]), news["looks"], progress
        if over:
            yield "event: end\ndata: {}\n\n"
            return
        await asyncio.sleep(PAUSE)


def _zip(session: Session) -> Response:
    """The trained network: its spec, its weights, and C that predicts.

    Raises:
        DataError: it is not compiled yet.
    """
    model = session.model
    if model is None:
        raise DataError("nothing is compiled yet")
    packed = io.BytesIO()
    weights = model.copy_weights()
    exported = export_c(trained(model.network, weights, model.schema), Wishes(TARGETS["generic"]))
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("spec.net", session.order.text)
        for name, contents in exported.files.items():
            file.writestr(f"c/{name}", contents)
        with file.open("weights.safetensors", "w") as inside:
            inside.write(_safetensors(model))
    head = {"content-disposition": f'attachment; filename="{model.network.name.lower()}.zip"'}
    return Response(packed.getvalue(), media_type="application/zip", headers=head)


def _safetensors(model: Any) -> bytes:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_weights(path, model.network, model.copy_weights(), model.schema)
        return path.read_bytes()
