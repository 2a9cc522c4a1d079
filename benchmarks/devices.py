"""What networks take on a Cortex-M7: instructions of one prediction under an emulator, memory, code. Needs
arm-none-eabi-gcc, newlib and qemu-system-arm: `python benchmarks/devices.py`."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np

from dslc.compiler import check_file
from dslc.export.companions import LEFT_OUT, compile_flags
from dslc.export.export import Exported, export_c
from dslc.export.network import Trained, Wishes
from dslc.export.report import PREDICTS, Footprint, footprint
from dslc.target import TARGETS

HERE = Path(__file__).parent
START = HERE.parent / "tests"
SPECS = (*(HERE / "specs" / "devices" / f"{name}.net" for name in ("digits_mlp", "digits_cnn", "resnet8")),
         HERE / "specs" / "lenet5.net")  # fmt: skip
TARGET, BOARD = TARGETS["cortex-m7"], "mps2-an500"
FLASH, RAM = 4 << 20, 4 << 20


def main() -> None:
    """A row for each network and way to optimize, as a table of Markdown."""
    print("| network | optimized for | instructions | workspace | stack | text | weights |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for spec in SPECS:
        network = check_file(spec)
        random = np.random.default_rng(0)
        parameters = {p.name: p.init.sample(random, p.shape, p.fan_in, p.fan_out) for p in network.parameters}
        trained = Trained(network, parameters)
        for small in (True, False):
            exported = export_c(trained, Wishes(TARGET, small=small, embed=True))
            code, header = (exported.files[f"{trained.prefix}.{kind}"].decode() for kind in "ch")
            found = footprint(code, header, trained.prefix, TARGET, small, PREDICTS)
            assert found is not None, f"{TARGET.compiler} is not installed"
            print(_row(trained, small, exported, found), flush=True)


def _row(trained: Trained, small: bool, exported: Exported, found: Footprint) -> str:
    cells = (trained.network.name, "size" if small else "speed", instructions(trained, exported, small),
             exported.memory_bytes, found.stack, found.text, exported.constant_bytes)  # fmt: skip
    return "| " + " | ".join(cell if isinstance(cell, str) else f"{cell:,}" for cell in cells) + " |"


def instructions(trained: Trained, exported: Exported, small: bool) -> int:
    """Those of one prediction, counted by the emulator."""
    prefix = trained.prefix
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, contents in exported.files.items():
            (folder / file).write_bytes(contents)
        flags = compile_flags(TARGET, small)
        names = (f"-DNET={prefix}", f"-DUPPER={prefix.upper()}", f"-DMEMORY={exported.memory_bytes}u")
        sizes = f"-Wl,--defsym=FLASH_BYTES={FLASH},--defsym=RAM_BYTES={RAM}"
        start = ("--specs=rdimon.specs", sizes, str(START / "cortex_m.c"), "-T", str(START / "cortex_m.ld"))
        _run(folder, TARGET.compiler, *flags, "-c", f"{prefix}.c")
        main = (str(HERE / "device.c"), "-std=gnu99", "-include", f"{prefix}.h", f"-I{folder}")
        _run(folder, TARGET.compiler, *flags, *names, *main, f"{prefix}.o", *start, LEFT_OUT, "-lm", "-o", "program")
        counts = ("-icount", "shift=0", "-semihosting-config", "enable=on,target=native")
        return int(_run(folder, "qemu-system-arm", "-M", BOARD, "-nographic", *counts, "-kernel", "program"))


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
    return done.stdout


if __name__ == "__main__":
    main()
