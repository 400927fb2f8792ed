# Roofgate's targets. `make` alone lists them.
#
# They set up an environment of their own in .venv, and do so again when the
# dependencies change. USE_PYTHON=/path/to/python takes an interpreter that has
# everything already (an offline GPU machine) and installs nothing.

PYTHON ?= python3
USE_PYTHON ?=
LANE ?=

ifeq ($(USE_PYTHON),)
VENV := .venv
BIN := $(VENV)/bin/
PY := $(BIN)python
READY := $(VENV)/.ready
else
BIN :=
PY := $(USE_PYTHON)
READY :=
endif

# Tests of the harness run on all cores, where pytest-xdist is there; what measures runs alone.
SIDE_BY_SIDE = $(shell $(PY) -c 'import importlib.util as i; i.find_spec("xdist") and print("-n logical --maxprocesses 8 --dist worksteal")')

.DEFAULT_GOAL := help
.PHONY: help demo test long lint refresh clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "PYTHON=python3.12 make ...           build .venv with that interpreter (3.11 or newer)"
	@echo "make ... USE_PYTHON=/path/to/python   use that interpreter as it is, install nothing"
	@echo "make demo LANE=cpu                    measure the CPU on a machine with a GPU"

demo: $(READY) ## measure this machine: the GPU if there is one, else the CPU; ends with the report's path
	@lane="$(LANE)"; [ -n "$$lane" ] || lane=$$($(PY) -m perf_tests.lane) || exit $$?; \
	run="runs/demo-$$(date -u +%Y%m%dT%H%M%S)"; \
	echo "Measuring the $$lane lane."; \
	$(PY) -m pytest -m "$$lane" -v --benchmark-quiet --perf-out="$$run"; status=$$?; \
	[ ! -f "$$run/summary.md" ] || { echo; echo "Report: $$run/summary.md"; }; exit $$status

test: $(READY) ## everything that needs no GPU, but for the long proofs
	$(PY) -m pytest -m "not gpu and not cpu and not long" $(SIDE_BY_SIDE) --benchmark-quiet
	$(PY) -m pytest -m cpu --benchmark-quiet

long: $(READY) ## proofs that take minutes: a real PostgreSQL, writers killed, runs that are hurt
	$(PY) -m pytest -m "long and not gpu" $(SIDE_BY_SIDE) --benchmark-quiet

lint: $(READY) ## ruff, mypy, and the workflows against their schema and zizmor
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(BIN)check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)zizmor --offline --quiet .github/workflows

refresh: $(READY) ## new GPU baselines from five fresh processes
	$(PY) -m baselines refresh --sessions 5 -m gpu

clean: ## remove the environment and what runs leave behind
	rm -rf .venv runs .pytest_cache .ruff_cache .mypy_cache *.egg-info

.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "error: Roofgate needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another with PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[torch,dev]'
	@touch $@
