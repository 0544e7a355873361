# Nothing is needed but Python 3.11, make and a package registry: every target makes what it needs.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
DATA ?=

.DEFAULT_GOAL := help
.PHONY: help install install-dev run demo sample test test-unit fuzz chaos soak check docs format bench lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# A stamp per lock file: the pins are installed again only when they change.
$(VENV)/.installed: $(VENV)/bin/python requirements.txt pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

install: $(VENV)/.installed ## Make .venv and install the pinned dependencies

install-dev: $(VENV)/.installed-dev ## The same, with what tests and checks need

run: install ## Run the whole stack on this machine (the same as `reckoner up`)
	$(BIN)/reckoner up

demo: install ## See it work: start the stack, import data, run three reports, stop. DATA=file.csv.gz takes your orders
	$(BIN)/reckoner demo $(if $(DATA),--data "$(DATA)")

sample: install ## Write generated CRM data for every dataset into sample/
	$(BIN)/reckoner sample --out sample

test: install-dev ## Run all tests on a real stack that they start themselves
	$(BIN)/python -m tests

test-unit: install-dev ## Run only the tests that need no service
	$(BIN)/python -m pytest tests/unit

fuzz: install-dev ## Ask a stack everything the contract allows and forbids, EXAMPLES=n times each operation at random
	$(BIN)/python -m tests.fuzzing $(or $(EXAMPLES),100)

chaos: install-dev ## Play every fault of the chaos suite at full size, for about an hour. ONLY=S1,S13 SEED=n SCALE=0.1 narrow it
	$(BIN)/python -m tests.chaos $(if $(ONLY),--only $(ONLY)) $(if $(SEED),--seed $(SEED)) $(if $(SCALE),--scale $(SCALE))

soak: install-dev ## A random fault every minute, for HOURS=n
	$(BIN)/python -m tests.chaos --soak $(or $(HOURS),24) $(if $(SEED),--seed $(SEED))

check: install-dev ## Lint, types and layering
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: install-dev ## Write docs/reports and docs/openapi.json anew from what the code declares
	$(BIN)/python -m tests.documentation

format: install-dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install-dev ## Measure against named peers in the same run; docs/benchmarks.md says what the figures mean
	$(BIN)/python -m tests.benchmarks

lock: install-dev ## Pin all dependencies anew, with hashes and without index addresses
	$(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command "make lock" pyproject.toml -o requirements.txt
	$(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
		--custom-compile-command "make lock" pyproject.toml --group dev -o requirements-dev.txt

clean: ## Remove .venv and caches; data in var/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
