# Everything runs in an environment that the first target makes; nothing else needs to be installed than Python 3.11, make
# and a C compiler.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
BENCH  ?= .venv-bench
MINUTES ?= 60
SEED   ?= $(shell date +%s)

.PHONY: demo test test-all fuzz fuzz-files fuzz-specs lint format parity devices bench clean

demo: $(VENV)/installed  ## check, compile and train LeNet-5 on the digits that ship with the package
	$(BIN)/dslc check specs/lenet5.net
	$(BIN)/dslc compile specs/lenet5.net
	$(BIN)/dslc train specs/lenet5.net --data mnist

test: $(VENV)/installed  ## one case of every test, in about three minutes on two cores
	$(BIN)/python -m pytest -n auto --quick

test-all: $(VENV)/installed  ## all tests; those against PyTorch run where it is installed
	$(BIN)/python -m pytest -n auto

fuzz: $(VENV)/installed  ## random networks against NumPy, for MINUTES from network number SEED on; what fails is kept
	$(BIN)/python tests/hostile_specs.py --minutes 1 --seed $(SEED)
	$(BIN)/python tests/fuzz.py --minutes $(MINUTES) --seed $(SEED)

fuzz-files: $(VENV)/installed  ## damaged files of all kinds, for MINUTES from file number SEED on: read, or refused with a DataError
	$(BIN)/python tests/fuzz_files.py --minutes $(MINUTES) --seed $(SEED)

fuzz-specs: $(VENV)/installed  ## broken specs, for MINUTES from number SEED on: accepted, or refused with located errors
	$(BIN)/python tests/hostile_specs.py --minutes $(MINUTES) --seed $(SEED)

lint: $(VENV)/installed  ## style, spelling, types, and which part may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	rm -rf build/package && mkdir -p build/package
	cp -r dslc build/package/dslc && cp -r runtime build/package/dslc/runtime
	cd build/package && PYTHONPATH=. $(abspath $(BIN))/mypy --config-file ../../pyproject.toml
	cd build/package && PYTHONPATH=. $(abspath $(BIN))/lint-imports --no-logo --no-cache ../../.importlinter

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

parity: $(VENV)/installed  ## the comparison with PyTorch, which this installs
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/python -m pytest -n auto -m torch

devices: $(VENV)/installed  ## exported C on Arm: under qemu-user, and bare metal on emulated microcontrollers; installs what that needs
	sudo apt-get install --yes gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm
	DSLC_REQUIRE_TARGETS=1 $(BIN)/python -m pytest tests/test_export_targets.py

bench: $(BENCH)/installed  ## how fast it is beside PyTorch, JAX and ONNX Runtime, into docs/; takes about two hours
	$(BENCH)/bin/python benchmarks/run.py --write $(BENCHFLAGS)

$(BENCH)/installed: pyproject.toml benchmarks/requirements.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install --quiet --requirement benchmarks/requirements.txt --editable .
	touch $@

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) $(BENCH) build dist *.egg-info
