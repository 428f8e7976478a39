# Each target sets up what it needs in .venv; a second call starts at once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV := $(VENV)/.ready-dev

.PHONY: demo test lint format bench clean help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-8s %s\n", $$1, $$2}'

demo: $(READY) ## Minimax Active Learning on handwritten digits, with a report, in two minutes
	$(BIN)/mal demo

test: $(DEV) ## run the tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(DEV) ## style, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV) ## put the code into the house's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV) ## time choosing, training and scoring beside naive versions and peers
	$(BIN)/python benchmarks/acquisition.py
	$(BIN)/python benchmarks/training.py

clean: ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "minimax-al needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(READY): $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

# pip has installed dependency groups since 25.1.
$(DEV): $(READY)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@
