# Everything runs in an environment that the first target makes; nothing else needs to be installed than Python 3.11, make
# and a C compiler.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
BENCH  ?= .venv-bench
RELEASE ?= .venv-release
MINUTES ?= 60
SEED   ?= $(shell date +%s)

.PHONY: demo test test-rest test-all soak kills reproducible mutants fuzz fuzz-sanitized fuzz-files fuzz-specs lint format docs parity devices bench pins audit wheel sbom clean

demo: $(VENV)/installed  ## check, compile and train LeNet-5 on the digits that ship with the package
	$(BIN)/dslc check specs/lenet5.net
	$(BIN)/dslc compile specs/lenet5.net
	$(BIN)/dslc train specs/lenet5.net --data mnist

# Tests run side by side, on all cores: the threads of NumPy's BLAS would wait for each other.
test test-rest test-all parity: export OPENBLAS_NUM_THREADS = 1

test: $(VENV)/installed  ## one case of every test, in about four minutes on two cores
	$(BIN)/python -m pytest -n auto --dist worksteal --quick

test-rest: $(VENV)/installed  ## the tests that `make test` leaves out
	$(BIN)/python -m pytest -n auto --dist worksteal --rest

test-all: $(VENV)/installed  ## all tests; those against PyTorch run where it is installed
	$(BIN)/python -m pytest -n auto --dist worksteal

fuzz: $(VENV)/installed  ## broken specs and weights, then random networks against NumPy, for MINUTES from number SEED on; what fails is kept
	$(BIN)/python tests/hostile_specs.py --minutes 1 --seed $(SEED)
	$(BIN)/python tests/fuzz_weights.py --minutes 1 --seed $(SEED)
	$(BIN)/python tests/fuzz.py --minutes $(MINUTES) --seed $(SEED)

fuzz-sanitized: $(VENV)/installed  ## the same networks under the address, undefined and thread sanitizers, for MINUTES
	$(BIN)/python tests/fuzz_sanitized.py --minutes $(MINUTES) --seed $(SEED)

fuzz-files: $(VENV)/installed  ## damaged files of all kinds, for MINUTES from file number SEED on: read, or refused with a DataError
	$(BIN)/python tests/fuzz_files.py --minutes $(MINUTES) --seed $(SEED)

fuzz-specs: $(VENV)/installed  ## broken specs, for MINUTES from number SEED on: accepted, or refused with located errors
	$(BIN)/python tests/hostile_specs.py --minutes $(MINUTES) --seed $(SEED)

kills: $(VENV)/installed  ## a training killed, or its disk full, at every system call that writes, and killed at 200 moments
	$(BIN)/python tests/kills.py --moments 200

reproducible: $(VENV)/installed  ## every spec that ships: the same bits with 1, 2, 3 and 8 threads, in the loop and step by step
	$(BIN)/python tests/reproducible.py --threads 8

mutants: $(VENV)/installed  ## planted bugs in kernels, layers, passes and the C around them: which are noticed; takes hours
	$(BIN)/python tests/mutations.py --count 160 --seed 11

soak: $(VENV)/installed  ## MINUTES of training and 5000 models, made and dropped: memory and speed stay flat
	$(BIN)/python tests/soak.py --minutes $(MINUTES) --models 5000

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

docs: $(VENV)/installed  ## the documentation site, into build/site
	$(BIN)/pip install --quiet --requirement docs/requirements.txt
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

parity: $(VENV)/installed  ## the comparison with PyTorch, which this installs
	$(BIN)/pip install --quiet torch==2.13.0 torchvision==0.28.0
	$(BIN)/python -m pytest -n auto --dist worksteal -m torch

devices: $(VENV)/installed  ## exported networks on other machines, emulated, and in a browser; installs what that needs
	sudo apt-get install --yes gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross gcc-riscv64-linux-gnu libc6-dev-riscv64-cross qemu-user gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm clang lld wasi-libc libclang-rt-14-dev-wasm32 libclang-rt-14-dev nodejs chromium
	DSLC_REQUIRE_TARGETS=1 $(BIN)/python -m pytest tests/test_export_targets.py tests/test_export_page.py tests/test_compilers.py

bench: $(BENCH)/installed  ## how fast it is beside PyTorch, JAX and ONNX Runtime, into docs/; takes about two hours
	$(BENCH)/bin/python benchmarks/run.py --write $(BENCHFLAGS)

$(BENCH)/installed: pyproject.toml benchmarks/requirements.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install --quiet --requirement benchmarks/requirements.txt --editable .
	touch $@

# The pinned packages, each file by its hash; then the project itself, which finds all that it needs.
$(VENV)/installed: pyproject.toml .ci/pins.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes --requirement .ci/pins.txt
	$(BIN)/pip install --quiet --no-build-isolation --editable ".[dev]"
	touch $@

$(RELEASE)/installed: .ci/release.txt
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/pip install --quiet --require-hashes --requirement .ci/release.txt
	touch $@

pins: $(RELEASE)/installed  ## the newest versions of all packages into .ci/*.txt, with hashes
	$(RELEASE)/bin/python .ci/pins.py

audit: $(RELEASE)/installed  ## known weaknesses of the pinned packages
	$(RELEASE)/bin/python .ci/audit.py

wheel: $(VENV)/installed  ## dist/*.whl: the same bytes for the same commit
	.ci/wheel $(BIN)/python dist

sbom: wheel $(RELEASE)/installed  ## dist/sbom.json: what a fresh installation of the wheel consists of, in CycloneDX
	rm -rf build/sbom && $(PYTHON) -m venv build/sbom
	build/sbom/bin/pip install --quiet dist/*.whl
	$(RELEASE)/bin/cyclonedx-py environment build/sbom/bin/python --pyproject pyproject.toml --mc-type library --output-reproducible -o dist/sbom.json

clean:
	rm -rf $(VENV) $(BENCH) $(RELEASE) build dist *.egg-info
