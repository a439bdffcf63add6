# Every version that pyproject.toml claims, and what is published. The sessions are in noxfile.py.
NOX := PATH="$(CURDIR)/.tools/venv/bin:$$PATH" $(RUN) -m nox
PINNED_AIRFLOWS := 2.11 3.0 3.1
# Airflow's own dependencies are taken as new as they are; this one would ask for a newer aiohttp than we do.
LOWEST_CONSTRAINTS := apache-airflow-providers-http<6
OLDEST_PYTHON = $(shell $(UV) python find --quiet 3.11 >/dev/null 2>&1 && echo 3.11 || echo 3.12)

.PHONY: test-oldest test-all dist matrix-requirements

test-oldest: $(INSTALLED) ## Run the quick tests of what touches Airflow with the oldest one, 2.11
	$(NOX) --session "tests(airflow-2.11-python-$(OLDEST_PYTHON))" -- \
		-m "not slow" $(addprefix --ignore=tests/,api compose docs formats packaging sandbox)

test-all: test ## Run the tests with every version of Airflow and Python that is here (half an hour)
	$(NOX)

dist: $(INSTALLED) ## Build wheel and sdist into dist/ and check them
	rm -rf dist
	$(UV) build --quiet
	$(RUN) -m twine check --strict dist/*
	$(RUN) -m check_wheel_contents dist/*.whl

# What is pinned stays where it can, unless UPGRADE=--upgrade. A lowest version has to be looked for each time.
matrix-requirements: $(UV) ## Pin the versions for the older Airflows and for our lower bounds
	@for airflow in $(PINNED_AIRFLOWS); do \
		echo "apache-airflow==$$airflow.*" | $(UV) pip compile --quiet --universal $(UPGRADE) --python-version 3.11 \
			--extra parquet --group test --custom-compile-command "make matrix-requirements" \
			--output-file requirements/airflow-$$airflow.txt pyproject.toml - || exit 1; \
	done
	@$(UV) pip compile --quiet --upgrade --python-version 3.11 --resolution lowest-direct --no-annotate \
		--constraints <(echo "$(LOWEST_CONSTRAINTS)") --extra parquet --group test \
		--custom-compile-command "make matrix-requirements" --output-file requirements/lowest.txt pyproject.toml
