# Thin targets over `modelway` and the test tools. STACK=local|node|… chooses the stack; without it `up` chooses and says why.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
STACK ?=
MODEL ?= breast-cancer

# Packages are installed without bytecode, which is written where a module is first used: compiling all of them takes
# longer than the rest of the installation.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help venv up preview down status doctor predict node-up node-down schema crds dashboards policies lint test-fast test test-cluster test-all test-long bench-components bench-server bench-edge bench-monitoring bench-traces clean

help: ## Print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(READY) ## Make .venv from requirements.txt

$(READY): requirements.txt constraints.txt pyproject.toml components/pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing requirements.txt into .venv"
	@# uv takes seconds where pip takes a minute, but reads no pip.conf: behind a private index pip takes over.
	@$(BIN)/pip install --quiet --disable-pip-version-check uv -c constraints.txt
	@$(BIN)/uv pip install --quiet -p $(BIN)/python -r requirements.txt -c constraints.txt || \
		$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	@touch $@

up: $(READY) ## Deploy STACK and print its URLs
	@$(BIN)/modelway up $(STACK)

preview: $(READY) ## Print what `up` would change
	@$(BIN)/modelway preview $(STACK)

down: $(READY) ## Delete what `up` made
	@$(BIN)/modelway down $(STACK)

status: $(READY) ## Print what is served and how well, and which alerts fire
	@$(BIN)/modelway status $(STACK)

doctor: $(READY) ## Print every tool and every problem of this machine
	@$(BIN)/modelway doctor $(STACK)

predict: $(READY) ## Print one prediction of MODEL
	@$(BIN)/modelway predict $(STACK) $(MODEL)

node-up: $(READY) ## Start the one-node Kubernetes (Linux, root)
	@$(BIN)/modelway node up

node-down: $(READY) ## Stop the one-node Kubernetes
	@$(BIN)/modelway node down

schema: $(READY) ## Write components/schema.json
	$(BIN)/python -m tools.schema

crds: $(READY) ## Write the CRDs of the gateway into the components
	$(BIN)/python -m tools.crds

dashboards: $(READY) ## Write the dashboards into the components
	$(BIN)/python -m tools.dashboards

policies: $(READY) ## Write the table of the policy pack's rules
	$(BIN)/python -m modelway_policies.table > docs/policies.md

lint: $(READY) ## Lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy components/modelway infra tools pipeline policies/modelway_policies images/model-server/modelway_server images/rollout-judge/rollout_judge

test-fast: lint ## Lint, types and unit tests: under a minute
	$(BIN)/pytest -n auto tests/unit images/model-server/tests images/rollout-judge/tests

test: lint ## All that needs no cluster
	$(BIN)/pytest -n auto --dist worksteal tests/unit images/model-server/tests images/rollout-judge/tests tests/engine tests/judges

test-cluster: $(READY) ## Cluster tests on the one-node Kubernetes, short counts
	$(BIN)/pytest tests/cluster

test-all: test test-cluster ## Everything, short counts

test-long: export MODELWAY_TEST_COUNTS = full
test-long: test test-cluster ## Everything, full counts

bench-components: $(READY) ## Measure import and rendering of the components
	$(BIN)/python -m tests.bench.components

bench-server: $(READY) ## Measure the model server against others
	$(BIN)/python -m tests.bench.server

bench-edge: $(READY) ## Measure what keys, limits and TLS cost at the gateway (root on Linux)
	$(BIN)/python -m tests.bench.edge

bench-monitoring: $(READY) ## Measure what Prometheus costs for 10 models of 2 versions
	$(BIN)/python -m tests.bench.monitoring

bench-traces: $(READY) ## Measure what spans cost the model server
	@$(BIN)/python -m tests.bench.traces

clean: ## Delete build outputs and caches of the checkout; keeps .venv, and cache and state of the user
	rm -rf build .mypy_cache .ruff_cache .pytest_cache
