# What a first visitor and a developer run. Needs make and Python 3.11 or newer; makes .venv/, dist/ and, for
# the demo, runs/.
# PYTHON names the interpreters to try, in this order: make demo PYTHON=/opt/python3.13/bin/python3

PYTHON ?= python3 python3.13 python3.12 python3.11

PEERS  := torch==2.13.0 pandas==3.1.1 datasets==5.2.0

VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/stamps
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check
TOML    = pyproject.toml $(shell find fedgdl clients server experiments tests -name '*.toml')

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-slow check format lint types contracts spelling toml dev wheel install constraints peers clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | \
	    while IFS='|' read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done

demo: install ## install the project, train a spam filter across three clients, then attack it
	$(BIN)/fedgdl run spam --set data.source=synthetic-mail
	$(BIN)/fedgdl attack words --set data.source=synthetic-mail

test: $(STAMPS)/dev install ## run the quick tests, against the installed wheel
	$(BIN)/pytest -m "not slow" --numprocesses 2 --dist loadfile

test-slow: $(STAMPS)/dev install ## run the slow tests (FEDGDL_DATA: folder of the real data sets)
	$(BIN)/pytest -m slow

check: format lint types contracts spelling toml ## check format, lint, types, import contracts, spelling, TOML

format: $(STAMPS)/dev
	$(BIN)/ruff format --check

lint: $(STAMPS)/dev
	$(BIN)/ruff check

types: $(STAMPS)/dev
	$(BIN)/mypy

contracts: $(STAMPS)/dev
	$(BIN)/lint-imports --no-logo

spelling: $(STAMPS)/dev
	$(BIN)/codespell

toml: $(STAMPS)/venv
	@for file in $(TOML); do \
	    $(BIN)/python -c 'import pathlib, sys, tomllib; tomllib.loads(pathlib.Path(sys.argv[1]).read_text("utf-8"))' \
	        "$$file" || { echo "$$file is not valid TOML" >&2; exit 1; }; done

dev: $(STAMPS)/dev ## install the checkout itself into .venv, to work on it
	$(PIP) install --no-deps --no-build-isolation --editable .

wheel: $(STAMPS)/build ## build dist/fedgdl-*.whl
	@rm -rf dist
	$(BIN)/python -m build --quiet --wheel --no-isolation

# Takes the place of whatever was installed before, an editable checkout included.
install: wheel $(STAMPS)/runtime
	$(PIP) install --force-reinstall --no-deps dist/*.whl

constraints: $(STAMPS)/venv ## resolve all dependencies anew (on Python 3.11) and pin them in constraints.txt
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "make constraints needs" \
	    "a .venv of Python 3.11, the oldest supported: newer ones get versions that do not run on it" >&2; exit 1; }
	$(BIN)/python -m venv --clear $(VENV)/fresh
	$(VENV)/fresh/bin/python -m pip --quiet --disable-pip-version-check install '.[dev]'
	sed '/^$$/q' constraints.txt > $(VENV)/constraints.txt # its header ends with the first empty line
	$(VENV)/fresh/bin/python -m pip freeze --exclude fedgdl >> $(VENV)/constraints.txt
	mv $(VENV)/constraints.txt constraints.txt
	rm -rf $(VENV)/fresh

peers: $(STAMPS)/dev ## add PyTorch, pandas and datasets (large), which some tests compare with or read
	$(PIP) install --constraint constraints.txt $(PEERS)

clean: ## remove .venv, dist and every cache
	rm -rf $(VENV) dist build .hypothesis .*_cache
	find fedgdl clients server experiments tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: each is as new as what it was made from, so that nothing is installed twice.

$(STAMPS)/venv:
	@for python in $(PYTHON); do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "$$python -m venv $(VENV)"; exec $$python -m venv $(VENV); fi; done; \
	    echo "fedgdl needs Python 3.11 or newer; none of these is: $(PYTHON)" >&2; \
	    echo "name yours: make PYTHON=/path/to/python3.11 ..." >&2; exit 1
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/build: constraints.txt | $(STAMPS)/venv
	$(PIP) install --constraint constraints.txt build editables hatchling
	@touch $@

$(STAMPS)/runtime: pyproject.toml constraints.txt | wheel
	$(PIP) install --constraint constraints.txt dist/*.whl
	@touch $@

# constraints.txt pins every package that development needs, so it also serves as the list of them.
$(STAMPS)/dev: constraints.txt | $(STAMPS)/venv
	$(PIP) install --requirement constraints.txt
	@touch $@
