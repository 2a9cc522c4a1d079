"""`dslc export`, and what `dslc compile` and `dslc emit` say of other machines, on the command line."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from test_cli import dslc, tiny  # noqa: F401 - a fixture

import dslc as package

FILES = {"tiny.h", "tiny.c", "tiny.weights", "main.c", "README.md"}


@pytest.fixture
def run(tiny: Path) -> Path:  # noqa: F811
    """The folder of `tiny` after a training of words as classes."""
    lines = (tiny / "data.csv").read_text().splitlines()
    named = [lines[0], *(f"{line[:-1]}{('ant', 'bee', 'cow')[int(line[-1])]}" for line in lines[1:])]
    (tiny / "named.csv").write_text("\n".join(named))
    done = dslc("train", "tiny.net", "--data", "named.csv", "--target", "kind", "--run", "r", cwd=tiny)
    assert done.returncode == 0, done.stderr
    return tiny


def test_export_of_a_run(run: Path) -> None:
    """A program in C says of the data what `dslc predict` says; class names come along."""
    done = dslc("export", "r", "--to", "c", cwd=run)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (run / "tiny-c").iterdir()} == FILES
    for word in ("flash", "text", "constants", "RAM", "stack", "tiny-c/tiny.h"):
        assert word in done.stdout
    code = (run / "tiny-c" / "tiny.c").read_text()
    assert '{ "ant", "bee", "cow" }' in code and "embedded" in code
    x = np.loadtxt(run / "named.csv", delimiter=",", skiprows=1, usecols=range(4)).astype(np.float32)
    (run / "tiny-c" / "x.bin").write_bytes(x.tobytes())
    model = package.load(run / "r" / "spec.net")
    model.load_weights(run / "r" / "weights.safetensors")
    build = "gcc -std=c99 -O1 main.c tiny.c -lm -o tiny && ./tiny x.bin"
    said = subprocess.run(["sh", "-c", build], cwd=run / "tiny-c", capture_output=True, text=True, check=True).stdout
    printed = np.array([line.split() for line in said.splitlines()], float)
    np.testing.assert_allclose(printed, model.predict(x), atol=1e-6)


def test_export_of_weights(run: Path) -> None:
    """The same files from a run, from its weights alone, and from its spec with them."""
    for i, source in enumerate(
        (["r"], ["r/weights.safetensors"], ["r/spec.net", "--weights", "r/weights.safetensors"])
    ):
        assert dslc("export", *source, "-o", f"out{i}", cwd=run).returncode == 0
    for name in FILES:
        assert len({(run / f"out{i}" / name).read_bytes() for i in range(3)}) == 1


def test_export_of_a_run_that_was_killed(run: Path) -> None:
    """The best weights so far are in its checkpoint; a note says of which epoch, of what judges the run too."""
    assert dslc("export", "r", "-o", "whole", cwd=run).returncode == 0
    (run / "r" / "weights.safetensors").unlink()
    done = dslc("export", "r", "-o", "part", cwd=run)
    judged = dslc("evaluate", "r", cwd=run)
    for said in (done, judged):
        assert said.returncode == 0
        assert "note: r has no weights of a training that has ended: those after epoch " in said.stderr
    assert "taken from" not in dslc("evaluate", "r/checkpoint", cwd=run).stderr
    assert (run / "whole" / "tiny.weights").read_bytes() == (run / "part" / "tiny.weights").read_bytes()


def test_options(run: Path) -> None:
    for options, said in (
        (("--portable", "--optimize", "size"), "any compiler of C99"),
        (("--target", "x86-64-v3", "--max-batch", 7, "--no-embed"), "x86-64-v3"),
        (("--target", "native", "--embed"), "native"),
    ):
        done = dslc("export", "r", *options, "-o", "out", cwd=run)
        assert done.returncode == 0 and said in done.stdout, done.stderr
        code = (run / "out" / "tiny.c").read_text()
        assert ("embedded" in code) == ("--no-embed" not in options)
    assert "TINY_MAX_BATCH = 1," in (run / "out" / "tiny.h").read_text()


BAD = [
    (("export", "nowhere"), 1, "there is no run nowhere"),
    (("export", "."), 1, "not a run folder"),
    (("export", "tiny.net"), 1, "--weights"),
    (("export", "tiny.net", "--weights", "data.npz"), 1, "cannot read data.npz"),
    (("export", "other.net", "--weights", "r/weights.safetensors"), 1, "do not fit"),
    (("export", "r", "--max-batch", 0), 2, "at least 1"),
    (("export", "r", "--max-batch", 10**9), 2, "bytes of memory"),
    (("export", "edges.net", "--weights", "edges.safetensors", "--training"), 2, "no `train`"),
    (("export", "r", "--target", "pdp11"), 2, "no target"),
    (("export", "r", "--target", "native", "--portable"), 2, "without --target"),
    (("export", "r", "--to", "fortran"), 2, "fortran"),
    (("export", "r", "-o", "tiny.net"), 1, "cannot write"),
    (("emit", "tiny.net", "--batch", 0), 2, "at least 1"),
    (("compile", "tiny.net", "--target", "cortex-m4"), 2, "export --to c --target cortex-m4"),
]


@pytest.mark.slow
def test_bad_calls(run: Path) -> None:
    (run / "other.net").write_text((run / "tiny.net").read_text().replace("dense(5)", "dense(6)"))
    (run / "edges.net").write_text("net Edges {\n  input x: 4\n  relu\n}\n")
    package.load(run / "edges.net").save(run / "edges.safetensors")
    for arguments, status, words in BAD:
        done = dslc(*arguments, cwd=run)
        assert done.returncode == status and words in done.stderr + done.stdout, (arguments, done.stderr, done.stdout)


def test_emit_says_for_which_target(tiny: Path) -> None:  # noqa: F811
    done = dslc("emit", "tiny.net", "--stage", "plan", "--target", "aarch64", "--batch", 3, cwd=tiny)
    assert "for the target aarch64, at most 3 examples" in done.stderr and done.stdout.startswith("batch 3,")
    done = dslc("emit", "tiny.net", "--target", "aarch64", "--batch", 3, cwd=tiny)
    assert "enum { MAX_BATCH = 3 };" in done.stdout


@pytest.mark.neon
@pytest.mark.skipif(shutil.which("aarch64-linux-gnu-gcc") is None, reason="not installed: aarch64-linux-gnu-gcc")
def test_compile_for_another_machine(tiny: Path) -> None:  # noqa: F811
    """The module has that machine's name, and is not imported here."""
    done = dslc("compile", "tiny.net", "--target", "aarch64", "-o", "out", cwd=tiny)
    assert done.returncode == 0, done.stderr
    (module,) = (tiny / "out").glob("*.so")
    assert "aarch64" in module.name and "x86_64" not in module.name
    assert module.read_bytes()[18:20] == b"\xb7\0", "its ELF header says AArch64"


def test_compile_without_a_compiler_for_it(tiny: Path) -> None:  # noqa: F811
    (tiny / "bin").mkdir()
    done = dslc("compile", "tiny.net", "--target", "armv7", cwd=tiny, PATH=str(tiny / "bin"), CC="")
    assert done.returncode == 1 and "arm-linux-gnueabihf-gcc" in done.stderr


def test_export_to_onnx(run: Path) -> None:
    """A file with the class names; what is an option of C is refused."""
    onnxruntime = pytest.importorskip("onnxruntime")
    done = dslc("export", "r", "--to", "onnx", "-o", "models", cwd=run)
    assert done.returncode == 0, done.stderr
    assert "models/tiny.onnx" in done.stdout
    session = onnxruntime.InferenceSession(run / "models" / "tiny.onnx")
    assert session.get_modelmeta().custom_metadata_map["class_names"] == '["ant", "bee", "cow"]'
    x = np.loadtxt(run / "named.csv", delimiter=",", skiprows=1, usecols=range(4)).astype(np.float32)
    model = package.load(run / "r" / "spec.net")
    model.load_weights(run / "r" / "weights.safetensors")
    np.testing.assert_allclose(session.run(None, {"x": x})[0], model.predict(x), atol=1e-5)
    for options in (("--to", "onnx", "--embed"), ("--to", "c", "--nchw")):
        done = dslc("export", "r", *options, cwd=run)
        assert done.returncode == 2 and "is for --to" in done.stderr
