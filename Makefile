# Everything is installed into this folder: uv into .tools, the packages into .venv.
.DEFAULT_GOAL := help
SHELL := /bin/bash
export UV_PYTHON_DOWNLOADS := never
# Trust what this machine trusts, as pip does: behind a company's proxy only its own authority works.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem /etc/pki/tls/certs/ca-bundle.crt),)
export UV_SYSTEM_CERTS ?= true
endif

# The first Python here that this project is tested with. Choose another: make test PYTHON=python3.13
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$python && break; \
	done)
endif

UV := .tools/venv/bin/uv
VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

.PHONY: help install demo airflow test lint format requirements clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Install the development versions of everything into .venv

demo: $(INSTALLED) ## Read a conversation from the sandbox and write it to a real S3 server, with a real Airflow
	@$(RUN) -m dev.stack.demo

airflow: $(INSTALLED) ## The same, in Airflow's web interface, until Ctrl-C (PORT=8080)
	@$(RUN) -m dev.stack.standalone $(if $(PORT),--port $(PORT))

test: lint ## Run the checks and the tests
	$(RUN) -m pytest

lint: $(INSTALLED) ## Run the checks: ruff, mypy, zizmor
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy
	$(VENV)/bin/zizmor --offline --quiet .github

format: $(INSTALLED) ## Format the code and mend what ruff can mend
	$(RUN) -m ruff format
	$(RUN) -m ruff check --fix

requirements: $(UV) ## Pin the newest development versions in requirements/
	$(UV) pip compile --quiet --universal --upgrade --python-version 3.11 --extra parquet --group dev \
		--custom-compile-command "make requirements" --output-file requirements/dev.txt pyproject.toml

clean: ## Delete what the other targets made here
	rm -rf .tools $(VENV) .airflow .nox .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist docs/_build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A Python without ensurepip (Debian without python3-venv) can still use its own pip for the new environment.
$(UV):
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found. Install one, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Setting up uv in .tools"
	@rm -rf .tools/venv
	@if $(PYTHON) -m venv .tools/venv >/dev/null 2>&1; then \
		.tools/venv/bin/python -m pip install --quiet --disable-pip-version-check uv; \
	else \
		$(PYTHON) -m venv --clear --without-pip .tools/venv && \
		{ $(PYTHON) -m pip --python .tools/venv/bin/python install --quiet --disable-pip-version-check uv || \
		{ echo "This Python has neither ensurepip nor pip. Install python3-venv or python3-pip." >&2; exit 1; }; }; \
	fi

$(INSTALLED): requirements/dev.txt pyproject.toml | $(UV)
	@test -x $(RUN) || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	@echo "Installing into $(VENV)"
	@$(UV) pip install --quiet --python $(RUN) --requirements requirements/dev.txt
	@$(UV) pip install --quiet --python $(RUN) --no-deps --editable .
	@touch $@

include $(wildcard make/*.mk)
