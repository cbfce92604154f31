# make demo    install the light runtime and stylise a picture
# make test    install what the tests need; lint, check types, test
# make bundle  write the bundled model's graphs again; PICTURES=DIR makes its presets again too
# make clean   remove what the others made

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BUNDLED := models/adain_models/bundled/lite

# Sample photographs come from scikit-learn's wheel; nothing of it is imported.
PHOTOS := build/photos/sklearn/datasets/images

.PHONY: demo test bundle clean

demo: $(VENV)/light $(PHOTOS)
	$(BIN)/adain-rt stylize $(PHOTOS)/china.jpg --style @starry-night -o demo/starry-night.jpg --overwrite
	$(BIN)/adain-rt grid $(PHOTOS)/ --style @starry-night --style @wheat-field --style @rhone-glacier --style @almond-blossom \
	    -o demo/grid.jpg --overwrite
	@echo "The pictures are demo/starry-night.jpg and demo/grid.jpg"

test: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

bundle: $(VENV)/test
	$(BIN)/python -m adain_export.bundle $(PICTURES)

clean:
	rm -rf build demo $(VENV)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/light: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/test: pyproject.toml tests/constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint tests/constraints.txt --editable '.[test]'
	touch $@ $(VENV)/light

$(PHOTOS): | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target build/photos scikit-learn
