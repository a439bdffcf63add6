# dlt's S3 support pins an older botocore, so the benchmarks have an environment of their own.
BENCH_VENV := .venv-bench
BENCH_INSTALLED := $(BENCH_VENV)/.installed

.PHONY: bench bench-requirements

bench: $(BENCH_INSTALLED) ## Measure the export against what people use instead (ROUNDS=3: half an hour)
	$(BENCH_VENV)/bin/python -m benchmarks.export $(if $(ROUNDS),--rounds $(ROUNDS))

bench-requirements: $(UV) ## Pin the newest versions for the benchmarks
	$(UV) pip compile --quiet --universal --upgrade --python-version 3.11 --extra parquet --group bench \
		--custom-compile-command "make bench-requirements" --output-file requirements/bench.txt pyproject.toml

$(BENCH_INSTALLED): requirements/bench.txt pyproject.toml | $(UV)
	@test -x $(BENCH_VENV)/bin/python || $(UV) venv --quiet --python $(PYTHON) $(BENCH_VENV)
	@$(UV) pip install --quiet --python $(BENCH_VENV)/bin/python --requirements requirements/bench.txt
	@$(UV) pip install --quiet --python $(BENCH_VENV)/bin/python --no-deps --editable .
	@touch $@
