"""`dslc export --to c`: what it writes compiles without a warning, and predicts as NumPy and Python do."""

from __future__ import annotations

import ctypes
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dslc
import dslc.layers
from dslc import registry
from dslc.codegen import build
from dslc.codegen.build import Compiler
from dslc.compiler import check_file, check_text, plan_network
from dslc.export.export import export_c
from dslc.export.network import Trained, Wishes
from dslc.export.prediction import plan_prediction
from dslc.export.prepared import PREPARATIONS
from dslc.layers import Example, Layer
from dslc.proofs.reference import Interpreter
from dslc.runtime.native.compiled import Compiled, compiled_plan
from dslc.runtime.native.inference import predict
from dslc.runtime.runs.trained import trained
from dslc.target import TARGETS, Target, native
from exporting import STRICT, Export, Host, export, random_parameters, run_compiler, write
from helpers import FORWARD, NETWORKS, assert_all_close, assert_close, data, example_spec, runs

DIGITS = """net Digits {
  input image: 8x8x1
  conv(8, 3x3, pad=same) -> relu
  conv(16, 3x3, pad=same) -> relu -> maxpool(2x2)
  flatten
  dense(10) -> softmax
}
"""
SPECS = Path(__file__).parents[1] / "benchmarks" / "specs" / "devices"
CASES = {
    "digits": DIGITS,
    "tabular": """net Tabular {
  input x: 13
  standardize -> dense(19, bias=off) -> batchnorm -> tanh
  dense(7) -> gelu -> layernorm
  dense(3) -> softmax
}
""",
    "branches": """net Branches {
  input image: 12x12x20
  a = image -> conv(24, 3x3, pad=same, bias=off) -> batchnorm -> relu
  b = a -> conv(24, 5x5, pad=same, groups=4) -> batchnorm -> elu
  c = add(a, b) -> conv(24, 3x3, pad=same, groups=24) -> lrn(size=3) -> avgpool(2x2)
  output y = c -> conv(33, 3x3) -> silu -> global_maxpool -> dense(5) -> sigmoid
}
""",
    **{name: re.sub(r"train \{.*\}\n", "", NETWORKS[name], flags=re.DOTALL) for name in ("grouped", "pooled")},
}
"""Networks that together have every preparation: folded batch norm with and without a bias, transformed, packed and
widened filters."""
PORTABLE, GENERIC = TARGETS["c99"], TARGETS["generic"]
MACHINES = (PORTABLE, GENERIC, TARGETS["x86-64-v3"], TARGETS["x86-64-v4"])


def examples(exported: Export, n: int, rng: np.random.Generator) -> np.ndarray:
    (value,) = exported.trained.network.inputs
    return rng.standard_normal((n, *value.shape)).astype(exported.real)


def reference(trained: Trained, x: np.ndarray) -> np.ndarray:
    """The NumPy interpreter's prediction in float64."""
    interpreter = Interpreter(trained.network, {n: a.astype(np.float64) for n, a in trained.parameters.items()})
    (outputs,) = interpreter.predict({trained.network.inputs[0].name: x.astype(np.float64)}).values()
    return outputs


def require(target: Target) -> None:
    if not runs(target):
        pytest.skip(f"this CPU does not run {target.name}")


@pytest.mark.parametrize("batch", [1, 19])
@pytest.mark.parametrize("target", MACHINES, ids=lambda target: target.name)
@pytest.mark.parametrize("name", CASES)
def test_predicts_as_numpy(name: str, target: Target, batch: int, tmp_path: Path, rng: np.random.Generator) -> None:
    """Also the last, smaller mini-batch, and small batches of a large plan."""
    require(target)
    exported = export(CASES[name], Wishes(target, batch), tmp_path, rng)
    x = examples(exported, batch + 3, rng)
    assert_close(exported.predict(x, "-O1"), reference(exported.trained, x), FORWARD["float32"], name)


IN_PLACE = """net InPlace {
  input image: 17x19x3
  a = conv(5, 3x3, pad=same) -> tanh
  b = a -> conv(5, 3x3, pad=same) -> avgpool(2x2, stride=1)
  c = a -> conv(5, 2x2)
  d = add(b, c) -> relu -> conv(4, 5x5, pad=same, stride=2, dilation=2)
  e = d -> tanh -> conv(4, 3x3, pad=1, groups=2)
  add(e, d) -> sigmoid -> maxpool(2x2) -> flatten -> dense(4) -> softmax
}
"""
"""Sums and windows whose results take the memory of what they read, in rows that tiles do not divide; bands of rows."""


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("target", [PORTABLE, GENERIC], ids=lambda target: target.name)
def test_results_in_place(target: Target, batch: int, tmp_path: Path, rng: np.random.Generator) -> None:
    """Optimized for size, under sanitizers: as NumPy."""
    exported = export(IN_PLACE, Wishes(target, batch, small=True), tmp_path, rng)
    assert "/* in place */" in exported.source.read_text() and "_bands(" in exported.source.read_text()
    x = examples(exported, batch + 1, rng)
    made = exported.predict(x, "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover")
    assert_close(made, reference(exported.trained, x), FORWARD["float32"], target.name)


@pytest.mark.parametrize(("spec", "most"), [("digits_cnn", 2_500), ("resnet8", 150_000), ("../lenet5", 20_000)])
def test_the_memory_of_microcontrollers(spec: str, most: int, rng: np.random.Generator) -> None:
    """What docs/deployment.md says of the networks that benchmarks/devices.py runs: bytes of workspace."""
    network = check_file(SPECS / f"{spec}.net")
    exported = export_c(Trained(network, random_parameters(network, rng)), Wishes(TARGETS["cortex-m7"], small=True))
    assert exported.memory_bytes <= most


def python_module(trained: Trained, target: Target, batch: int, x: np.ndarray) -> np.ndarray:
    """What the module that Python runs says, planned for the same target and batch."""
    compiled = Compiled(trained.network, compiled_plan(plan_network(trained.network, target, batch)), 0)
    for name, array in trained.parameters.items():
        compiled.parameters[name] = array
    return predict(compiled, x)


@pytest.mark.parametrize("batch", [1, 19])
@pytest.mark.parametrize("target", [PORTABLE, GENERIC, native()], ids=lambda target: target.name)
@pytest.mark.parametrize("name", CASES)
def test_the_same_bits_as_in_python(
    name: str, target: Target, batch: int, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the same machine, target and batch plan: what is prepared at export is rounded as the module rounds it."""
    monkeypatch.delenv(build.EXTRA_FLAGS, raising=False)
    exported = export(CASES[name], Wishes(target, batch), tmp_path, rng)
    x = examples(exported, batch + 3, rng)
    wanted = python_module(exported.trained, target, batch, x)
    np.testing.assert_array_equal(exported.predict(x), wanted)


def test_offsets_are_subtracted(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that was fitted on features far from zero, such as years, predicts the same in C."""
    monkeypatch.delenv(build.EXTRA_FLAGS, raising=False)
    text = f"{CASES['tabular']}train {{\n  loss cross_entropy\n  optimizer sgd(0.1)\n  batch 5\n}}\n"
    model = dslc.loads(text)
    x = rng.standard_normal((40, 13)) + np.linspace(0, 1e6, 13)
    model.fit(x, rng.integers(0, 3, 40), epochs=1, progress="none")
    assert model.schema.offsets
    fitted = trained(model.network, model.copy_weights(), model.schema)
    given = x[:5].astype(np.float32)
    for target in (PORTABLE, native()):
        exported = write(fitted, Wishes(target, 3), tmp_path / target.name)
        assert_close(exported.predict(given), model.predict(given), FORWARD["float32"], target.name)
    np.testing.assert_array_equal(exported.predict(given), model.predict(given))


def test_two_inputs_and_two_outputs(tmp_path: Path, rng: np.random.Generator) -> None:
    """Arrays are named after them; names that differ by case alone stay apart."""
    text = """net Two {
  input a: 5
  input A: 4x4x2
  h = a -> dense(6) -> tanh
  g = A -> conv(3, 3x3) -> flatten
  output p = concat(h, g) -> dense(3) -> softmax
  output P = h -> dense(2) -> linear
}
"""
    exported = export(text, Wishes(PORTABLE, 4), tmp_path, rng)
    header = (exported.folder / "two.h").read_text()
    assert "const float *a_in, const float *A_in, int n, float *p_out, float *P_out" in header
    assert_outputs_agree(exported, rng)


def assert_outputs_agree(exported: Export, rng: np.random.Generator) -> None:
    """All outputs of a full mini-batch against the NumPy interpreter."""
    xs, _ = data(exported.trained.network, exported.wishes.batch, rng, "float32")
    parameters = {n: a.astype(np.float64) for n, a in exported.trained.parameters.items()}
    wanted = Interpreter(exported.trained.network, parameters).predict(xs)
    assert_all_close(exported.outputs(xs, exported.wishes.batch), wanted, FORWARD["float32"])


TIED = """net Tied {
  input x: 4x8
  code = x -> dense(3, name=d1)
  output y = code -> dense(8, tie=d1)
  output z = code -> flatten -> dense(5, name=d2) -> dense(12, tie=d2, bias=off)
}
"""


@pytest.mark.parametrize("target", [PORTABLE, native()], ids=lambda target: target.name)
def test_weights_that_are_turned(target: Target, tmp_path: Path, rng: np.random.Generator) -> None:
    """Of a layer over steps and one over numbers: as NumPy, and for this machine the bits of Python."""
    exported = export(TIED, Wishes(target, 3), tmp_path, rng)
    assert_outputs_agree(exported, rng)
    if target is PORTABLE:
        return
    model = Compiled(exported.trained.network, compiled_plan(plan_network(exported.trained.network, target)), 0)
    for name, array in exported.trained.parameters.items():
        model.parameters[name][...] = array
    x = examples(exported, 3, rng)
    made = exported.outputs({"x": x}, 3)
    assert all(np.array_equal(found, made[name]) for name, found in predict(model, x).items())


def test_every_preparation_is_known() -> None:
    """What a prediction may compute from parameters alone, NumPy has to compute for an export."""
    mixed = "train {\n  loss y: mse\n  loss z: mse\n  optimizer sgd(0.1)\n  precision mixed\n}\n"
    texts = [*CASES.values(), TIED, TIED + mixed, *map(example_spec, EXAMPLES)]
    kinds = {
        kernel.operation.kind
        for text in texts
        for target in (PORTABLE, native())
        for kernel in plan_prediction(check_text(text), target, 1).prepack
    }
    assert "turn" in kinds and kinds <= PREPARATIONS.keys()


EXAMPLES = [example for layer in registry.every(dslc.layers, Layer).values() for example in layer.examples]


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.text)
def test_every_layer(example: Example, tmp_path: Path, rng: np.random.Generator) -> None:
    """Each example of each layer compiles without a warning and agrees."""
    text = example_spec(example).partition("train {")[0]
    assert_outputs_agree(export(text, Wishes(native(), 3, embed=True), tmp_path, rng), rng)


@pytest.mark.parametrize("target", [PORTABLE, native()], ids=lambda target: target.name)
def test_double_precision(target: Target, tmp_path: Path, rng: np.random.Generator) -> None:
    for name in ("tabular", "branches"):
        network = check_text(CASES[name], dtype="float64")
        exported = write(Trained(network, random_parameters(network, rng)), Wishes(target, 2), tmp_path / name)
        x = examples(exported, 3, rng)
        assert_close(exported.predict(x, "-O1"), reference(exported.trained, x), FORWARD["float64"], name)


def test_a_net_called_main(tmp_path: Path, rng: np.random.Generator) -> None:
    """Its C and the example's have two names."""
    exported = export(DIGITS.replace("Digits", "Main"), Wishes(PORTABLE), tmp_path, rng)
    assert {path.name for path in tmp_path.iterdir()} == {"main.h", "main.c", "main.weights", "example.c", "README.md"}
    assert "main_predict" in exported.source.read_text() and "main.c -lm" in (tmp_path / "README.md").read_text()


def test_class_names(tmp_path: Path, rng: np.random.Generator) -> None:
    names = ('plain "quoted" \\', "größer", "??/ %s", *map(str, range(7)))
    network = check_text(DIGITS)
    known = Trained(network, random_parameters(network, rng), {"output": names})
    library = write(known, Wishes(GENERIC), tmp_path).library()
    library.digits_class_name.restype = ctypes.c_char_p
    assert [library.digits_class_name(i).decode() for i in range(10)] == list(names)
    assert library.digits_class_name(10) is library.digits_class_name(-1) is None


# ------------------------------------------------------------------------------------------------ what it is


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """A network of two examples a call, with its weights in a file."""
    rng = np.random.default_rng(1)
    return export(DIGITS, Wishes(GENERIC, 2, embed=False), tmp_path_factory.mktemp("digits"), rng)


CANDIDATES = (
    ("g++", "-x", "c++", "-std=c++20", "-fsyntax-only"),
    ("clang", "-std=c99", "-fsyntax-only"),
    ("clang", "-x", "c++", "-std=c++20", "-fsyntax-only"),
    (sys.executable, "-m", "ziglang", "cc", "-std=c99", "-c"),
)
OTHERS = [c for c in CANDIDATES if shutil.which(c[0]) and ("ziglang" not in c or importlib.util.find_spec("ziglang"))]
"""Compilers besides gcc, in which all other tests are."""


@pytest.mark.parametrize("compiler", OTHERS, ids=lambda words: " ".join(words[-4:]))
@pytest.mark.parametrize("target", MACHINES, ids=lambda target: target.name)
@pytest.mark.parametrize("name", CASES)
def test_is_clean_to_other_compilers(
    name: str, target: Target, compiler: tuple[str, ...], tmp_path: Path, rng: np.random.Generator
) -> None:
    exported = export(CASES[name], Wishes(target, 1 if target is PORTABLE else 3), tmp_path, rng)
    output = ("-o", str(tmp_path / "object.o")) if "-c" in compiler else ()
    run_compiler(*compiler, *Compiler(compiler, "").spelled(target), *STRICT, *output, str(exported.source))


@pytest.mark.skipif(shutil.which("clang") is None, reason="not installed: clang")
@pytest.mark.parametrize("target", [PORTABLE, native()], ids=lambda target: target.name)
@pytest.mark.parametrize("name", CASES)
def test_predicts_by_clang(name: str, target: Target, tmp_path: Path, rng: np.random.Generator) -> None:
    exported = export(CASES[name], Wishes(target, 3), tmp_path, rng)
    x = examples(exported, 5, rng)
    assert_close(
        exported.predict(x, "-O1", host=Host("clang")), reference(exported.trained, x), FORWARD["float32"], name
    )


def test_a_header_for_any_c_plus_plus(digits: Export) -> None:
    source = digits.folder / "main.cpp"
    source.write_text('#include "digits.h"\nint main() { return digits_memory_size(1, 0) == 0; }\n')
    network = digits.compile(digits.folder / "object.o", "-c")
    program = digits.folder / "cpp"
    run_compiler("g++", "-std=c++11", *STRICT, str(source), str(network), "-o", str(program))
    run_compiler(str(program))


def test_any_compiler_of_c99(tmp_path: Path, rng: np.random.Generator) -> None:
    """Plain C uses nothing that only gcc and clang know."""
    exported = export(DIGITS, Wishes(PORTABLE), tmp_path, rng)
    code = re.sub(r"#ifdef __GNUC__.*?#else(.*?)#endif", r"\1", exported.source.read_text(), flags=re.DOTALL)
    code = re.sub(r"#if defined\(__(?:clang|SSE)__\).*?#else(.*?)#endif", r"\1", code, flags=re.DOTALL)
    assert not re.findall(r"\b__(?!restrict|cplusplus)\w+", code)


def test_uses_only_string_and_math_functions(tmp_path: Path, rng: np.random.Generator) -> None:
    """No allocation, no clock, no threads; every symbol begins with the network's name, and no variable can change."""
    for name, text in CASES.items():
        exported = export(text, Wishes(GENERIC, 2), tmp_path / name, rng)
        includes = set(re.findall(r"#include (\S+)", exported.source.read_text()))
        assert includes == {f'"{exported.prefix}.h"', "<math.h>", "<string.h>"}
        symbols = symbols_of(exported.compile(exported.folder / "object.o", "-c"))
        wanted = {name for kind, name in symbols if kind == "U"}
        assert wanted <= {"memcpy", "memset", "memcmp", "sqrtf", "fabsf", "_GLOBAL_OFFSET_TABLE_"}, wanted
        assert all(name.startswith(f"{exported.prefix}_") for kind, name in symbols if kind in "TRDB")
        assert not [name for kind, name in symbols if kind in "dDbBcC"], "a variable that can change"


def symbols_of(binary: Path) -> list[tuple[str, str]]:
    """Kind and name, as nm prints them."""
    done = subprocess.run(["nm", str(binary)], capture_output=True, text=True, check=True)
    return [(line.split()[-2], line.split()[-1]) for line in done.stdout.splitlines()]


def test_two_networks_in_one_program(digits: Export, tmp_path: Path, rng: np.random.Generator) -> None:
    other = export(CASES["tabular"], Wishes(GENERIC), tmp_path, rng)
    objects = [e.compile(tmp_path / f"{e.prefix}.o", "-c") for e in (digits, other)]
    main = tmp_path / "two.c"
    main.write_text(
        f'#include "{digits.folder}/digits.h"\n#include "tabular.h"\n'
        "int main(void) { return !digits_memory_size(1, 0) || !tabular_memory_size(1, 0); }\n"
    )
    run_compiler("gcc", "-std=c99", *STRICT, str(main), *map(str, objects), "-o", str(tmp_path / "two"))
    run_compiler(str(tmp_path / "two"))


@pytest.mark.sanitizers
@pytest.mark.parametrize("batch", [1, 19])
@pytest.mark.parametrize("target", [PORTABLE, GENERIC, native()], ids=lambda target: target.name)
@pytest.mark.parametrize("name", CASES)
def test_touches_nothing_else(name: str, target: Target, batch: int, tmp_path: Path, rng: np.random.Generator) -> None:
    """On memory to the byte, watched by the address and undefined behavior sanitizers."""
    exported = export(CASES[name], Wishes(target, batch, embed=False), tmp_path, rng)
    x = examples(exported, batch + 2, rng)
    watched = ("-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    assert_close(exported.predict(x, *watched), reference(exported.trained, x), FORWARD["float32"], name)


def test_the_example_as_the_readme_says(tmp_path: Path, rng: np.random.Generator) -> None:
    """The commands in README.md, as they stand there, print what NumPy predicts: with the weights in the C and in a
    file."""
    for embed in (False, True):
        exported = export(DIGITS, Wishes(GENERIC, embed=embed), tmp_path / str(embed), rng)
        x = examples(exported, 3, rng)
        (exported.folder / "examples.bin").write_bytes(x.tobytes())
        readme = (exported.folder / "README.md").read_text()
        commands = re.search(r"```sh\n(.*?)```", readme, re.DOTALL)
        assert commands is not None
        done = subprocess.run(
            ["sh", "-e", "-c", commands[1]], cwd=exported.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 and not done.stderr, done.stderr
        printed = np.array([line.split() for line in done.stdout.splitlines()], np.float64)
        assert_close(printed, reference(exported.trained, x), FORWARD["float32"], "main.c")
        run_compiler("gcc", "-std=c99", *STRICT, "-fsyntax-only", str(exported.folder / "main.c"))
