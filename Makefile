# make help lists the targets.  On a fresh machine `make demo` and `make test` install
# what they need: Debian packages when run as root (else they say which are missing),
# Python packages in .venv.
.NOTPARALLEL:
.PHONY: all build setup demo test test-unit test-asan test-fuzz test-python \
        test-models asan fuzz bench bench-depth verify conformance docs models-doc format lint \
        clean help

PYTHON ?= python3
FUZZ_SECONDS ?= 60
VENV := .venv
RUN := $(VENV)/bin/python
STAMPS := build/stamps

all: build

build: build/build.ninja ## build the program build/oxide_xla and the libraries
	@cmake --build --preset release

setup: $(STAMPS)/test-tools $(VENV)/test.stamp ## install what the tests need

demo: build $(VENV)/demo.stamp ## compile a small model and run it in JAX
	@$(RUN) examples/demo.py

test: test-unit test-asan test-fuzz test-python ## run every test

test-unit: debug ## C unit tests
	@ctest --preset debug --parallel 2

test-asan: asan ## C unit tests under AddressSanitizer and UBSan
	@ctest --preset asan --parallel 2

test-fuzz: fuzz ## libFuzzer targets for FUZZ_SECONDS (60)
	@tools/run_fuzz.sh $(FUZZ_SECONDS)

test-python: build debug $(VENV)/test.stamp ## Python tests
	@$(RUN) -m pytest -n 2

test-models: build $(VENV)/test.stamp ## the whole model zoo: outputs, gradients, bfloat16
	@$(RUN) -m pytest -n 2 -m "models or not models" tests/models/test_zoo.py \
		tests/models/test_gradients.py tests/models/test_transforms.py \
		tests/models/test_bfloat16.py

.PHONY: debug
debug asan fuzz: %: build/%/build.ninja
	@cmake --build --preset $@

asan: ## build with AddressSanitizer and UBSan in build/asan
fuzz: ## build the libFuzzer targets in build/fuzz

bench: build $(VENV)/test.stamp ## measure compile time, memory and weights
	@$(RUN) bench/bench.py

bench-depth: build $(VENV)/test.stamp ## measure tracing and XLA by number of layers
	@$(RUN) bench/depth.py

verify: build $(VENV)/test.stamp ## compare five PyTorch models with their JAX code
	@PYTHONPATH=tests:python $(RUN) -m models.verify

conformance: build $(VENV)/test.stamp ## run ONNX's backend suite, write docs/conformance.md
	@PYTHONPATH=tests:python $(RUN) -m conformance

docs: build ## print docs/operators.md and docs/errors.md again
	@build/oxide_xla ops --format md > docs/operators.md
	@build/oxide_xla errors > docs/errors.md

models-doc: build $(VENV)/test.stamp ## print docs/models.md again
	@PYTHONPATH=tests:python:bridge $(RUN) -m models.document > build/models.md
	@mv build/models.md docs/models.md

format: $(STAMPS)/test-tools $(VENV)/test.stamp ## format C and Python
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i
	@$(RUN) -m ruff format --quiet
	@$(RUN) -m ruff check --fix

lint: build $(STAMPS)/test-tools $(VENV)/test.stamp ## check layers, sizes and formatting
	@$(RUN) -m pytest -q tests/test_layers.py

clean: ## remove what was built; .venv stays
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

# Ninja configures again by itself when CMakeLists.txt changes, not for the presets.
build/build.ninja: CMakePresets.json | $(STAMPS)/build-tools
	@cmake --preset release >/dev/null
	@touch $@

build/%/build.ninja: CMakePresets.json | $(STAMPS)/test-tools
	@cmake --preset $* >/dev/null
	@touch $@

# Stamps make the second run fast.  Those of .venv lie in it, so that they go with it.
$(STAMPS)/%-tools: tools/setup.sh
	@tools/setup.sh $*
	@mkdir -p $(@D) && touch $@

$(VENV)/demo.stamp: requirements/demo.txt
	@tools/venv.sh $(PYTHON) $(VENV) demo.txt
	@touch $@

$(VENV)/test.stamp: $(wildcard requirements/*.txt)
	@tools/venv.sh $(PYTHON) $(VENV) demo.txt test.txt torchvision.txt
	@touch $(VENV)/demo.stamp $@
