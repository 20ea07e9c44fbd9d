# Two commands: `make run` and `make test`. Everything lives in .venv; nothing is installed twice.
PYTHON ?= python3
# Two modules at a time, in the order of their names: what a module's tests share is made once.
PYTEST_FLAGS ?= -n 2 --dist loadscope --no-loadscope-reorder
DATA ?= roomtone-data
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(VENV)/pip-install
CONSTRAINTS := $(if $(wildcard constraints.txt),-c constraints.txt)
DEBIAN := chromium curl iproute2 iptables ethtool firefox-esr coturn janus rtpengine-daemon sip-tester tshark

.PHONY: run test truth lint bench bench-causes clean constraints debian
.DELETE_ON_ERROR:

run: $(VENV)/run.stamp
	@exec $(BIN)/roomtone demo --data $(DATA) $(RUN_FLAGS)

test: debian lint
	$(BIN)/pytest $(PYTEST_FLAGS) --ignore=tests/truth
	$(BIN)/pytest -q tests/truth

# Real calls against the wire, eight minutes. After the others, for they need the machine for
# themselves: what runs beside them would be measured, too.
truth: debian $(VENV)/dev.stamp
	$(BIN)/pytest -q tests/truth

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/bench.stamp
	$(BIN)/python -m bench $(BENCH_FLAGS)

# Precision and recall of the causes on simulated meetings; writes them into docs/causes.md.
bench-causes: $(VENV)/dev.stamp
	$(BIN)/python -m bench causes

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist bench/out

# The first Python that is new enough, and uv to install with where there is one.
$(VENV)/made.stamp:
	@set -e; \
	for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  found=$$("$$python" -c 'import sys; print(sys.executable)'); break; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Roomtone needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V 2>&1). Say: make PYTHON=/path/to/python3.11" >&2; \
	  exit 1; \
	fi; \
	rm -rf $(VENV); \
	if command -v uv >/dev/null; then \
	  uv venv --quiet --python "$$found" $(VENV); \
	  echo 'exec uv pip install --quiet --python "$(BIN)/python" "$$@"' >$(PIP_INSTALL); \
	else \
	  "$$found" -m venv $(VENV); \
	  echo 'exec "$(BIN)/python" -m pip install --quiet --disable-pip-version-check "$$@"' >$(PIP_INSTALL); \
	fi; \
	touch $@

$(VENV)/run.stamp: $(VENV)/made.stamp pyproject.toml $(wildcard constraints.txt)
	sh $(PIP_INSTALL) $(CONSTRAINTS) -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/made.stamp pyproject.toml $(wildcard constraints.txt)
	sh $(PIP_INSTALL) $(CONSTRAINTS) -e '.[dev]'
	@touch $@ $(VENV)/run.stamp

$(VENV)/bench.stamp: $(VENV)/dev.stamp
	sh $(PIP_INSTALL) $(CONSTRAINTS) -e '.[dev,bench]'
	@touch $@

# What tests with a real browser and a lossy network need; without it they skip and say why.
# The packages' own daemons are not started: tests start what they need, where they need it.
debian:
	@missing=; \
	for package in $(DEBIAN); do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "Not installed:$$missing (packages of Debian; installing them needs root)"; exit 0; \
	fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	policy=/usr/sbin/policy-rc.d; \
	if [ ! -e $$policy ]; then \
	  trap "rm -f $$policy" EXIT; printf '#!/bin/sh\nexit 101\n' >$$policy; chmod 755 $$policy; \
	fi; \
	{ apt-get update -qq && apt-get install -qq -y --no-install-recommends $$missing >/dev/null; } \
	  || { echo "Could not install:$$missing" >&2; [ "$$CI" != true ]; }

# The versions that everything was tested with; written anew after a change of dependencies.
constraints: $(VENV)/dev.stamp
	uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-header --no-annotate \
	  --no-emit-index-url pyproject.toml --output-file constraints.txt
