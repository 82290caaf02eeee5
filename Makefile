# make help lists the targets.  On a fresh machine `make demo` and `make test` install
# what they need: Debian packages when run as root (else they say which are missing),
# Python packages in .venv.
.NOTPARALLEL:
.PHONY: all build setup demo test test-builds test-unit test-asan test-fuzz test-python \
        test-wasm test-web test-models test-stablehlo test-cross wasm viewer web asan bench \
        bench-depth bench-run bench-others verify conformance docs docs-site models-doc \
        gallery wheel test-wheel pictures format lint clean help

# Python keeps what it has compiled: a process that imports JAX or PyTorch takes a third
# of the time, and the tests start some hundred.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
FUZZ_SECONDS ?= 15
VENV := .venv
RUN := $(VENV)/bin/python
STAMPS := build/stamps

all: build

build: build/build.ninja ## build the program build/oxide_xla and the libraries
	@cmake --build --preset release

setup: $(STAMPS)/test-tools $(VENV)/test.stamp ## install what the tests need

demo: build $(VENV)/demo.stamp ## compile a small model and run it in JAX
	@$(RUN) examples/demo.py

test: test-builds test-unit test-asan test-fuzz test-python test-wasm test-web ## run every test

# Compilers and npm work while pip waits for the network.
test-builds: $(STAMPS)/test-tools $(STAMPS)/web-tools
	@$(MAKE) --no-print-directory $(VENV)/test.stamp & \
	$(MAKE) --no-print-directory build debug asan clang web/node_modules/.stamp wasm; \
	built=$$?; wait $$! && exit $$built

test-unit: debug ## C unit tests
	@ctest --preset debug --parallel 2

test-asan: asan ## C unit tests under AddressSanitizer and UBSan
	@ctest --preset asan --parallel 2

test-fuzz: asan ## libFuzzer targets for FUZZ_SECONDS (15)
	@tools/run_fuzz.sh $(FUZZ_SECONDS)

# Tests of single operators and ONNX's own cases, of which only the values matter, let XLA
# do less, and those of operators ask the debug build, which looks for slips in their code.
# What else reads ONNX's cases runs beside: to make them takes a worker ten seconds.  A
# sample of them, the zoo and the rest run with XLA and the program as users have them, and
# so does `make conformance` with all cases.
VALUES := tests/ops $(wildcard tests/test_helpers_*.py) tests/test_spliced_inputs.py \
          $(addprefix tests/conformance/test_,conformance.py inference.py)
PYTEST := $(RUN) -m pytest -n 2 --dist worksteal

test-python: build debug clang $(VENV)/test.stamp ## Python tests
	@OXIDE_XLA=$(CURDIR)/build/debug/oxide_xla $(PYTEST) --quick-xla $(VALUES)
	@$(PYTEST) $(VALUES:%=--ignore=%)

test-models: build $(VENV)/guides.stamp ## the whole model zoo, long guides, notebooks
	@$(RUN) -m pytest -n 2 -m "models or not models" tests/models/test_zoo.py \
		tests/models/test_gradients.py tests/models/test_transforms.py \
		tests/models/test_bfloat16.py tests/models/test_work.py \
		tests/models/test_port.py tests/test_port.py tests/test_decoding.py \
		tests/test_step.py \
		tests/test_mesh.py tests/test_guides.py tests/test_notebooks.py \
		tests/test_verify_scripts.py tests/test_rows_random.py tests/models/test_pillars.py

test-stablehlo: build $(VENV)/test.stamp ## StableHLO of ONNX's suite, the zoo, in IREE
	@PYTHONPATH=tests:python $(RUN) -m hlo
	@$(RUN) -m pytest -n 2 -m "stablehlo or not stablehlo" \
		$(wildcard tests/test_stablehlo*.py)

test-cross: build build/aarch64/build.ninja build/mingw/build.ninja ## C tests and outputs on aarch64 and Windows, emulated
	@cmake --build --preset aarch64
	@ctest --preset aarch64 --parallel 2
	@cmake --build --preset mingw
	@ctest --preset mingw --parallel 2

.PHONY: debug clang
debug asan clang: %: build/%/build.ninja
	@cmake --build --preset $@

asan: ## build with AddressSanitizer, UBSan and libFuzzer's targets in build/asan
clang: ## build the library with clang, to compare, in build/clang

# The npm package of the WebAssembly build.
PACKAGE := web/compiler
WASM_SOURCES := $(wildcard $(PACKAGE)/src/*.ts) $(PACKAGE)/tsconfig.json

wasm: build build/wasm/build.ninja $(PACKAGE)/dist/node.js ## the compiler for browsers
	@cmake --build --preset wasm
	@cmake -E copy_if_different build/wasm/oxide_xla.wasm build/wasm/oxide_xla_core.wasm \
		$(PACKAGE)/dist
	@cmake -E copy_if_different LICENSE $(PACKAGE)
	@node $(PACKAGE)/tools/size.js

test-wasm: wasm $(STAMPS)/web-tools $(VENV)/test.stamp ## tests of the WebAssembly build
	@$(RUN) $(PACKAGE)/tests/cases.py build/wasm/cases
	@cd $(PACKAGE) && npm run --silent check && npm test --silent

$(PACKAGE)/node_modules/.stamp: $(PACKAGE)/package-lock.json | $(STAMPS)/wasm-tools
	@cd $(PACKAGE) && npm ci --silent --no-workspaces
	@touch $@

$(PACKAGE)/dist/node.js: $(PACKAGE)/node_modules/.stamp $(WASM_SOURCES)
	@cd $(PACKAGE) && npm run --silent build
	@touch $@

# The page of `inspect --format html`, which the build embeds where it is: the program is
# built again here, since it may have been built before.
VIEWER := web/viewer/page.html
VIEWER_SOURCES := $(shell find web/src -type f) web/viewer.config.ts

viewer: $(VIEWER) build/build.ninja ## build the page of inspect --format html, embed it
	@cmake --build --preset release

$(VIEWER): web/node_modules/.stamp $(VIEWER_SOURCES)
	@cd web && npm run --silent viewer

# The playground. The examples are exported once; nothing of them is in the repository.
EXAMPLES := build/web-examples/examples.json

web: viewer wasm $(EXAMPLES) web/node_modules/.stamp ## build the playground in web/dist
	@cd web && npm run --silent build
	@node web/tools/sizes.mjs

test-web: web $(STAMPS)/web-tools $(VENV)/test.stamp ## tests of the playground in Chromium
	@cd web && npm run --silent check && npm test --silent

$(EXAMPLES): tools/web_examples.py examples/digits_cnn.onnx $(VENV)/test.stamp
	@$(RUN) tools/web_examples.py $(@D)

web/node_modules/.stamp: web/package-lock.json | $(STAMPS)/viewer-tools
	@cd web && npm ci --silent --no-audit --no-fund
	@touch $@

bench: build $(VENV)/test.stamp ## measure compile time, memory and weights
	@$(RUN) bench/bench.py

bench-depth: build $(VENV)/test.stamp ## measure tracing and XLA by number of layers
	@$(RUN) bench/depth.py

bench-run: build $(VENV)/test.stamp ## measure generated code; OPTIONS='--quick' in 2 minutes
	@$(RUN) bench/run.py $(OPTIONS)

bench-others: build $(STAMPS)/others ## what other programs make of the same files
	@$(RUN) bench/others.py

verify: build $(VENV)/test.stamp ## compare five PyTorch models with their JAX code
	@PYTHONPATH=tests:python $(RUN) -m models.verify

conformance: build $(VENV)/test.stamp ## run ONNX's backend suite, write docs/conformance.md
	@PYTHONPATH=tests:python $(RUN) -m conformance

wheel: viewer ## build the wheel for Linux and the source distribution in dist/
	@tools/wheel.sh

test-wheel: wheel $(VENV)/test.stamp ## install the wheel into an empty environment, try it
	@$(RUN) -m pytest tests/release

pictures: build $(VENV)/test.stamp ## draw the terminal of README again
	@$(RUN) tools/draw_terminal.py

docs: build $(VENV)/test.stamp ## print docs/operators.md, errors.md and programs.md again
	@build/oxide_xla ops --format md > docs/operators.md
	@build/oxide_xla errors > docs/errors.md
	@$(RUN) tools/programs_page.py > build/programs.md
	@mv build/programs.md docs/programs.md

docs-site: build $(STAMPS)/docs-venv ## build the site of the documentation in build/site
	@NO_MKDOCS_2_WARNING=1 build/docs-venv/bin/mkdocs build --quiet --strict

models-doc: build $(VENV)/test.stamp ## print docs/models.md again
	@PYTHONPATH=tests:python:bridge $(RUN) -m models.document > build/models.md
	@mv build/models.md docs/models.md

gallery: build $(VENV)/test.stamp ## write examples/gallery again; MODEL=bert shows one
	@PYTHONPATH=tests:python:bridge $(RUN) -m models.gallery $(MODEL)

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

build/wasm/build.ninja: | $(STAMPS)/wasm-tools
build/aarch64/build.ninja build/mingw/build.ninja: | $(STAMPS)/cross-tools

build/%/build.ninja: CMakePresets.json | $(STAMPS)/test-tools
	@cmake --preset $* >/dev/null
	@touch $@

# Stamps make the second run fast.  Those of .venv lie in it, so that they go with it.
$(STAMPS)/%-tools: tools/setup.sh
	@tools/setup.sh $*
	@mkdir -p $(@D) && touch $@

$(STAMPS)/docs-venv: requirements/docs.txt
	@tools/venv.sh $(PYTHON) build/docs-venv docs.txt
	@mkdir -p $(@D) && touch $@

$(STAMPS)/others: requirements/others.txt $(VENV)/test.stamp
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --upgrade \
		--target build/others --requirement requirements/others.txt
	@touch $@

$(VENV)/demo.stamp: requirements/demo.txt
	@tools/venv.sh $(PYTHON) $(VENV) demo.txt
	@touch $@

$(VENV)/test.stamp: $(wildcard requirements/*.txt)
	@tools/venv.sh $(PYTHON) $(VENV) demo.txt test.txt torchvision.txt \
		stablehlo.txt
	@touch $(VENV)/demo.stamp $@

$(VENV)/guides.stamp: $(VENV)/test.stamp requirements/guides.txt
	@tools/venv.sh $(PYTHON) $(VENV) guides.txt
	@touch $@
