# Two commands: `make demo` and `make test`. Each sets up whatever is missing: a virtual environment in
# .venv, pinned tools, a release build. Needs Rust, Python 3.11 or newer, and the package registries.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The first interpreter that is new enough; `make PYTHON=/path/to/python …` picks another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
MARKS := $(VENV)/marks
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
SOURCES := Cargo.toml Cargo.lock pyproject.toml $(shell find src -name '*.rs')

# One profile everywhere, so that the dependencies are compiled once: `cargo test` and `cargo clippy` use
# the release artifacts of the wheel.
CARGO_PROFILE := --release --locked
export PYO3_PYTHON := $(BIN)/python
export VIRTUAL_ENV := $(VENV)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(MARKS)/demo $(MARKS)/build ## Read real CSV, filter, map, write Parquet, loop over it; rows, seconds and peak memory
	@$(BIN)/python examples/demo.py

.PHONY: test
test: test-rust test-python ## Run every test

.PHONY: test-rust
test-rust: ## Run the tests of the core; needs no Python
	cargo test $(CARGO_PROFILE)

.PHONY: nightly
nightly: ## Hold a million made-up CSV texts against the reference; TEXTS=10000000 makes them more
	cargo test $(CARGO_PROFILE) --test core records:: -- --ignored --nocapture

.PHONY: test-python
test-python: $(MARKS)/dev $(MARKS)/build ## Run the tests of the package, the README and the examples
	$(BIN)/python -m pytest

.PHONY: lint
lint: $(MARKS)/dev $(MARKS)/build ## Check format, lints, types and stubs
	cargo fmt --check
	cargo clippy $(CARGO_PROFILE) --all-targets -- -D warnings
	cargo clippy $(CARGO_PROFILE) --all-targets --features python -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/stubtest stream._internal

.PHONY: format
format: $(MARKS)/dev ## Format all sources
	cargo fmt
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format --quiet .

.PHONY: bench
bench: $(MARKS)/bench $(MARKS)/build ## Time jobs beside polars, pyarrow, DuckDB and DataFusion
	$(BIN)/python -m benchmarks

.PHONY: build
build: $(MARKS)/build ## Build the extension into the virtual environment

.PHONY: wheel
wheel: $(MARKS)/demo ## Build a wheel into dist/
	$(BIN)/maturin build --release --locked --out dist

.PHONY: clean
clean: ## Remove everything that was built or downloaded
	rm -rf .venv target dist data python/stream/*.so .mypy_cache .ruff_cache .pytest_cache .hypothesis

# What is done once. A mark is as new as the work that it stands for.

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "make: needs Python 3.11 or newer on the PATH, or: make PYTHON=/path/to/python" >&2; exit 1; }
	@command -v cargo >/dev/null || { echo "make: needs Rust: https://rustup.rs" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(MARKS)/demo: requirements/demo.txt $(BIN)/python
	@mkdir -p $(MARKS)
	@echo "installing the pinned tools and the demo's data"
	@$(PIP) -r $<
	@touch $@

$(MARKS)/dev: requirements/dev.txt $(MARKS)/demo
	@echo "installing the pinned development tools"
	@$(PIP) -r $<
	@touch $@

$(MARKS)/bench: requirements/bench.txt $(MARKS)/dev
	@echo "installing the peers"
	@$(PIP) -r $<
	@touch $@

$(MARKS)/build: $(SOURCES) | $(MARKS)/demo
	$(BIN)/maturin develop --release --locked
	@touch $@
