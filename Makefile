# Two commands need nothing but python3 (3.11 or newer) and make:
#   make run    install into .venv and benchmark the embedded memory
#   make test   install the development tools too, and run the tests

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: help run test lint check golden clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 10

run: $(VENV)/installed  ## benchmark the embedded memory; results go to benchmark_results/
	$(BIN)/agentmem-observe run --category storage

test: $(VENV)/installed-dev  ## run the tests; PYTEST_ARGS=... chooses some
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/installed-dev  ## format check, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test  ## what CI runs, before every push

golden: $(VENV)/installed-dev  ## refresh tests/golden/, to be reviewed as code
	$(BIN)/python -m pytest --update-golden

clean:  ## remove the virtual environment
	rm -rf $(VENV)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11; try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	@echo "Installing agentmem-observe into $(VENV) ..."
	$(PIP) install --editable .
	touch $@

$(VENV)/installed-dev: pyproject.toml | $(VENV)/bin/python
	@echo "Installing agentmem-observe and its development tools into $(VENV) ..."
	$(PIP) install --editable '.[dev]'
	touch $@ $(VENV)/installed
