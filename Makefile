# Everything is installed into this folder: uv into .tools, the packages into .venv.
.DEFAULT_GOAL := help
SHELL := /bin/bash
export UV_PYTHON_DOWNLOADS := never
# Compile once. Otherwise every process that the tests start compiles Airflow again where Python must not write bytecode.
export UV_COMPILE_BYTECODE := 1
export PRE_COMMIT_HOME := .cache/pre-commit
# Like pip, trust the certificates of this machine: behind a company's proxy, no others work.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem /etc/pki/tls/certs/ca-bundle.crt),)
export UV_SYSTEM_CERTS ?= true
endif
# The first supported Python on this machine. Choose another one with: make install PYTHON=python3.13
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$name -c '$(SUPPORTED)' 2>/dev/null && command -v $$name && break; done)

UV := .tools/venv/bin/uv
AZURITE := 3.35.0
RUN := .venv/bin/python
INSTALLED := .venv/.installed
# Each worker starts its own S3 server. Four keep two cores busy, because many tests wait for Airflow.
WORKERS ?= 4
OLDEST_PYTHON = $(shell $(UV) python find --quiet 3.11 >/dev/null 2>&1 && echo 3.11 || echo 3.12)
NOX := PATH="$(CURDIR)/.tools/venv/bin:$$PATH" $(RUN) -m nox --noxfile dev/noxfile.py

.PHONY: help install azurite demo airflow test lint format docs test-oldest test-all test-large test-reads test-mariadb test-sending test-replies test-checkpoints \
	test-ui test-wheel test-constraints up down compose-test audit dist requirements matrix-requirements record check-live bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^##/ { print "\n" substr($$0, 4) } /^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' Makefile

## Try it

install: $(INSTALLED) ## Install the development versions of everything into .venv

azurite: ## Install Azurite, an emulator of Azure, for the tests that need it (Node.js, a minute)
	npm install --prefix .tools/azurite --no-save --no-fund --no-audit --loglevel error azurite@$(AZURITE)

demo: $(INSTALLED) ## Export a conversation from the sandbox to a real S3 server, with a real Airflow
	@$(RUN) -m dev.stack.demo

airflow: $(INSTALLED) ## The same, in Airflow's web interface, until Ctrl-C (PORT=8080)
	@$(RUN) -m dev.stack.standalone $(if $(PORT),--port $(PORT))

up: ## Start Airflow, the sandbox and an S3 store in containers, and wait until all are healthy
	@python3 -m dev.compose.make_env
	docker compose up --build --wait
	@echo "Airflow: http://$$(docker compose port api-server 8080)   user admin, password: AIRFLOW_ADMIN_PASSWORD in .env"

down: ## Stop the containers and keep their data (docker compose down --volumes deletes it)
	docker compose down --remove-orphans

## Change it

test: lint ## Run the checks, and all tests but those that wait for a scheduler (WORKERS=4)
	@echo "Tests with the newest Airflow: about ten minutes on two idle cores. Of one folder: $(RUN) -m pytest tests/api"
	@$(RUN) -m pytest -q -rfE -m "not scheduler" --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report=

lint: $(INSTALLED) ## Run the checks that pre-commit also runs before a commit
	@.venv/bin/pre-commit run --all-files

format: $(INSTALLED) ## Format the code and fix what ruff can fix
	$(RUN) -m ruff format
	$(RUN) -m ruff check --fix

docs: $(INSTALLED) ## Build the documentation in docs/_build/html; a warning is an error
	@$(RUN) -m dev.docs.embed
	@$(RUN) -m sphinx --builder html --fresh-env --write-all --fail-on-warning --keep-going --nitpicky --quiet docs docs/_build/html
	@echo "Documentation: docs/_build/html/index.html"

## Test more of it

test-oldest: $(INSTALLED) ## Run the quick tests that involve Airflow with the oldest supported version, 2.11
	$(NOX) --session "tests(airflow-2.11.0-python-$(OLDEST_PYTHON))"

test-all: test ## Run the other tests, too, and those of every version of Airflow and Python found here (an hour)
	$(RUN) -m pytest -q -m scheduler
	$(NOX)

test-large: $(INSTALLED) ## Test exports of 300 MB and of 1,000,000 messages (some minutes)
	IP1_LARGE_TESTS=1 $(RUN) -m pytest --timeout 0 tests/transfers/test_large_exports.py

test-reads: $(INSTALLED) ## Test paging with 150,000 random reads of servers that misbehave (an hour)
	IP1_READS=50000 $(RUN) -m pytest --timeout 0 tests/api/paging/test_misbehaving_servers.py tests/api/paging/test_tied_lists.py

test-mariadb: $(INSTALLED) ## Test paging with a real MariaDB (apt-get install mariadb-server; some minutes)
	$(RUN) -m pytest --timeout 0 tests/api/paging/test_mariadb.py

test-sending: $(INSTALLED) ## Test with 10,000 random runs that no SMS is sent twice (some minutes)
	SEND_ONCE_RUNS=10000 $(RUN) -m pytest --timeout 0 tests/client/test_send_once_machine.py tests/client/test_many_senders_machine.py

test-replies: $(INSTALLED) ## Test with 2,000 random runs that no reply is lost or handed out twice (some minutes)
	IP1_CURSOR_RUNS=2000 $(RUN) -m pytest --timeout 0 tests/api/watching/test_cursor.py tests/api/watching/test_account_cursor.py

test-checkpoints: $(INSTALLED) ## Test with 20,000 random accounts that an export with a checkpoint misses nothing (half an hour)
	IP1_CHECKPOINT_HISTORIES=20000 $(RUN) -m pytest --timeout 0 --numprocesses $(WORKERS) tests/checkpoints

test-ui: .venv/.installed-ui ## Test the connection form, runs and these docs in a browser (SCREENSHOTS=1 renews docs/images)
	@$(RUN) -m dev.chromium
	IP1_SCREENSHOTS=$(SCREENSHOTS) $(RUN) -m pytest tests/ui tests/ui_first_steps $(if $(SCREENSHOTS),tests/docs/test_tutorial.py)

compose-test: ## Run every example DAG in containers, with LocalExecutor and with Celery
	python3 -m dev.compose.compose_test local celery

bench: .venv-bench/.installed ## Compare the export with what people use instead (40 minutes; ONLY="csv parquet" ROUNDS=5)
	.venv-bench/bin/python -m benchmarks $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY))

check-live: $(INSTALLED) ## Compare the real iP.1 API with what this provider expects (IP1_API_KEY, IP1_PARTICIPANT)
	@$(RUN) -m dev.live.check

record: $(INSTALLED) ## Record the real iP.1 API into build/, without personal data (IP1_API_KEY, IP1_PARTICIPANT)
	@$(RUN) -m dev.live.record

audit: $(INSTALLED) ## Look up known vulnerabilities of the pinned versions, also of those under each Airflow's constraints
	@$(RUN) -m dev.audit

## Publish it

dist: $(INSTALLED) ## Build wheel and sdist into dist/ and check them
	rm -rf dist
	$(UV) build --quiet
	$(RUN) -m twine check --strict dist/*
	$(RUN) -m check_wheel_contents dist/*.whl

test-wheel: $(INSTALLED) ## Use the wheel in dist with the newest and the oldest Airflow, and list its dependencies (SBOM)
	$(NOX) --session wheel

test-constraints: $(INSTALLED) ## Resolve the wheel in dist under the constraints of each supported Airflow (CONSTRAINTS=folder)
	@$(RUN) -m dev.constraints dist/*.whl

requirements: $(UV) ## Pin what pyproject.toml asks for, in dev/requirements (UPGRADE=--upgrade for newer versions)
	$(PYTHON) -m dev.pin newest $(UPGRADE)

matrix-requirements: $(UV) ## The same for our lower bounds and, under their constraints, for the older Airflows
	$(PYTHON) -m dev.pin matrix $(UPGRADE)

## Clean up

clean: ## Delete everything that the other targets created here
	rm -rf .tools .venv .venv-bench .airflow .nox .cache .coverage .*_cache .hypothesis build dist docs/_build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Environments: each is installed again when its pinned versions change.

$(UV): dev/requirements/uv.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.14 found. Install one, or choose it: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -m dev.setup_uv

$(INSTALLED): dev/requirements/dev.txt pyproject.toml | $(UV)
.venv-bench/.installed: dev/requirements/bench.txt pyproject.toml | $(UV)
$(INSTALLED) .venv-bench/.installed:
	@test -x $(@D)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(@D)
	@echo "Installing into $(@D)"
	@$(UV) pip install --quiet --python $(@D)/bin/python --require-hashes --requirements $<
	@$(UV) pip install --quiet --python $(@D)/bin/python --no-deps --editable .
	@touch $@

.venv/.installed-ui: dev/requirements/ui.txt $(INSTALLED)
	@$(UV) pip install --quiet --python $(RUN) --require-hashes --requirements $<
	@touch $@
