"""`dslc export --to wasm`: pages in Chromium draw, predict as NumPy does, and learn a class of one's own."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import Page, Points, browser, circle, line, served
from test_cli import dslc

import dslc as package
from dslc.compiler import check_text
from dslc.export.network import Trained, Wishes
from dslc.export.own_class import with_own_class
from dslc.export.page import export_page
from dslc.export.wasm import compile_wasm, sections
from dslc.language.diagnostics import CallError, UsageError
from dslc.proofs.reference import Interpreter
from dslc.runtime.runs.trained import read_trained, trained
from dslc.target import TARGETS
from exporting import random_parameters
from helpers import FORWARD, assert_close

SPEC = """net Digits {
  input image: 28x28x1
  conv(8, 5x5, stride=2) -> relu -> conv(16, 5x5, stride=2) -> relu
  flatten -> dense(10) -> softmax
}
train {
  loss      cross_entropy
  optimizer adam(0.003)
  batch     32
  epochs    1
  seed      1
}
"""
RATE = 0.003
WASM = Wishes(TARGETS["wasm"])


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """A page in a browser, which all tests share."""
    program = next((name for name in ("chromium", "chromium-browser", "google-chrome") if shutil.which(name)), None)
    missing = [name for name in ("clang", "wasm-ld") if shutil.which(name) is None] + ["chromium"] * (program is None)
    if missing:
        reason = f"not installed: {', '.join(missing)}"
        pytest.fail(reason) if os.environ.get("DSLC_REQUIRE_TARGETS") else pytest.skip(reason)
    with browser(str(program)) as found:
        yield found


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on digits, and its page in `page`."""
    folder = tmp_path_factory.mktemp("digits")
    (folder / "digits.net").write_text(SPEC)
    done = dslc("train", "digits.net", "--data", "mnist", "--run", "run", cwd=folder, DSLC_CFLAGS="-O1 -fno-lto")
    assert done.returncode == 0, done.stderr
    done = dslc("export", "run", "--to", "wasm", "--training", "-o", "page", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "http.server -d page" in done.stdout
    return folder


def write(files: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, contents in files.items():
        (folder / name).write_bytes(contents)
    return folder


def in_network(page: Page, code: str) -> object:
    """The value of JavaScript with a network `net` of its own, beside that of the page."""
    start = "const {default: about} = await import('/about.js'), {Network} = await import('/network.js');"
    return page.run(f"(async () => {{ {start} const net = await Network.load(about); {code} }})()")


def predicted(page: Page, x: np.ndarray) -> np.ndarray:
    """The outputs (n, classes) of examples (n, ...)."""
    given = json.dumps(x.reshape(len(x), -1).tolist())
    return np.array(in_network(page, f"return {given}.map((x) => Array.from(net.predict(x)[0]));"))


@pytest.mark.slow
def test_predicts_and_learns_as_numpy(page: Page, digits: Path, rng: np.random.Generator) -> None:
    """The class to spare included: in the page's module, and in the interpreter."""
    known = with_own_class(read_trained(str(digits / "run")))
    reference = Interpreter(known.network, {n: a.astype(np.float64) for n, a in known.parameters.items()})
    x, y = rng.random((5, 28, 28, 1)), np.array([0, 3, 10, 10, 7], np.int32)
    steps = (
        "const losses = [1, 2, 3].map(() => net.trainStep(X, Y));"
        "return [losses, X.map((x) => Array.from(net.predict(x)[0]))];"
    )
    with served(digits / "page") as url:
        page.open(url)
        before = predicted(page, x)
        assert_close(before, reference.predict({"image": x})["output"], FORWARD["float32"], "before")
        given = steps.replace("X", json.dumps(x.reshape(5, -1).tolist())).replace("Y", json.dumps(y.tolist()))
        losses, after = map(np.array, in_network(page, given))
    wanted = [reference.train_step({"image": x}, {"output": y}, RATE) for _ in range(3)]
    assert_close(losses, np.array(wanted), 1e-4, "losses")
    assert_close(after, reference.predict({"image": x})["output"], 1e-3, "after")
    assert np.abs(after - before).max() > 0.01


def test_an_own_class_is_never_the_likeliest(digits: Path, rng: np.random.Generator) -> None:
    """Before it has been taught; the others stay in their order."""
    known = read_trained(str(digits / "run"))
    wider = with_own_class(known)
    x = {"image": rng.random((50, 28, 28, 1))}
    old, new = (
        Interpreter(t.network, {n: a.astype(np.float64) for n, a in t.parameters.items()}).predict(x)["output"]
        for t in (known, wider)
    )
    assert wider.classes["output"][-1] == "my class" and len(wider.classes["output"]) == 11
    np.testing.assert_array_equal(new.argmax(axis=1), old.argmax(axis=1))
    np.testing.assert_allclose(new[:, :10] / new[:, :10].sum(axis=1, keepdims=True), old, rtol=1e-6, atol=1e-12)


def heart(draw: random.Random) -> list[Points]:
    """A heart as a stroke, each a little different."""
    size, x, y = 0.02 * (1 + draw.uniform(-0.15, 0.15)), 0.5 + draw.uniform(-0.1, 0.1), 0.5 + draw.uniform(-0.1, 0.1)
    turns = [2 * math.pi * i / 16 for i in range(17)]
    return [[
        (x + size * 16 * math.sin(t) ** 3,
         y - size * (13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)))
        for t in turns
    ]]  # fmt: skip


ZERO, ONE = [circle(0.5, 0.5, 0.2, 0.3)], [line((0.5, 0.15), (0.5, 0.85))]


def bars(page: Page) -> dict[str, float]:
    """Percents by the names of classes."""
    found = page.run(
        "[...document.querySelectorAll('.bars li')].map((bar) => [...bar.children].map((part) => part.textContent))"
    )
    return {name: float(percent.removesuffix(" %")) for name, _, percent in found}


def likeliest(page: Page) -> str:
    """The first bar."""
    return str(page.run("document.querySelector('.bars .name')?.textContent"))


def drawn(page: Page, strokes: list[Points], finger: bool = False) -> str:
    """What the page says of a drawing."""
    page.run("document.getElementById('clear').click()")
    page.draw(".pad", strokes, finger)
    return likeliest(page)


@pytest.mark.slow
def test_draws_and_learns(page: Page, digits: Path) -> None:
    """Ten hearts, and hearts are known; digits still are. By mouse and finger, on a desktop and on a phone."""
    draw = random.Random(3)
    page.look(1100, 1000)
    with served(digits / "page") as url:
        page.open(url)
        assert drawn(page, ZERO) == "0" and drawn(page, ONE) == "1"
        assert drawn(page, heart(draw)) in "0123456789"
        page.run("const field = document.getElementById('own-name'); field.value = 'heart'")
        page.run("field.dispatchEvent(new Event('input'))")
        for _ in range(10):
            drawn(page, heart(draw))
            page.run("document.getElementById('add').click()")
        page.wait("document.getElementById('told').textContent.startsWith('Learned')")
        assert "10 of your 10 examples" in page.run("document.getElementById('told').textContent")
        page.look(375, 800, "dark")
        page.send("Emulation.setTouchEmulationEnabled", enabled=True)
        page.run("scrollTo(0, 0)")
        assert [drawn(page, heart(draw), finger=True) for _ in range(5)] == ["heart"] * 5
        assert drawn(page, ZERO, finger=True) == "0" and drawn(page, ONE, finger=True) == "1"
        assert page.run("document.documentElement.scrollWidth <= innerWidth"), "all of it fits the width of a phone"
        page.run("document.getElementById('forget').click()")
        assert drawn(page, heart(draw)) != "heart"
        page.send("Emulation.setTouchEmulationEnabled", enabled=False)
        page.look(1100, 1000)


TABLE = """net Passengers {
  input passenger: table {
    age: number missing=median indicator=on
    class: category(1, 2, 3), sex: category
    cabin: category missing=own
  }
  dense(6) -> tanh -> dense(2) -> softmax
}
train {
  loss cross_entropy
  optimizer adam(0.1)
  batch 16
  epochs 3
}
"""


def test_a_form_for_a_table(page: Page, tmp_path: Path, rng: np.random.Generator) -> None:
    """Cells become the numbers that they are in Python, missing ones too."""
    columns = {
        "age": rng.uniform(1, 70, 64),
        "class": rng.choice(["1", "2", "3"], 64),
        "sex": rng.choice(["male", "female"], 64),
        "cabin": rng.choice(np.array(["A", "B", None], object), 64),
    }
    model = package.loads(TABLE)
    model.fit(columns, np.where(columns["sex"] == "male", "no", "yes"), progress="none")
    found = trained(model.network, model.copy_weights(), model.schema)
    folder = write(export_page(found, WASM, None), tmp_path)
    fill = (
        "[...document.querySelectorAll('.fields input, .fields select')].forEach((field, i) => {{"
        "field.value = {}[i]; field.dispatchEvent(new Event('input')); }})"
    )
    with served(folder) as url:
        page.open(url)
        for row in (["31.5", "2", "female", "A"], ["", "3", "male", ""]):
            page.run(fill.format(json.dumps(row)))
            said = bars(page)
            cells = {name: np.array([cell or None], object) for name, cell in zip(columns, row, strict=True)}
            cells["age"] = np.array([float(row[0]) if row[0] else np.nan])
            wanted = 100 * model.predict(cells)[0]
            np.testing.assert_allclose([said["no"], said["yes"]], wanted, atol=0.051)


def test_an_image_is_dropped(page: Page, tmp_path: Path, rng: np.random.Generator) -> None:
    """Its pixels are the network's numbers."""
    network = check_text(
        "net Colors {\n  input image: 6x5x3\n  conv(4, 3x3) -> relu -> flatten -> dense(3) -> softmax\n}\n"
    )
    parameters = random_parameters(network, rng)
    folder = write(export_page(Trained(network, parameters), WASM, None), tmp_path)
    pixels = rng.integers(0, 256, (6, 5, 3), np.uint8)
    rgba = np.concatenate([pixels, np.full((6, 5, 1), 255, np.uint8)], axis=2)
    drop = f"""(async () => {{
      const canvas = new OffscreenCanvas(5, 6);
      canvas.getContext('2d').putImageData(new ImageData(new Uint8ClampedArray({rgba.ravel().tolist()}), 5, 6), 0, 0);
      const files = new DataTransfer();
      files.items.add(new File([await canvas.convertToBlob()], 'colors.png', {{type: 'image/png'}}));
      document.querySelector('.drop').dispatchEvent(new DragEvent('drop', {{dataTransfer: files, cancelable: true}}));
    }})()"""
    with served(folder) as url:
        page.open(url)
        page.run(drop)
        page.wait("!!document.querySelector('.bars')")
        said = bars(page)
    reference = Interpreter(network, {n: a.astype(np.float64) for n, a in parameters.items()})
    wanted = 100 * reference.predict({"image": pixels[None] / 255})["output"][0]
    np.testing.assert_allclose([said[str(i)] for i in range(3)], wanted, atol=0.051)


def test_predicts_in_node(digits: Path, rng: np.random.Generator) -> None:
    """The module and `network.js` of the page, without a browser."""
    if shutil.which("node") is None:
        pytest.fail("no node") if os.environ.get("DSLC_REQUIRE_TARGETS") else pytest.skip("no node")
    known = with_own_class(read_trained(str(digits / "run")))
    reference = Interpreter(known.network, {n: a.astype(np.float64) for n, a in known.parameters.items()})
    x = rng.random((5, 28, 28, 1))
    program = ["node", "--no-warnings", str(Path(__file__).with_name("run_page.mjs")), str(digits / "page")]
    given = json.dumps(x.reshape(len(x), -1).tolist())
    done = subprocess.run(program, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made, wanted = np.array(json.loads(done.stdout)), reference.predict({"image": x})["output"]
    assert_close(made, wanted, FORWARD["float32"], "node")


def test_refuses_what_is_no_example(tmp_path: Path, rng: np.random.Generator) -> None:
    """Too few numbers, too many, and what is no number: an error that names the count."""
    missing = [name for name in ("node", "clang", "wasm-ld") if shutil.which(name) is None]
    if missing:
        reason = f"not installed: {', '.join(missing)}"
        pytest.fail(reason) if os.environ.get("DSLC_REQUIRE_TARGETS") else pytest.skip(reason)
    text = (
        "net Six {\n  input x: 6\n  dense(2) -> softmax\n}\n"
        "train {\n  loss cross_entropy\n  optimizer sgd(0.1)\n  batch 2\n}\n"
    )
    network = check_text(text)
    wishes = Wishes(TARGETS["wasm"], training=True)
    folder = write(export_page(Trained(network, random_parameters(network, rng)), wishes, None), tmp_path)
    program = ["node", "--no-warnings", str(Path(__file__).with_name("run_page_refusals.mjs")), str(folder)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    few, many, undefined, text, nothing, short, unlabelled, none, batch, half, right = json.loads(done.stdout)
    assert few == short == "an example is 6 numbers, not 5" and many == "an example is 6 numbers, not 7"
    assert undefined.endswith("at place 5 of it is none: undefined") and text.endswith("none: 1")
    assert nothing == "an example is 6 numbers, not undefined"
    assert (
        unlabelled.endswith("takes 1 labels, not 0")
        and none.endswith("not 0")
        and batch.startswith("a step takes 1 to")
    )
    assert half.endswith("not 0.5") and right == ""


def test_imports_nothing(digits: Path) -> None:
    """A module has no section of imports; one of imports would be seen."""
    module = (digits / "page" / "digits.wasm").read_bytes()
    assert module[:4] == b"\0asm" and 2 not in sections(module) and 10 in sections(module)
    imports = b"\0asm\1\0\0\0\2\x08\1\1a\1b\3\x7f\0"
    assert list(sections(imports)) == [2]


def test_what_no_page_can_be_made_of(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    two = check_text("net Two {\n  input a: 2\n  input b: 2\n  add(a, b) -> dense(2) -> softmax\n}\n")
    number = check_text(
        "net One {\n  input a: 2\n  dense(1)\n}\ntrain {\n  loss mse\n  optimizer sgd(0.1)\n  batch 2\n}\n"
    )
    with pytest.raises(CallError, match="several"):
        export_page(Trained(two, random_parameters(two, rng)), WASM, None)
    with pytest.raises(CallError, match="dense -> softmax"):
        export_page(Trained(number, random_parameters(number, rng)), Wishes(TARGETS["wasm"], training=True), None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="install clang, lld"):
        compile_wasm({}, "x", [], False)
