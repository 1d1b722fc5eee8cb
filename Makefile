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
# What XLA compiled for JAX in one process, the next need not compile again.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/build/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES ?= -1

.PHONY: help install parity test lint types imports tests bench-runs power mutants soak bench atlas figures \
  gpu site site-parts site-runs site-tests notebooks links spelling clean

help:
	@echo "make parity   set up, and print how the four implementations agree"
	@echo "make test     set up, lint, check types and import rules, run the tests"
	@echo "make power    plant every known fault in every implementation: all must be caught"
	@echo "make mutants  change every implementation in every small way (hours)"
	@echo "make soak     10,000 random cases per backend and dtype: none may fail"
	@echo "make bench    how fast fit is beside its peers; what importing and verifying costs"
	@echo "make gpu      all that needs a GPU, with PYTHON's own packages; build/gpu/summary.md"
	@echo "make atlas    write down what the libraries answer now, for later comparison"
	@echo "make figures  measure 1,000 steps everywhere and draw how far they drift apart"
	@echo "make site     the lecture and the columns as a site in build/site, from this very code"
	@echo "make notebooks  the chapters as Jupyter notebooks; with BACKEND=torch, run in it"
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

test: lint types spelling imports tests bench-runs site-runs

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

# No figure of it is a test: it has to run, once.
bench-runs: install
	$(BIN)/tetrapla bench --quick --repeats 1

# One process per framework, so that the memory of the one before is free.
power: install
	@for name in numpy torch tf jax; do \
	  PYTHONPATH=tests $(BIN)/python -W ignore -m power.score --implementations $$name \
	    || failed=1; done; test -z "$$failed"

mutants: install
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[mutants]"
	@for name in numpy torch tf jax; do \
	  PYTHONPATH=tests $(BIN)/python -W ignore -m power.mutants --implementation $$name \
	    || failed=1; done; test -z "$$failed"

soak: install
	$(BIN)/python benchmarks/soak.py --count 10000

bench: install
	mkdir -p docs/figures
	$(BIN)/tetrapla bench --json docs/figures/speed.json --svg docs/figures/speed.svg
	$(BIN)/python benchmarks/import_time.py
	$(BIN)/python benchmarks/memory.py --dtype float32
	$(BIN)/python benchmarks/memory.py --dtype float64

atlas: install
	$(BIN)/tetrapla atlas --record

# One thread: these matrices are too small to share.
figures: install
	mkdir -p docs/figures
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/tetrapla drift \
	  --svg docs/figures/trajectories.svg

# Installs nothing: PYTHON is the Python that has the frameworks. LIMIT=540
# ends it after so many seconds, with a summary of what there is.
gpu:
	$(PYTHON) benchmarks/gpu.py build/gpu $(if $(LIMIT),--limit $(LIMIT))

# The site shows what this code does now: parity is measured, and the
# libraries are asked, when either has changed. A line that breaks parity is
# shown with what it broke.
MADE := docs/_generated
CODE := $(shell find src impls -name '*.py' 2>/dev/null)

site: site-parts
	$(BIN)/sphinx-build -q -W --keep-going -b html docs build/site
	@echo "open build/site/index.html"

site-parts: install $(MADE)/parity.json $(MADE)/atlas.json

$(MADE)/parity.json: $(CODE)
	mkdir -p $(MADE)
	$(BIN)/tetrapla parity --json $@.new > $(MADE)/parity.txt || test $$? = 1
	mv $@.new $@

$(MADE)/atlas.json: $(CODE)
	mkdir -p $(MADE)
	$(BIN)/tetrapla atlas --markdown > $(MADE)/atlas.md
	$(BIN)/tetrapla atlas --json > $@.new
	mv $@.new $@

site-tests: site
	$(BIN)/python -m pytest -n 2 -p no:cacheprovider docs/checks

# The site without its figures of parity, which take minutes, and its checks.
site-runs: install $(MADE)/atlas.json
	$(BIN)/sphinx-build -q -W --keep-going -D tetrapla_parity= -b html docs build/site-runs
	TETRAPLA_SITE=build/site-runs $(BIN)/python -m pytest -n 2 -p no:cacheprovider docs/checks

# The site's build runs every chapter with NumPy; BACKEND=torch runs them with it.
BACKEND ?=
notebooks: install
	$(BIN)/python docs/notebooks.py build/notebooks $(if $(BACKEND),--backend $(BACKEND) --execute)
	@echo "start Jupyter here, and open build/notebooks/01-terms.ipynb"

links: site-parts
	$(BIN)/sphinx-build -q -b linkcheck docs build/links

spelling: install
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md docs src impls tests benchmarks

clean:
	rm -rf $(VENV) build dist src/*.egg-info $(MADE)
