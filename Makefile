# Each target sets up what it needs in .venv; a second call starts at once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LABEL_STUDIO := .venv-label-studio
OLDEST := .venv-oldest
READY := $(VENV)/.ready
DEV := $(VENV)/.ready-dev
DOCS := $(VENV)/.ready-docs

.PHONY: demo test test-oldest test-label-studio lint format bench docs clean help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

demo: $(READY) ## Minimax Active Learning on handwritten digits, with a report, in two minutes
	$(BIN)/mal demo

test: $(DEV) ## run the tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-oldest: ## run the tests with the oldest versions that pyproject.toml allows, in an environment of its own
	.ci/test-oldest $(OLDEST)

test-label-studio: $(DEV) $(LABEL_STUDIO)/.ready ## run the bridge against a Label Studio that is installed for it
	LABEL_STUDIO_BIN=$(LABEL_STUDIO)/bin $(BIN)/python -m pytest tests/label_studio_live.py

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
	$(BIN)/python benchmarks/features.py
	$(BIN)/python benchmarks/training.py --turns 3

docs: $(DOCS) ## build the documentation into site/, with links and cross-references checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean: ## remove the environments, caches and the built site
	rm -rf $(VENV) $(OLDEST) $(LABEL_STUDIO) site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

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
	$(BIN)/python -m pip install --quiet --editable '.[campaign,weights]' --group dev
	@touch $@

$(DOCS): $(READY)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[campaign]' --group docs
	@touch $@

$(LABEL_STUDIO)/.ready:
	$(PYTHON) -m venv $(LABEL_STUDIO)
	$(LABEL_STUDIO)/bin/python -m pip install --quiet 'label-studio>=1.23,<2'
	@touch $@
