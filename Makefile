# Every target makes what it needs: one virtual environment with the tested pins of constraints.txt.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check format bench bench-lessons bench-threads bench-continual results base clean

demo: $(STAMP)  ## extend emoji-clip to ten languages, print the table, write demo-out/report.html, answer a query
	$(BIN)/glotclip demo --out demo-out

test: $(STAMP)  ## all tests
	$(BIN)/python -m pytest

check: $(STAMP)  ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## text tower against transformers' CLIP: writes benchmarks/results/
	$(BIN)/python benchmarks/text_tower.py

bench-lessons: $(STAMP)  ## lessons at the papers' geometries, and LoRA as it is served: writes benchmarks/results/
	$(BIN)/python benchmarks/lessons.py

bench-threads: $(STAMP)  ## training alone and beside busy processes, with the threads chosen and others (ten minutes, quiet)
	$(BIN)/python benchmarks/threads.py

bench-continual: $(STAMP)  ## 36 languages, every method and strategy (an hour or two on two cores; resumable; same needs as results)
	$(BIN)/glotclip data get emoji-google
	$(BIN)/glotclip compare recipes/compare_continual.yaml --out bench-continual-out --processes 2

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

clean:
	rm -rf $(VENV) demo-out base-out bench-continual-out build dist
