# Targets for people. Everything stays inside the project: .venv/ and .cache/.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PULUMI := .cache/bin/pulumi
PULUMI_VERSION := 3.200.0
ACTIONLINT := .cache/bin/actionlint
DEMO := .cache/demo
# Three for two cores: a test waits for other processes most of its time.
WORKERS ?= 3
# Every command is a process of its own: without kept bytecode each start compiles all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup tools demo test test-all test-aws weather soak sbom audit bench bench-regions lint types docs reference clean lock

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed tools ## Install the command at .venv/bin/regionshift, with its dependencies
	@[ "$(MAKECMDGOALS)" != setup ] || echo "Done. Next: source .venv/bin/activate, then regionshift init (docs/tutorial.md), or make demo"

.venv/.installed: requirements/lock.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: install it and run make again." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, $$($(PYTHON) --version) is here. Name another one: make PYTHON=python3.12" >&2; exit 2; }
	@echo "Step 1 of 5: a Python environment of its own, .venv"
	@$(PYTHON) -m venv .venv
	@echo "Step 2 of 5: $$(grep -c '==' requirements/lock.txt) pinned packages (one to three minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/lock.txt
	@echo "Step 3 of 5: the command itself, .venv/bin/regionshift"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

tools: .venv/.installed ## Find a suitable Pulumi CLI, or build it once; and the linter of workflows
	@bash tools/pulumi/ensure $(PULUMI) $(PULUMI_VERSION)
	@bash tools/actionlint/ensure $(ACTIONLINT)

demo: setup ## Show it: three regions up, changed, broken, rolled back and checked on the embedded AWS
	@bash tools/demo $(DEMO)

test: setup ## The gate, in about twelve minutes
	@WORKERS=$(WORKERS) bash tools/check

test-all: setup ## The gate with every thorough test, in about forty minutes
	@TESTS=all WORKERS=$(WORKERS) bash tools/check

test-aws: setup ## End-to-end tests on a real AWS account (asks first; costs money)
	@bash tools/test-aws

weather: setup ## Whole lives of an environment in AWS's delays and errors: SEEDS of them from FIRST on, or WEATHER=storm
	@SEEDS=$(or $(SEEDS),20) FIRST=$(or $(FIRST),1) WEATHER=$(or $(WEATHER),aws) $(BIN)/python -m pytest -v tests/e2e/test_life_in_weather.py

soak: .cache/soak/.installed tools ## Check that the tests notice defects put into the code: a sample, some hours (SEED, SAMPLE, ONLY)
	@.cache/soak/bin/python tools/soak.py

.cache/soak/.installed: requirements/soak.txt .venv/.installed
	$(BIN)/python -m venv .cache/soak
	.cache/soak/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/soak.txt
	@touch $@

sbom: .cache/supply/.installed ## The bill of materials, as CycloneDX: .cache/sbom.json
	@.cache/supply/bin/python tools/sbom.py

audit: .cache/supply/.installed ## Known faults of the dependencies; a part of test-all
	@.cache/supply/bin/python tools/audit.py

.cache/supply/.installed: requirements/supply.txt .venv/.installed
	$(BIN)/python -m venv .cache/supply
	.cache/supply/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/supply.txt
	@touch $@

bench: setup ## Compare the command with a bare engine run, and migrations with other tools
	@$(BIN)/python benchmarks/engine.py
	@$(BIN)/python benchmarks/waves.py
	@$(BIN)/python -m benchmarks.copying --rounds 2 --quick

bench-regions: setup ## Measure time and memory from 5 to 30 regions, with checkpoints (an hour or more)
	@$(BIN)/python benchmarks/regions.py 5 10 20 30 --one-provider

lint: .venv/.installed ## Format and lint
	$(BIN)/ruff format src tests benchmarks tools
	$(BIN)/ruff check --fix src tests benchmarks tools

types: .venv/.installed ## Check the types
	$(BIN)/mypy

docs: .venv/.installed ## Build the site of the documentation: .cache/site/index.html
	@rm -rf .cache/docs .cache/site && mkdir -p .cache/docs && cp -R docs zensical.toml .cache/docs/
	@cd .cache/docs && $(abspath $(BIN))/zensical build --strict  # its --clean would empty all of .cache
	@mv .cache/docs/.cache/site .cache/site

reference: .venv/.installed ## Write the pages and tables of docs/ from the code
	$(BIN)/python tools/publish_reference.py

lock: ## Write the lock files again, with hashes and without addresses
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --all-extras --no-emit-index-url --no-emit-trusted-host --no-emit-options --output-file requirements/lock.txt pyproject.toml requirements/build.in
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-options --output-file requirements/soak.txt requirements/soak.in
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-options --output-file requirements/supply.txt requirements/supply.in

clean: ## Delete the demo: its environment, its embedded AWS, its files
	@if [ -d $(DEMO) ] && [ -x $(BIN)/regionshift ]; then $(BIN)/regionshift local down --wipe --config $(DEMO)/regionshift.yaml; fi
	@rm -rf $(DEMO)
