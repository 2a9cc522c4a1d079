"""Runs a program for WebAssembly in wasmtime: `run_wasm.py PROGRAM ARGUMENTS`. It sees this folder only."""

from __future__ import annotations

import sys

from wasmtime import Engine, ExitTrap, Linker, Module, Store, WasiConfig


def main() -> int:
    """The program's exit code; what it prints goes where ours goes."""
    store = Store(Engine())
    wasi = WasiConfig()
    wasi.argv = sys.argv[1:]
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    wasi.preopen_dir(".", ".")
    store.set_wasi(wasi)
    linker = Linker(store.engine)
    linker.define_wasi()
    start = linker.instantiate(store, Module.from_file(store.engine, sys.argv[1])).exports(store)["_start"]
    try:
        start(store)
    except ExitTrap as done:
        return int(done.code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
