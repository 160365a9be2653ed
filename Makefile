# Two commands matter: `make demo` and `make test`. Both do all the set-up by themselves.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
UV_VERSION := 0.13.8
STAMP := $(VENV)/.set-up
# Tests wait more than they compute: with one process more than there are processors none of these is idle.
WORKERS ?= $(shell expr $$(nproc) + 1)
SECONDS ?= 1800

.PHONY: help setup demo check lint test image-test bench bench-chronicle bench-cluster docs soak clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

setup: $(STAMP) ## makes .venv with .venv/bin/podium

$(STAMP): pyproject.toml uv.lock tools/set_up.sh tools/set_up_bun.sh
	@UV_VERSION=$(UV_VERSION) bash tools/set_up.sh
	@touch $(STAMP)

demo: setup ## deploys agents in Python and TypeScript, talks to them, kills them in the middle of a turn
	@$(PY) examples/demo.py

lint: setup
	@bash tools/lint.sh

check: lint ## linters, types, layers, sizes and unit tests: the fast loop
	@$(PY) -m pytest tests/unit -q -n $(WORKERS) --dist=loadfile

test: setup ## linters and the whole suite
	@bash tools/install_test_programs.sh
	@bash tools/lint.sh
	@$(PY) tools/run_tests.py tests -n $(WORKERS) --dist=loadfile --no-loadscope-reorder

image-test: setup ## builds the whole image with Docker, or buildah and podman, and runs a cluster of its containers; some minutes
	@bash tools/install_test_programs.sh
	@bash tools/set_up_image_tools.sh
	@$(PY) -m pytest tests/system/deploy/image/whole_image.py -q

soak: setup ## the crash proofs, RUNS times over, and the fault bench of the cluster for SECONDS
	@PODIUM_FAULT_RUNS=$${RUNS:-25} $(PY) -m pytest tests/faults --ignore=tests/faults/cluster -n $(WORKERS) -q
	@PODIUM_BENCH_SECONDS=$(SECONDS) $(PY) -m pytest tests/faults/cluster -q -s

bench: setup ## all benchmarks, with peers where they can be installed
	@PYTHONDONTWRITEBYTECODE= $(PY) -m compileall -q src
	@$(PY) -m benchmarks
	@$(MAKE) --no-print-directory bench-chronicle

bench-chronicle: setup ## the versioned workspace against the host's file system, other engines and others' file systems
	@$(PY) -m benchmarks.chronicle.filesystem --rounds 5 --only "chronicle,without history,without passthrough,io_uring,may sleep"
	@$(PY) -m benchmarks.chronicle.filesystem --rounds 3 --only "overlayfs,bindfs,pyfuse3,mfusepy"
	@$(PY) -m benchmarks.chronicle.mounting
	@$(PY) -m benchmarks.chronicle.scale

bench-cluster: setup ## a cluster: what it costs at rest, failover, sync, placement; some minutes
	@$(PY) -m benchmarks.placement
	@$(PY) -m benchmarks.cluster

docs: setup ## checks the docs: links, generated pages, every command
	@$(PY) tools/check_docs.py
	@$(PY) -m pytest tests/system/test_docs.py -q

clean: ## removes everything that set-up and runs made
	rm -rf $(VENV) .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .podium
