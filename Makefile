# `make demo` is the first thing to try; `make help` lists the rest. Needs Python 3.11 or newer, git and make.
# The first that starts and is new enough: a shim of pyenv's may do neither.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
MAINTAIN = PYTHONPATH=generator $(BIN)/python -m maintain
DEMO ?= build/demo
TABLE := build/proofs.json

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(BIN)/.dev  ## install perfgen and what its tests need into .venv

demo: $(BIN)/.perfgen  ## write a service to build/demo
	@rm -rf $(DEMO) && mkdir -p $(dir $(DEMO))
	@$(BIN)/perfgen new $(notdir $(DEMO)) --output $(dir $(DEMO)) --defaults
	@echo; echo "perfgen itself: $(BIN)/perfgen new myservice"

test: $(BIN)/.dev  ## run the tests; ARGS="-k name" for some of them
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow" $(ARGS)

check: $(BIN)/.dev  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(MAINTAIN).readme --check

proofs: $(BIN)/.dev  ## every set of patterns started and tested, faults, kill -9, images
	@rm -f $(TABLE)
	$(BIN)/python -m pytest --table $(TABLE) -n 2 --dist worksteal -m "slow or proof" tests/template tests/generator $(ARGS)
	$(BIN)/python -m pytest --table $(TABLE) tests/proofs $(ARGS)

bench: $(BIN)/.bench  ## measure the generator and the generated service; ARGS=--quick to see that it works
	$(BIN)/python -m bench $(ARGS)

lock: $(BIN)/.dev  ## make uv.lock.jinja anew; ARGS=--upgrade for newer versions
	$(MAINTAIN).lock $(ARGS)

docs: $(BIN)/.dev  ## write the README's table of patterns and the text of perfgen --help
	$(MAINTAIN).readme
	$(MAINTAIN).overview

site: $(BIN)/.dev  ## build the documentation as a site in build/docs/site
	$(MAINTAIN).site

release: $(BIN)/.dev  ## write releases/<version>.bundle from the committed template
	$(BIN)/python -m perfgen.releases

clean:  ## remove what make has made
	rm -rf .venv build

# A stamp tells a finished environment from an interrupted one: without it, everything is made anew.
$(BIN)/.perfgen: pyproject.toml
	@test -n "$(PYTHON)" || \
		{ echo "perfgen needs Python 3.11 or newer; none was found. Name one with make PYTHON=..." >&2; exit 1; }
	@echo "Installing perfgen into .venv (once)"
	@test -e $(BIN)/.perfgen || $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --editable .
	@touch $@

$(BIN)/.dev: $(BIN)/.perfgen
	@echo "Installing what the tests need into .venv (once)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check "pip>=25.1"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --group dev
	@touch $@

$(BIN)/.bench: $(BIN)/.dev
	@$(BIN)/python -m pip install -q --disable-pip-version-check --group bench
	@touch $@

.PHONY: help setup demo test check proofs bench lock docs site release clean
