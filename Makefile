# Every target makes what it needs: one virtual environment with the tested pins of constraints.txt.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast check docs format bench bench-lessons bench-threads bench-continual bench-hundred results base clean

help:  ## this list
	@awk -F ':.*##' '/^[a-z-]+:.*##/ {printf "%-16s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP)  ## extend emoji-clip to ten languages, print the table, write demo-out/report.html, answer a query
	$(BIN)/glotclip demo --out demo-out

test: $(STAMP)  ## all tests (about ten minutes on two cores)
	$(BIN)/python -m pytest

test-fast: $(STAMP)  ## the tests that start no process and train nothing for long, side by side (under 45 s)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n auto

check: $(STAMP) docs  ## lint, format, types, and the docs, whose warnings are errors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)  ## the site, in site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

format: $(STAMP)  ## sort imports, mend what ruff can mend, format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## text tower against transformers' CLIP: writes benchmarks/results/
	$(BIN)/python benchmarks/text_tower.py

bench-lessons: $(STAMP)  ## training at the papers' geometries, and LoRA as it is served: writes benchmarks/results/
	$(BIN)/python benchmarks/lessons.py

bench-threads: $(STAMP)  ## training alone and beside busy processes, with the threads chosen and others (ten minutes, quiet)
	$(BIN)/python benchmarks/threads.py

bench-continual: $(STAMP)  ## 36 languages, every method and strategy (an hour or two; resumable; same needs as results)
	$(BIN)/glotclip data get emoji-google
	$(BIN)/glotclip compare recipes/compare_continual.yaml --out bench-continual-out --processes 2

bench-hundred: $(STAMP)  ## a hundred languages on photo-clip (under two hours; resumable; needs ../shared/data)
	$(BIN)/python benchmarks/hundred.py

results: $(STAMP)  ## the figures of docs/results.md (about half an hour; fetches google's images with npm)
	$(BIN)/glotclip data get emoji-google
	$(BIN)/python benchmarks/ten_languages.py

base: $(STAMP)  ## make the built-in base anew from its recipe, into base-out/
	$(BIN)/glotclip train-base --recipe recipes/emoji_base.yaml --out base-out

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

clean:  ## remove the environment and everything that the targets made
	rm -rf $(VENV) demo-out base-out bench-continual-out build dist site
