# Two commands for a newcomer: `make parity` and `make test`. Each sets up
# everything it needs in .venv first (Python 3.11 or newer; a few minutes and
# some gigabytes the first time, because it installs four frameworks).

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WHEEL := build/wheel

# TensorFlow's start-up messages would come between the lines of a report.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help install parity test lint types imports tests bench clean

help:
	@echo "make parity   set up, and print how the four implementations agree"
	@echo "make test     set up, lint, check types and import rules, run the tests"
	@echo "make bench    what importing tetrapla costs"
	@echo "make clean    remove what the others made"

install: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tetrapla needs Python 3.11 or newer; this is $$($(PYTHON) --version)."; \
	    echo "Name another with: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip setuptools
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	@touch $@

parity: install
	$(BIN)/tetrapla parity

test: lint types imports tests

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy src impls

# import-linter does not see impls/ in an editable install: lint the wheel.
imports: install
	rm -rf $(WHEEL)
	$(BIN)/python -m pip install --quiet --no-deps --target $(WHEEL) .
	PYTHONPATH=$(WHEEL) $(BIN)/lint-imports --no-cache

tests: install
	$(BIN)/python -m pytest -n 2 --dist loadfile

bench: install
	$(BIN)/python benchmarks/import_time.py

clean:
	rm -rf $(VENV) build dist src/*.egg-info
