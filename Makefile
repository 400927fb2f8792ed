# Roofgate's targets. `make` alone lists them.
#
# They set up an environment of their own in .venv, and do so again when the
# dependencies change. USE_PYTHON=/path/to/python takes an interpreter that has
# everything already (an offline GPU machine) and installs nothing.

PYTHON ?= python3
USE_PYTHON ?=
# What of pyproject.toml's extras the environment is to have; more of them are added to it.
EXTRAS ?= torch,dev
LANE ?=
# A run's folder: for `make nightly` a new one, for `make alert` the newest nightly by default.
RUN ?=
# Further arguments of a command, between blanks: no quotes.
ARGUMENTS ?=
# Why baselines that are worse than before are stored.
REASON ?=
SESSIONS ?= 5
# The text of a refresh's pull request, and the folder that its files come from.
TABLE ?= runs/refresh.md
FROM ?=
# The nightly's artifact on GitHub, and how old it may be.
ARTIFACT ?= roofgate-nightly
HOURS ?= 12

ifeq ($(USE_PYTHON),)
VENV := .venv
BIN := $(VENV)/bin/
PY := $(BIN)python
READY := $(VENV)/.ready-$(EXTRAS)
else
BIN :=
PY := $(USE_PYTHON)
READY :=
endif

# Tests of the harness run on all cores, where pytest-xdist is there; what measures runs alone.
SIDE_BY_SIDE = $(shell $(PY) -c 'import importlib.util as i; i.find_spec("xdist") and print("-n logical --maxprocesses 8 --dist worksteal")')

# $(call measure,ARGUMENTS,FOLDER): a run in the folder; fails where pytest does.
define measure
$(PY) -m pytest $(1) -v --benchmark-quiet --perf-out="$(2)"; status=$$?; \
[ ! -f "$(2)/report.html" ] || { echo; echo "Report: $(2)/report.html"; }; exit $$status
endef

# Recipes see what is given as variables of the shell, so that no shell reads it as code.
export ARGUMENTS REASON RUN TABLE FROM

.DEFAULT_GOAL := help
.PHONY: help venv demo analytic test long lint ci nightly alert watch refresh take propose clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "PYTHON=python3.12 make ...           build .venv with that interpreter (3.11 or newer)"
	@echo "make ... USE_PYTHON=/path/to/python   use that interpreter as it is, install nothing"
	@echo "make demo LANE=cpu                    measure the CPU on a machine with a GPU"
	@echo "make analytic EXTRAS=dev              an environment with these extras of pyproject.toml only"
	@echo "make alert RUN=runs/FOLDER            of that run, not of the newest nightly"
	@echo "make refresh ARGUMENTS='-k decode'    further arguments, between blanks; so do alert and watch"
	@echo "make refresh REASON='why'             store what is worse than before; SESSIONS=7 measures more"

demo: $(READY) ## measure this machine: the GPU if there is one, else the CPU; ends with the report's path
	@lane="$(LANE)"; [ -n "$$lane" ] || lane=$$($(PY) -m perf_tests.lane) || exit $$?; \
	run="runs/demo-$$(date -u +%Y%m%dT%H%M%S)"; \
	echo "Measuring the $$lane lane."; \
	$(call measure,-m "$$lane",$$run)

analytic: $(READY) ## the analytic lane: the model of the machine, without torch
	$(PY) -m pytest -m analytic

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
	$(BIN)zizmor --offline --quiet --persona=auditor .github/workflows

ci: ## all that a change must pass: lint, test and long
	bash .ci/run

nightly: $(READY) ## measure the gpu lane strictly, into runs/nightly-<time> or RUN
	@run="$${RUN:-runs/nightly-$$(date -u +%Y%m%dT%H%M%S)}"; \
	$(call measure,-m "$(or $(LANE),gpu)" --perf-strict,$$run)

alert: $(READY) ## tell GitHub and the webhook what the newest nightly, or RUN, found
	@run="$$RUN"; [ -n "$$run" ] || for run in runs/nightly-*; do :; done; \
	[ -d "$$run" ] || { echo "error: no run at $$run: \`make nightly\` measures one, RUN=runs/FOLDER names another" >&2; exit 2; }; set -f; \
	$(PY) -m reports alert "$$run" $$ARGUMENTS

watch: $(READY) ## alert where GitHub has no nightly result of the last HOURS
	@set -f; $(PY) -m reports watch --artifact "$(ARTIFACT)" --hours "$(HOURS)" $$ARGUMENTS

refresh: $(READY) ## new GPU baselines from five fresh processes, their line in the changelog
	@set -f; set -- $$ARGUMENTS; [ -z "$$REASON" ] || set -- --accept-regression "$$REASON" "$$@"; \
	$(PY) -m baselines refresh --sessions "$(SESSIONS)" -m "$(or $(LANE),gpu)" \
	  --changelog CHANGELOG.md --table "$$TABLE" "$$@"

take: $(READY) ## take a refresh measured elsewhere from the folder FROM, if it holds nothing else
	PYTHON="$(PY)" bash .ci/take "$$FROM"

propose: ## open a pull request of the refreshed baselines, with the table; needs git and gh
	bash .ci/propose "$$TABLE"

venv: $(READY) ## only set up .venv

clean: ## remove the environment and what runs leave behind
	rm -rf .venv runs .pytest_cache .ruff_cache .mypy_cache *.egg-info

.venv/.ready-$(EXTRAS): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "error: Roofgate needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another with PYTHON=..." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	@touch $@
