# The commands of this repository; `make help` lists them. Needs python3 3.11 or newer, and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
TEST_READY := $(VENV)/.installed-for-tests
RIE_ARGS ?=

# A flag for `rie serve` is none of the settings that the server reads from RIE_*.
unexport RIE_ARGS

.DEFAULT_GOAL := help
.PHONY: help run install test check format docs images bench bench-check clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "make: $(PYTHON) is older than Python 3.11; try: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# pip runs only when pyproject.toml is newer than the last time it succeeded.
$(READY): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docker,kafka,mq,documentdb]'
	@touch $@

$(TEST_READY): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docker,postgresql,test]'
	@touch $(READY) $@

install: $(TEST_READY) ## Make .venv and install what pyproject.toml asks for, if that changed

run: $(READY) ## Start the server with the example functions (RIE_ARGS="--port 9100" passes flags)
	@exec $(BIN)/rie serve --template functions/template.yaml $(RIE_ARGS)

test: $(TEST_READY) ## Run every test; what is missing skips, unless RIE_REQUIRE=docker,... names it (PYTEST_ARGS="-k cli")
	$(BIN)/pytest $(PYTEST_ARGS)

check: $(TEST_READY) ## Lint, formatting, types and the import order
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(TEST_READY) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(TEST_READY) ## Write docs/compatibility.md anew, from AWS's service model and the tests
	$(BIN)/python -m tests.compatibility

images: $(READY) ## Make the Docker images that functions run in
	runtime/make_images.sh

bench: $(TEST_READY) ## Measure this server against its peers and its floor (BENCH_ARGS passes flags)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-check: $(TEST_READY) ## A short run whose ratios must not fall behind benchmarks/thresholds.json
	$(BIN)/python -m benchmarks --check

clean: ## Remove .venv and caches; functions and queued events in .rie stay
	rm -rf $(VENV) build dist ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
