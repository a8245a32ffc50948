# Each target does its own set-up: the environment lies in .venv, programs that tests need in the user's cache.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done)
DEMO := build/demo

.DEFAULT_GOAL := help
.PHONY: help install demo test test-full lint bench tools engines controlplane docs clean

help:  ## Say what each target does.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "aether-deploy needs Python 3.11 or newer: install it, or say make PYTHON=..."; exit 3; }
	$(PYTHON) -m venv $(VENV)

# What the program itself needs, with compiled bytecode: half of the start of a command line is imports.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	$(BIN)/python -m compileall -q src $(VENV)/lib
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

install: $(VENV)/.installed  ## Make .venv and install aether-deploy into it.

demo: $(VENV)/.installed  ## Render examples/one-region and say what to do next.
	$(BIN)/aether-deploy check examples/one-region/aether.yaml
	$(BIN)/aether-deploy render examples/one-region/aether.yaml -o $(DEMO)

test: $(VENV)/.installed-dev  ## Run the tests; what needs a missing program skips and says how to get it.
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not engines and not long and not failover" tests

test-full: tools engines  ## Run all tests with every program that they judge by, real GitOps engines too.
	CI=true $(BIN)/python -m pytest -n auto --dist loadfile tests

tools: controlplane  ## Build and install all programs that tests judge by (needs Go 1.26).
	$(BIN)/python -m aether_deploy.lab --k8s v1.35.4
	$(BIN)/python -m aether_deploy.lab prometheus-adapter kube-state-metrics
	$(BIN)/python -m tools.programs

engines: controlplane  ## Build and install Flux and Argo CD (needs Go 1.26; 20 minutes the first time).
	$(BIN)/python -m pip install --quiet --editable '.[engines]'
	$(BIN)/python -m aether_deploy.lab flux argo-cd

controlplane: $(VENV)/.installed-dev  ## Find or build the programs of a Kubernetes control plane (needs Go 1.26).
	$(BIN)/python -m aether_deploy.lab

lint: $(VENV)/.installed-dev  ## Check style, types and the direction of imports.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-dev  ## Measure speed against peers in the same run.
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python -m benchmarks

docs: $(VENV)/.installed-dev  ## Write the generated parts of docs/.
	$(BIN)/python -m tools.make_docs

clean:  ## Remove what the targets made here.
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
