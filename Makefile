.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXPLORER := graph/explorer/built/index.html
PIP_FLAGS := --quiet --disable-pip-version-check --no-input

.PHONY: help run explorer test soak lint docs site lock bench bench-endpoint clean

help: ## Show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

run: $(VENV)/.run ## Start Postern in development mode, with a SQLite file in data/
	@command -v npm >/dev/null || exit 0; $(MAKE) --silent explorer || \
	  echo "The explorer could not be built. The page loads GraphiQL from a CDN instead."
	exec env POSTERN_ENVIRONMENT=development $(BIN)/postern serve

explorer: $(EXPLORER) ## Build the explorer with npm

test: $(VENV)/.test ## Run the tests on SQLite and PostgreSQL
	$(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

soak: $(VENV)/.test ## Run the slow tests too, which take minutes
	SESSION_MODEL_EXAMPLES=200 ADMIN_MODEL_EXAMPLES=200 DIFFERENTIAL_EXAMPLES=10000 KILLS=50 SIMULATED_DAYS=21 $(BIN)/python -m pytest -n 2 -m 'soak or not soak' \
	  tests/auth/test_session_model.py tests/auth/test_admin_model.py tests/auth/throttling/test_simulation.py \
	  tests/graph/compiled tests/faults tests/journeys tests/examples tests/server/cli/test_transfer.py tests/server/test_supervisor.py $(ARGS)

lint: $(VENV)/.test ## Check format, lint, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.test ## Generate schema.graphql and the reference pages
	$(BIN)/postern schema export > schema.graphql
	$(BIN)/postern access > docs/access.md
	$(BIN)/postern errors > docs/errors.md
	$(BIN)/postern settings > docs/settings.md
	$(BIN)/python -m docs.file_list > docs/files.md

site: $(VENV)-site/.installed ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(VENV)-site/bin/mkdocs build --strict --quiet

bench: $(VENV)/.test bench-endpoint ## Run all benchmarks and print tables
	$(BIN)/python -m benchmarks.account_times
	$(BIN)/python -m benchmarks.users_pages
	$(BIN)/python -m benchmarks.audit_pages
	$(BIN)/python -m benchmarks.viewer_cache
	$(BIN)/python -m benchmarks.revocation
	$(BIN)/python -m benchmarks.user_import
	$(BIN)/python -m benchmarks.growth

bench-endpoint: $(VENV)/.bench ## Compare Postern with other servers and draw a plot
	$(BIN)/python -m benchmarks.endpoint

lock: $(VENV)/.test ## Update the lock files, with hashes and without host names
	$(BIN)/uv pip compile --universal --generate-hashes --no-strip-extras --upgrade --no-header --no-emit-index-url \
	  --no-emit-find-links --python-version 3.11 --group build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --universal --generate-hashes --no-strip-extras --upgrade --no-header --no-emit-index-url \
	  --no-emit-find-links --python-version 3.11 --group dev pyproject.toml -o requirements-dev.lock
	$(BIN)/uv pip compile --universal --generate-hashes --no-strip-extras --upgrade --no-header --no-emit-index-url \
	  --no-emit-find-links --python-version 3.11 --constraints requirements-dev.lock \
	  --group bench pyproject.toml -o requirements-bench.lock
	$(BIN)/uv pip compile --universal --generate-hashes --no-strip-extras --upgrade --no-header --no-emit-index-url \
	  --no-emit-find-links --python-version 3.11 --constraints requirements-dev.lock \
	  --group docs pyproject.toml -o requirements-docs.lock

clean: ## Remove the environment and the built files, but not data/
	rm -rf $(VENV) $(VENV)-site graph/explorer/built

$(EXPLORER): explorer/package-lock.json explorer/vite.config.ts explorer/index.html $(shell find explorer/src -type f)
	cd explorer && npm ci --silent && npm run build --silent -- --logLevel warn

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Postern needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install $(PIP_FLAGS) --require-hashes -r requirements.lock
	$(BIN)/python -m pip install $(PIP_FLAGS) --no-deps --no-build-isolation --no-index -e .
	touch $@

$(VENV)/.test: requirements-dev.lock $(VENV)/.run
	$(BIN)/python -m pip install $(PIP_FLAGS) --require-hashes -r requirements-dev.lock
	touch $@

$(VENV)-site/.installed: requirements-docs.lock
	$(PYTHON) -m venv $(VENV)-site
	$(VENV)-site/bin/python -m pip install $(PIP_FLAGS) --require-hashes -r requirements-docs.lock
	touch $@

$(VENV)/.bench: requirements-bench.lock $(VENV)/.test
	$(BIN)/python -m pip install $(PIP_FLAGS) --require-hashes -r requirements-bench.lock
	touch $@
