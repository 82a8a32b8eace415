# Two commands matter: `make demo` shows the whole product work, `make test` proves it. Both set everything up.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: help demo test static check bench fix venv clean
.DEFAULT_GOAL := help

help:
	@printf '%s\n' \
	  'make demo   train, watch, evaluate and tabulate 9 small runs (no download, no GPU)' \
	  'make test   run the tests' \
	  'make check  format check, lint, strict types, import contracts, tests' \
	  'make bench  measure, into benchmarks/results/ and docs/performance.md (an hour or two, on a quiet machine)' \
	  'make fix    format and apply safe lint fixes' \
	  'make venv   only set up $(VENV)' \
	  'make clean  remove $(VENV) and caches; runs/ stays'

venv: $(STAMP)

# uv installs torch's several GB in seconds from its cache (hard links); plain pip is the fallback where uv can't run.
# Compiled at once, as pip does: otherwise the first start, or each where Python may write no caches, is 7 s slower.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || true
	if test -x $(BIN)/uv; then \
	  VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --compile-bytecode -c constraints.txt -e '.[dev]'; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'; \
	fi
	touch $@

demo: venv
	$(BIN)/goe queue run
	$(BIN)/goe table

# Three at once keep two cores busy while some tests wait for processes; more threads each would only get in the way.
# Whoever is done takes work from the others: the slow tests stand side by side.
test: venv
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 3 --dist worksteal

static: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: static test

bench: venv
	$(BIN)/goe bench --write-docs

fix: venv
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
