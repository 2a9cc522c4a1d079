"""The playground: its answers against the compiler and NumPy, a training from first to last event, who is let in,
and the page itself in a browser."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load as load_safetensors

from dslc.compiler import check_text, emit_network
from dslc.language.diagnostics import SpecError

testclient = pytest.importorskip("starlette.testclient")
pytest.importorskip("httpx")

from dslc.cli.play import DEMO  # noqa: E402
from dslc.play.app import MOST_TEXT, Studio, playground  # noqa: E402
from dslc.play.guard import MOST_BYTES, Guard  # noqa: E402

TOKEN, HOST = "token-of-the-test", "127.0.0.1:8000"
SPEC = DEMO.replace("epochs    60", "epochs    3").replace("dense(16) -> tanh\n  dense(16)", "dense(8)")


@pytest.fixture
def client() -> Iterator[testclient.TestClient]:
    studio = Studio(SPEC, "moons")
    guarded = Guard(playground(studio), TOKEN, (HOST,))
    yield testclient.TestClient(guarded, base_url=f"http://{HOST}/{TOKEN}/")
    if studio.session is not None:
        studio.session.act("stop")
        studio.session.thread.join(20)
    studio.uploads.close()


def watch(client: testclient.TestClient) -> list[dict]:
    """All events of the training, up to its end."""
    text = client.get("events").text
    assert text.endswith("event: end\ndata: {}\n\n")
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith('data: {"')]


def test_problems_are_those_of_the_command_line(client: testclient.TestClient) -> None:
    """With the place in units of UTF-16, as the page counts."""
    text = SPEC.replace("# Two", "# \N{SNAKE}").replace("-> tanh", "-> tanhh")
    with pytest.raises(SpecError) as error:
        check_text(text)
    found = client.post("check", json={"text": text.replace("\n", "\r\n")}).json()
    assert found["network"] is None and len(found["problems"]) == 1
    (problem,) = found["problems"]
    assert (
        problem["text"] == str(error.value).replace("<text>", "spec.net") and "did you mean 'tanh'?" in problem["text"]
    )
    assert text.encode("utf-16-le")[2 * problem["start"] : 2 * problem["end"]].decode("utf-16-le") == "tanhh"


def test_layers_and_their_c(client: testclient.TestClient) -> None:
    found = client.post("check", json={"text": SPEC}).json()["network"]
    dense = found["layers"][0]
    assert (dense["name"], dense["parameters"], dense["multiply_adds"], dense["output"]) == ("dense1", 24, 16, "8")
    assert dense["bytes"] == (24 + 8) * 4 and "x @ W.T + b" in dense["formula"]
    assert SPEC[dense["start"] : dense["end"]] == "dense(8)"
    assert [names for names in found["boxes"] if "dense1" in names] == [["dense1", "tanh1"]]
    code = emit_network(check_text(SPEC)).code
    for layer in ("dense1", "dense2", "softmax1"):
        functions = client.post("c", json={"text": SPEC, "layer": layer}).json()["functions"]
        assert any(layer in f["name"] for f in functions) and all(f["code"].strip() in code for f in functions)
        steps = {step for f in functions for step in f["steps"]}
        assert steps >= ({"predict"} if layer == "softmax1" else {"predict", "train"}), "the loss has a softmax within"
    inside = client.post("c", json={"text": SPEC, "layer": "tanh1"}).json()
    assert "no function of its own" in inside["note"] and "dense1" in inside["functions"][0]["name"]


def test_training(client: testclient.TestClient) -> None:
    """The records are those of `fit`, the last plane is what the exported weights say, and the C comes along."""
    assert client.post("train", json={"text": SPEC, "data": "moons"}).json() == {}
    news = watch(client)
    records = [record for each in news for record in each["records"]]
    assert [record["epoch"] for record in records] == [1, 2, 3] and news[-1]["state"] == "done"
    assert news[-1]["progress"]["stopped"] == "epochs"
    first, last = (next(each["view"] for each in order if "view" in each) for order in (news, reversed(news)))
    with zipfile.ZipFile(io.BytesIO(client.get("export").content)) as packed:
        assert {"spec.net", "c/moons.c", "c/moons.h"} <= set(packed.namelist())
        w = load_safetensors(packed.read("weights.safetensors"))
    across, up = (np.linspace(first["low"][i], first["high"][i], first["side"]) for i in (0, 1))
    x = np.array([(a, b) for b in up for a in across])
    z = np.tanh(x @ w["dense1.weight"].T + w["dense1.bias"]) @ w["dense2.weight"].T + w["dense2.bias"]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.array(last["values"]) % 1, np.minimum(p.max(axis=1), 0.999), atol=2e-3)
    assert (np.floor(last["values"]) == p.argmax(axis=1)).mean() > 0.999


def test_pause_step_and_stop(client: testclient.TestClient) -> None:
    """A step is one update; a training that stops has the word for it."""
    client.post("train", json={"text": SPEC.replace("epochs    3", "epochs    100000"), "data": "moons"})
    session = client.app.app.state.studio.session
    client.post("control", json={"action": "pause"})
    until(lambda: session.state == "paused")
    before = session.progress["step"]
    client.post("control", json={"action": "step"})
    until(lambda: session.progress["step"] > before and session.state == "paused")
    assert session.progress["step"] == before + 1 == session.model.step
    client.post("control", json={"action": "resume"})
    until(lambda: session.progress["step"] > before + 5)
    client.post("control", json={"action": "stop"})
    assert watch(client)[-1]["progress"]["stopped"] == "stopped"


def test_a_bug_ends_the_events(client: testclient.TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is told, and does not wait for ever; the traceback goes to the terminal alone."""
    seen: list[object] = []
    monkeypatch.setattr("threading.excepthook", seen.append)
    monkeypatch.setattr("dslc.play.session.view_of", lambda *_: 1 / 0)
    client.post("train", json={"text": SPEC, "data": "moons"})
    assert "broke off" in watch(client)[-1]["error"]
    until(lambda: seen)


def until(holds: object) -> None:
    """Waits for something that another thread does."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def test_dropped_files_and_images(client: testclient.TestClient) -> None:
    """A file is known by its name, never by a path; images show predictions and filters."""
    random, data = np.random.default_rng(0), io.BytesIO()
    np.savez(data, x=random.random((40, 4, 4, 1)), y=random.integers(0, 2, 40))
    assert client.post("data?name=my.npz", content=data.getvalue()).json() == {"name": "my.npz"}
    text = SPEC.replace("point: 2", "image: 4x4x1").replace("dense(8)", "flatten -> dense(8)")
    client.post("train", json={"text": text, "data": "my.npz"})
    view = next(each["view"] for each in watch(client) if "view" in each)
    assert len(view["images"]) == len(view["said"]) == 4 and view["filters"].startswith("data:image/png")
    assert all(re.fullmatch(r"[01] \d+%", said) for said in view["said"])
    table = "a,b,kind\n" + "".join(f"{i},{-i},{'yes' if i % 2 else 'no'}\n" for i in range(40))
    client.post("data?name=t.csv", content=table.encode())
    client.post("train", json={"text": SPEC, "data": "t.csv", "target": "kind"})
    assert watch(client)[-1]["state"] == "done"
    client.post("train", json={"text": SPEC, "data": "t.csv", "target": "nothing"})
    assert "nothing" in watch(client)[-1]["error"]


@pytest.mark.parametrize(
    ("path", "given", "words"),
    [
        ("train", {"text": SPEC, "data": "/etc/passwd"}, "there are no data '/etc/passwd'"),
        ("train", {"text": SPEC, "data": "../x.npz"}, "there are no data"),
        ("train", {"text": SPEC}, "'data' is missing"),
        ("train", {"text": 3, "data": "moons"}, "'text' is missing, or no text"),
        ("control", {"action": "stop"}, "nothing is trained yet"),
        ("c", {"text": SPEC, "layer": "__import__('os')"}, "there is no layer"),
        ("c", {"text": "net", "layer": "a"}, "error["),
        ("check", {"text": "\ud800"}, "half of a character"),
        ("check", {"text": "x" * (MOST_TEXT + 1)}, "at most 200,000 characters"),
        ("check", b"[" * 100_000, "a JSON object"),
        ("check", b"[1]", "a JSON object"),
        ("check", b"\xff", "a JSON object"),
        ("data?name=a.py", b"print(1)", "files of data end in"),
        ("data?name=moons", b"", "files of data end in"),
    ],
)
def test_hostile_calls_get_plain_errors(client: testclient.TestClient, path: str, given: object, words: str) -> None:
    body = given if isinstance(given, bytes) else json.dumps(given).encode()
    answer = client.post(path, content=body)
    assert answer.status_code == 400 and words in answer.json()["error"] and "Traceback" not in answer.text


def test_who_is_let_in(client: testclient.TestClient) -> None:
    """Only calls of this host with the token, from this page; and nothing that is too large."""
    assert client.get("").status_code == 200
    for url, headers, status in [
        ("", {"host": "evil.example:8000"}, 403),
        ("", {"host": "127.0.0.1:9"}, 403),
        ("", {"origin": "http://evil.example"}, 403),
        ("", {"origin": f"http://{HOST}"}, 200),
        (f"http://{HOST}/", {}, 404),
        (f"http://{HOST}/{TOKEN}x/", {}, 404),
        (f"http://{HOST}/start", {}, 404),
        ("../start", {}, 404),
        ("static/../../app.py", {}, 404),
        ("nothing", {}, 404),
        ("start", {"content-length": str(MOST_BYTES + 1)}, 413),
        ("start", {"content-length": "many"}, 413),
    ]:
        answer = client.get(url, headers=headers)
        assert answer.status_code == status, url
        assert "Traceback" not in answer.text and "default-src 'none'" in answer.headers["content-security-policy"]
    with pytest.raises(testclient.WebSocketDisconnect), client.websocket_connect("events"):
        pass


@pytest.mark.slow
def test_in_a_browser(tmp_path: Path) -> None:
    """The page as a browser shows it: colors, diagram, a training to its end with curves and the plane."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs Chromium")
    (tmp_path / "moons.net").write_text(SPEC)
    command = [sys.executable, "-m", "dslc", "play", "moons.net", "--data", "moons", "--no-browser"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[-1]
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"]
        shown = subprocess.run(
            [browser, *flags, f"{address}#train,dense1"], capture_output=True, timeout=120, check=True
        )
        server.terminate()
    page = shown.stdout.decode()
    assert '<span class="layer">dense</span>' in page and 'data-layer="softmax1"' in page
    assert "done: epoch 3" in page and "ended: epochs" in page
    assert page.count('class="marks"') == 2 and "<canvas" in page
    assert "static KERNEL void dense1_forward" in page and '<span class="layer picked">dense</span>' in page


def test_it_is_an_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from dslc.cli.main import run

    monkeypatch.setitem(sys.modules, "dslc.play.serve", None)
    assert run(["play", "--no-browser"]) == 1 and "pip install 'dslc[play]'" in capsys.readouterr().err
