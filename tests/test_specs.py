"""The networks in specs/: they check, their C compiles without a warning, and the numbers announced are true."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

import dslc
from dslc.cli.summary import summarize
from dslc.codegen.build import FLAGS, find_compiler
from dslc.codegen.emit import emit
from dslc.codegen.functions import Functions
from dslc.codegen.names import Names
from dslc.codegen.text import without_ones
from dslc.compiler import check_file, check_text, emit_network, plan_network
from dslc.plan import Plan
from dslc.planning.verifier import verify_plan
from dslc.proofs.verify import verify
from dslc.runtime.data.random import random_batch
from dslc.runtime.model import Model
from dslc.runtime.native.memory import Arena
from dslc.target import TARGETS, Target, native
from helpers import REPO, SPECS, WIDTHS

pytestmark = pytest.mark.optimized
GOLDEN = Path(__file__).parent / "golden"
UPDATE = bool(os.environ.get("DSLC_UPDATE_GOLDEN"))
LARGE = {"alexnet", "vgg16", "vgg19"}

specs = pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
distinct_specs = pytest.mark.parametrize("spec", [s for s in SPECS if s.stem != "vgg19"], ids=lambda path: path.stem)
"""VGG-19 is VGG-16 with more of the same layers: its C is that of VGG-16 once more."""


@cache
def plan_of(spec: Path, threads: int = 1) -> Plan:
    return plan_network(check_file(spec), threads=threads)


def test_there_are_specs() -> None:
    assert {"alexnet", "lenet5", "logistic_regression", "residual", "vgg16"} <= {spec.stem for spec in SPECS}


MACHINES = {(t.vector_bytes, t.registers): t for t in [*reversed(TARGETS.values()), native()]}
"""One of those for which plans are the same."""


@specs
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", MACHINES.values(), ids=lambda target: target.name)
def test_every_stage_holds(spec: Path, dtype: str, target: dslc.target.Target) -> None:
    """Nothing is read before it is written, no two live buffers overlap, on any machine."""
    network = check_file(spec, dtype=dtype)
    network.verify()
    plan = plan_network(network, target)
    plan.graph.verify()
    verify_plan(plan)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("alexnet", 62_378_344),
        ("vgg16", 138_357_544),
        ("vgg19", 143_667_240),
        ("lenet5", 61_706),
        ("logistic_regression", 785),
    ],
)
def test_parameter_counts(name: str, count: int) -> None:
    assert sum(p.elements for p in check_file(REPO / "specs" / f"{name}.net").parameters) == count


def test_running_averages_are_not_counted_as_trained() -> None:
    parameters = check_file(REPO / "specs" / "mlp_batchnorm.net").parameters
    assert sum(p.elements for p in parameters if p.trained) == 784 * 256 + 2 * 256 + 256 * 128 + 2 * 128 + 129 * 10
    assert sum(p.elements for p in parameters if not p.trained) == 2 * (256 + 128)


def test_vgg16_multiply_adds() -> None:
    """15.47 billion for an example, forward: by hand from the paper's table."""
    convs = [(224, 3, 64), (224, 64, 64), (112, 64, 128), (112, 128, 128), (56, 128, 256), (56, 256, 256),
             (56, 256, 256), (28, 256, 512), (28, 512, 512), (28, 512, 512), *[(14, 512, 512)] * 3]  # fmt: skip
    wanted = sum(size**2 * 9 * c * k for size, c, k in convs) + 25088 * 4096 + 4096 * 4096 + 4096 * 1000
    network = check_file(REPO / "specs" / "vgg16.net")
    assert sum(node.layer.multiply_adds(node.input_shapes) for node in network.nodes) == wanted
    assert round(wanted / 1e9, 2) == 15.47


@distinct_specs
def test_c_compiles_without_a_warning(spec: Path, tmp_path: Path) -> None:
    """For one thread; the next test has two."""
    compile_strictly(emit_network(check_file(spec)).code, list(native().flags), tmp_path)


@pytest.mark.slow
@distinct_specs
@pytest.mark.parametrize("target", [*WIDTHS, TARGETS["x86-64-v4"]], ids=lambda target: target.name)
def test_c_for_any_width_compiles(spec: Path, target: Target, tmp_path: Path) -> None:
    """In both precisions, for two threads. One of them, in turns, is compiled to the end, for the warnings that only
    the optimizer finds; the other is looked through."""
    if not compiles(target):
        pytest.skip("not with this compiler")
    whole = (SPECS.index(spec) + [*WIDTHS, TARGETS["x86-64-v4"]].index(target)) % 2
    for turn, dtype in enumerate(("float32", "float64")):
        code = emit_network(check_file(spec, dtype=dtype), target, threads=2).code
        compile_strictly(code, [*target.flags, *([] if turn == whole else ["-fsyntax-only"])], tmp_path)


def test_c_of_odd_nets_compiles(tmp_path: Path) -> None:
    """Nothing left to update, no memory of its own, no training."""
    train = "train {\n  loss mse\n  optimizer sgd(lr=0.1)\n}\n"
    for body, rest in (("dense(3, bias=off)", train), ("linear", ""), ("flatten", ""), ("dense(3) -> tanh", "")):
        network = check_text(f"net Odd {{\n  input x: 4\n  {body}\n}}\n{rest}")
        compile_strictly(emit_network(network).code, list(native().flags), tmp_path)


@cache
def compiles(target: Target) -> bool:
    """The compiler knows the target's flags."""
    empty = [*find_compiler().command, *target.flags, "-fsyntax-only", "-x", "c", os.devnull]
    return subprocess.run(empty, capture_output=True, check=False).returncode == 0


def compile_strictly(code: str, flags: list[str], folder: Path) -> None:
    assert "-std=gnu11" in FLAGS
    source = folder / "net.c"
    source.write_text(code)
    strict = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Wshadow", "-Werror", *flags]
    command = [*find_compiler().command, *strict, "-c", str(source), "-o", str(folder / "net.o")]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr


@pytest.mark.parametrize(("name", "threads"), [("logistic_regression", 1), ("lenet5", 2), ("residual", 1)])
def test_golden_c(name: str, threads: int) -> None:
    """The C is the one in tests/golden, letter by letter. DSLC_UPDATE_GOLDEN=1 writes it anew: read the diff."""
    code = emit_network(check_file(REPO / "specs" / f"{name}.net"), TARGETS["generic"], threads=threads).code
    golden = GOLDEN / f"{name}.c"
    if UPDATE:
        GOLDEN.mkdir(exist_ok=True)
        golden.write_text(code)
    assert code == golden.read_text()


@specs
def test_nothing_is_multiplied_by_one(spec: Path) -> None:
    """Also where a tensor has one channel or one element."""
    for line in emit(plan_of(spec)).code.splitlines():
        assert not re.search(r"[\w)\]] [*/] 1(?![\w.])|(?<![%/] )(?<![\w.])1 \* ", line), line


def test_leaving_out_ones_changes_no_value() -> None:
    """Python's // and % bind like C's / and %: each expression has its value before and after, and the ones go only
    where that is so."""
    values = {"a": 7, "b": 3, "f": lambda *numbers: sum(numbers)}
    for text, wanted in (
        ("a * 1 + b", "a + b"),
        ("(a * 1 * b) * 1", "(a * b)"),
        ("1 * b", "1 * b"),
        ("(1 * b + a)", "(b + a)"),
        ("a + 1 * b * 1", "a + b"),
        ("a - 1 * b", "a - b"),
        ("f(a, 1 * b)", "f(a, b)"),
        ("a % 1 * b", "a % 1 * b"),
        ("a / 1 * b", "a * b"),
        ("a / 1 % b", "a % b"),
        ("a * 10 + a * 1.5", "a * 10 + a * 1.5"),
        ("a * b / 1", "a * b"),
    ):
        assert without_ones(text) == wanted
        before, after = (eval(t.replace("/", "//"), {}, dict(values)) for t in (text, wanted))
        assert before == after
    assert without_ones("/* one\n * 1 layer */") == "/* one\n * 1 layer */"


@pytest.mark.parametrize("target", ["x86-64-v3", "x86-64-v4"])
def test_vgg16_is_not_too_long(target: str) -> None:
    """Layers of one shape share their functions."""
    code = emit_network(check_file(REPO / "specs" / "vgg16.net"), TARGETS[target]).code
    assert len(code.splitlines()) <= 6000


@specs
@pytest.mark.parametrize("target", WIDTHS, ids=lambda target: target.name)
def test_comments_lead_back_to_the_file(spec: Path, target: Target) -> None:
    """Every kernel's function says which line of the file it computes, and the shape of every array as it lies. What
    is summed over the whole network belongs to no line."""
    plan, lines = plan_network(check_file(spec), target), spec.read_text().splitlines()
    functions, code = Functions(plan, Names(plan), plan.steps), emit(plan).code
    for kernel in (k for step in plan.steps for k in step.kernels if not k.variant.is_alias):
        op, function = kernel.operation, functions.function(kernel)
        comment, *users, shapes = function.comment
        above = "\n * ".join(function.comment)
        assert f"/* {above} */\nstatic KERNEL void {function.name}(" in code
        if op.line:
            assert f"line {op.line}: " in " ".join([comment, *users])
        number, _, text = comment.removeprefix("line ").partition(": ")
        if number.isdigit():
            first = re.split(r" -> |\.| of | is ", text)[0]
            assert first in lines[int(number) - 1] or first in ("loss", "the gradient") or first[-1].isdigit(), comment
        arrays = re.findall(r"\*restrict (\w+)", " ".join(function.parameters))
        found = ", ".join(rf"{array} (\[(n|n / \d+|\d+)\])+" for array in arrays)
        assert re.fullmatch(f"{found}(, and others)?", shapes), shapes


@pytest.mark.parametrize("spec", [s for s in SPECS if s.stem not in LARGE], ids=lambda path: path.stem)
def test_agrees_with_numpy(spec: Path) -> None:
    """Outputs, gradients and ten steps of the compiled C against the interpreter; the large ones would take minutes."""
    for row in verify(Model(check_file(spec)), 5):
        assert row.ok, row


@specs
def test_the_same_c_every_time(spec: Path) -> None:
    assert emit_network(check_file(spec)).code == emit_network(check_file(spec)).code


@specs
@pytest.mark.parametrize("threads", [1, 2])
def test_memory_is_what_check_announces(spec: Path, threads: int) -> None:
    """The arena has exactly those bytes and the C says the same, every buffer that training knows lies in it, and
    prediction alone needs less."""
    plan = plan_of(spec, threads)
    trains = plan.graph.network.training is not None
    announced = summarize(plan.graph.network, plan).memory
    most = announced.training if trains else announced.prediction
    arena = Arena(plan, trains)
    assert arena.bytes == plan.arena_bytes(True) == arena.numbers.nbytes == most
    assert Arena(plan, training=False).bytes == plan.arena_bytes(False) == announced.prediction
    arena.add_gradients()
    assert arena.bytes == arena.numbers.nbytes == most + announced.requested_gradients
    sizes = f"for_training > 1 ? {arena.bytes}u : for_training ? {most}u : {announced.prediction}u;"
    assert f"return {sizes}" in emit(plan).code
    assert announced.threads == threads
    asked = {name for name, b in plan.kept.items() if b.offset >= plan.region("requested_gradients").offset}
    ends = [b.offset + b.elements for name, b in plan.kept.items() if name not in asked]
    ends += [b.offset + b.elements for step in plan.steps for b in step.workspace.values()]
    assert max(ends) * plan.itemsize <= most
    assert max(b.offset + b.elements for b in plan.kept.values()) * plan.itemsize <= arena.bytes
    train = plan.step("train")
    touched = {t.name for k in train.kernels for t in (*k.operation.reads, *k.operation.writes)} if train else set()
    assert not asked & touched, "training stores what only gradients() should"
    assert plan.arena_bytes(False) < plan.arena_bytes(True) or not trains


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["logistic_regression", "lenet5", "residual"])
def test_memory_of_a_model(name: str, threads: int) -> None:
    """What the model takes, what the plan says and what the compiled code says are one number."""
    model = Model(check_file(REPO / "specs" / f"{name}.net"), threads)
    size = model.library.function("memory_size")
    assert model.memory_bytes == model.plan.arena_bytes(True) == size(1) == model.compiled.arena.numbers.nbytes
    assert size(0) == model.plan.arena_bytes(False)
    model.gradients(*(next(iter(arrays.values())) for arrays in random_batch(model.network, 3, 0)))
    assert model.memory_bytes == size(2) == model.compiled.arena.numbers.nbytes > size(1)
    assert model.library.function("max_batch")() == model.batch == 64
