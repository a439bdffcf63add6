# The local Airflow in containers: docs/docker-compose.md.
.PHONY: up down compose-test

up: ## Start a local Airflow with the sandbox and an S3 store, and wait until it is healthy
	@python3 -m dev.compose.make_env
	docker compose up --build --wait
	@echo "Airflow: http://$$(docker compose port api-server 8080)   user admin, password: AIRFLOW_ADMIN_PASSWORD in .env"

down: ## Stop it; the data stays (docker compose down --volumes deletes it)
	docker compose down --remove-orphans

compose-test: ## Run every example DAG in the real stack, with LocalExecutor and with Celery, then take it down
	python3 -m dev.compose.compose_test local celery
