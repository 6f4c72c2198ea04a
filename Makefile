# make demo     virtual environment, install, then follow the objects in the sample clips
# make test     the same with the development tools, then all tests
# make check    lint, format, types, tests: what continuous integration runs
# make format   bring the code into shape
#
# Needs Python 3.11 or newer; another one: make demo PYTHON=python3.12
# Linux without an NVIDIA card: a much smaller download with
#   make demo TORCH_OPTIONS="--index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
TORCH ?= torch==2.13.0
TORCH_OPTIONS ?=
VENV := .venv
BIN := $(VENV)/bin
# A process per core and a thread for each: the networks of tests are too small for more.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile
CLIPS := astronaut cat_and_cup coins

.PHONY: demo test check format

demo: $(VENV)/installed
	@mkdir -p demo_output
	@set -e; for clip in $(CLIPS); do \
		$(BIN)/stma segment sample_videos/$$clip.mp4 --mask sample_videos/$$clip.json \
			-o demo_output/$$clip --overlay demo_output/$$clip.mp4 --force; \
	done
	@$(BIN)/stma evaluate demo_output sample_videos/ground_truth $(CLIPS:%=--sequences %)
	@echo "Overlays to watch: $(CLIPS:%=demo_output/%.mp4)"
	@echo "Masks, one PNG per frame, and report.json: $(CLIPS:%=demo_output/%/)"

test: $(VENV)/installed-dev
	$(PYTEST)

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST)

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/torch:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: stma needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/pip install $(TORCH_OPTIONS) "$(TORCH)"
	@touch $@

$(VENV)/installed: $(VENV)/torch pyproject.toml
	$(BIN)/pip install -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/torch pyproject.toml
	$(BIN)/pip install -e ".[dev]"
	@touch $@ $(VENV)/installed
