"""Exported networks beside emx-onnx-cgen, ONNX Runtime, OpenVINO and LiteRT, on one example.

The time of a prediction on this machine, in turns, and flash and RAM on a Cortex-M7. Each rival is optional:

    pip install emx-onnx-cgen==1.4 onnxruntime openvino ai-edge-litert
    python benchmarks/deployment_rivals.py
    python benchmarks/deployment_rivals.py --no-time                  flash and RAM alone, which need arm-none-eabi-gcc

All predict what the network predicts, which is checked first.
"""

from __future__ import annotations

import argparse
import ctypes
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from devices import SPECS, TARGET
from dslc.compiler import check_file
from dslc.export.companions import compile_flags
from dslc.export.export import export_c
from dslc.export.network import Trained, Wishes
from dslc.export.onnx.model import export_onnx
from dslc.export.report import deepest
from dslc.target import Target, native

Predict = Callable[[], np.ndarray]
EMX = ("--large-weight-threshold", "0", "--large-temp-threshold", "0", "--restrict-arrays")


class Case:
    """A network with random parameters, an example, and its files in a folder: `NAME.onnx` for a batch of one."""

    def __init__(self, spec: Path, folder: Path) -> None:
        network = check_file(spec)
        random = np.random.default_rng(0)
        numbers = {p.name: p.init.sample(random, p.shape, p.fan_in, p.fan_out) for p in network.parameters}
        self.trained = Trained(network, {name: array.astype(np.float32) for name, array in numbers.items()})
        self.folder, self.name = folder, self.trained.prefix
        self.x = random.standard_normal((1, *network.inputs[0].shape)).astype(np.float32)
        self.out = np.zeros((1, *network.heads[0].value.shape), np.float32)
        self.onnx = folder / f"{self.name}.onnx"
        self.onnx.write_bytes(_of_one(export_onnx(self.trained, channels_first=True)))

    @property
    def turned(self) -> np.ndarray:
        """The example with its channels first."""
        return np.ascontiguousarray(np.moveaxis(self.x, -1, 1))

    def written(self, target: Target, small: bool) -> Path:
        """Our C for a target, with the weights in it."""
        exported = export_c(self.trained, Wishes(target, small=small, embed=True))
        for name, contents in exported.files.items():
            (self.folder / name).write_bytes(contents)
        return self.folder / f"{self.name}.c"

    def generated(self) -> Path:
        """The C of emx-onnx-cgen."""
        made = self.folder / f"emx_{self.name}.c"
        program = shutil.which("emx-onnx-cgen") or str(Path(sys.executable).with_name("emx-onnx-cgen"))
        _run(self.folder, program, "compile", self.onnx.name, made.name, *EMX)
        return made


def _of_one(model: bytes) -> bytes:
    """The model for a batch of one: generators then know every size."""
    import onnx

    found = onnx.load_from_string(model)
    for value in (*found.graph.input, *found.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    return bytes(found.SerializeToString())


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return done.stdout


# ------------------------------------------------------------------------------------------- time


def _library(case: Case, source: Path, *flags: str) -> ctypes.CDLL:
    made = source.with_suffix(".so")
    _run(case.folder, "gcc", *flags, "-shared", "-fPIC", source.name, "-lm", "-o", made.name)
    return ctypes.CDLL(str(made))


def _address(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def ours(case: Case) -> Predict:
    """Exported C for this machine."""
    library = _library(case, case.written(native(), False), *compile_flags(native(), False))
    size = getattr(library, f"{case.name}_memory_size")
    size.restype = ctypes.c_size_t
    room, net = np.zeros(size(1, 0) + 64, np.uint8), ctypes.create_string_buffer(64)
    start = ctypes.c_void_p(-(-room.ctypes.data // 64) * 64)
    error = getattr(library, f"{case.name}_init")(net, start, ctypes.c_size_t(size(1, 0)), 1, 0, ctypes.c_uint64(0))
    assert error == 0, error
    call, given = getattr(library, f"{case.name}_predict"), (net, _address(case.x), 1, _address(case.out), room)

    def predict() -> np.ndarray:
        call(*given[:4])
        return case.out

    return predict


def emx(case: Case) -> Predict:
    """emx-onnx-cgen, compiled with the same compiler for this machine; it works on the stack."""
    library = _library(case, case.generated(), "-O3", "-march=native", "-ffast-math")
    x, out, call = case.turned, case.out.copy(), library.model

    def predict() -> np.ndarray:
        call(_address(x), _address(out))
        return out

    return predict


def onnx_runtime(case: Case) -> Predict:
    """ONNX Runtime on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(case.onnx), options, ["CPUExecutionProvider"])
    given = {session.get_inputs()[0].name: case.turned}
    return lambda: np.asarray(session.run(None, given)[0])


def openvino(case: Case) -> Predict:
    """OpenVINO on one thread, in single precision."""
    from openvino import Core

    settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = Core().compile_model(str(case.onnx), "CPU", settings).create_infer_request()
    x = case.turned
    return lambda: np.asarray(request.infer([x])[0])


def lite_rt(case: Case) -> Predict:
    """LiteRT on one thread, with its delegate XNNPACK, which has the channels last."""
    from ai_edge_litert.interpreter import Interpreter

    from tflite import tflite

    interpreter: Any = Interpreter(model_content=tflite(case.trained), num_threads=1)
    interpreter.allocate_tensors()
    given, made = (found[0]["index"] for found in (interpreter.get_input_details(), interpreter.get_output_details()))

    def predict() -> np.ndarray:
        interpreter.set_tensor(given, case.x)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(made))

    return predict


def times(case: Case, contenders: dict[str, Callable[[Case], Predict]], rounds: int, seconds: float) -> dict[str, str]:
    """Microseconds of a prediction, the median of blocks in turns; or why a contender does not run."""
    calls: dict[str, Predict] = {}
    told: dict[str, str] = {}
    wanted = ours(case)().copy()
    for name, make in contenders.items():
        try:
            calls[name] = make(case)
            differs = float(np.abs(calls[name]().ravel() - wanted.ravel()).max())
        except (ImportError, OSError, ValueError, RuntimeError) as problem:
            told[name] = f"absent ({str(problem).splitlines()[0][:60]})"
            calls.pop(name, None)
            continue
        assert differs < 1e-4, f"{name} differs by {differs} on {case.name}"
    blocks: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            blocks[name].append(_block(call, seconds))
    return {**{name: f"{1e6 * median(found):.3g}" for name, found in blocks.items()}, **told}


def _block(call: Predict, seconds: float) -> float:
    """Seconds of a call, over calls for so long."""
    begun, count = time.perf_counter(), 0
    while (took := time.perf_counter() - begun) < seconds:
        call()
        count += 1
    return took / count


# ------------------------------------------------------------------------------------------- flash and RAM


def sizes(folder: Path, source: Path, small: bool, start: str) -> tuple[int, int, int, int | None]:
    """Bytes of text, of constants, of variables, and of stack below a function, of an object for the Cortex-M7."""
    flags = (*compile_flags(TARGET, small), "-w", "-fcallgraph-info=su", "-fno-asynchronous-unwind-tables")
    _run(folder, TARGET.compiler, *flags, "-c", source.name, "-o", f"{source.stem}.o")
    listed = _run(folder, TARGET.compiler.removesuffix("gcc") + "size", "-A", f"{source.stem}.o")
    found = re.findall(r"^\.(text|rodata|data|bss)\S*\s+(\d+)", listed, re.MULTILINE)
    sums = {kind: sum(int(n) for k, n in found if k == kind) for kind in ("text", "rodata", "data", "bss")}
    stack = deepest((folder / f"{source.stem}.ci").read_text(), start)
    return sums["text"], sums["rodata"], sums["data"] + sums["bss"], stack


def footprints(case: Case) -> None:
    """Rows of Markdown: ours with the memory that the caller gives, emx with its stack and variables."""
    for small in (True, False):
        optimized = "size" if small else "speed"
        memory = export_c(case.trained, Wishes(TARGET, small=small, embed=True)).memory_bytes
        text, constants, variables, stack = sizes(
            case.folder, case.written(TARGET, small), small, f"{case.name}_predict"
        )
        _row(case, "dslc", optimized, text, constants, memory + variables, stack)
        try:
            text, constants, variables, stack = sizes(case.folder, case.generated(), small, "model")
            _row(case, "emx-onnx-cgen", optimized, text, constants, variables, stack)
        except OSError as problem:
            print(f"| {case.trained.network.name} | emx-onnx-cgen | {optimized} | absent: {str(problem)[:60]} |")


def _row(case: Case, who: str, optimized: str, text: int, constants: int, ram: int, stack: int | None) -> None:
    cells = (case.trained.network.name, who, optimized, f"{text:,}", f"{constants:,}", f"{ram:,}",
             "unknown" if stack is None else f"{stack:,}")  # fmt: skip
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-time", dest="time", action="store_false", help="flash and RAM alone")
    parser.add_argument("--rounds", type=int, default=15, help="blocks of each contender (15)")
    parser.add_argument("--seconds", type=float, default=0.2, help="length of a block (0.2)")
    options = parser.parse_args()
    contenders = {
        "dslc": ours, "emx-onnx-cgen": emx, "ONNX Runtime": onnx_runtime, "OpenVINO": openvino, "LiteRT": lite_rt,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        cases = [Case(spec, Path(name)) for spec in SPECS]
        if options.time:
            print("| one example, microseconds |", " | ".join(contenders), "|")
            print("| --- |", " | ".join("---" for _ in contenders), "|")
            for case in cases:
                found = times(case, contenders, options.rounds, options.seconds)
                print(f"| {case.trained.network.name} |", " | ".join(found[c] for c in contenders), "|", flush=True)
            print()
        print("| Cortex-M7 | by | optimized for | text | constants | RAM | stack |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for case in cases:
            footprints(case)


if __name__ == "__main__":
    main()
