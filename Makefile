# One command each; `make` alone lists them. Sets up what it needs by itself.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# uv from the PATH, else one that pip puts into .uv (works on Debian's externally managed Python too).
UV := $(shell command -v uv || echo .uv/bin/uv)
PYTEST_WORKERS ?= 2
export UV_PYTHON_DOWNLOADS ?= never
# Where the system knows certificates, a company's own proxy is among them; uv's own list has it not.
export UV_SYSTEM_CERTS ?= $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),true,false)

.uv/bin/uv:
	python3 -m pip install --quiet --disable-pip-version-check --target .uv 'uv>=0.8'

.venv/.ready: pyproject.toml uv.lock | $(filter .uv/bin/uv,$(UV))
	$(UV) sync --quiet --locked --all-extras
	@touch $@

.PHONY: help
help: ## List what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1	\2/' | expand -t 22

.PHONY: setup
setup: .venv/.ready ## Install everything into .venv

.PHONY: run
run: .venv/.ready ## Start the bot from maint.yaml
	.venv/bin/maint serve

.PHONY: demo
demo: .venv/.ready ## Try Maint in the browser, without a Slack workspace
	.venv/bin/maint demo --with-services

.PHONY: test
test: lint ## Check and test everything, as CI does
	.venv/bin/pytest -n $(PYTEST_WORKERS) --ignore=tests/browser
	@# By themselves: beside a browser there is no processor left for two workers.
	.venv/bin/pytest tests/browser

.PHONY: kubernetes
kubernetes: .venv/.ready ## Test the Kubernetes steps on a real control plane (etcd and kube-* from the PATH)
	MAINT_TEST_KUBERNETES=programs .venv/bin/pytest tests/steps/kubernetes --timeout 180

.PHONY: zones
zones: .venv/.ready ## Test the times of schedules over a year in every time zone that there is (some ten minutes)
	MAINT_TEST_ZONES=all .venv/bin/pytest -n $(PYTEST_WORKERS) tests/schedules/test_fire_times.py

KILLS ?= 100

.PHONY: torture
torture: .venv/.ready ## Kill Maint some 200 times at random moments, and at each of its writes (KILLS=100 on each database)
	MAINT_TEST_FAULTS=all .venv/bin/pytest tests/faults/test_every_write.py --timeout 600
	.venv/bin/python -m tests.faults --kills $(KILLS)

.PHONY: lint
lint: .venv/.ready ## Check style, types and the direction of imports
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

.PHONY: format
format: .venv/.ready ## Format the code
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

.PHONY: bench
bench: .venv/.ready ## Measure against the named limits, and print a table
	.venv/bin/python -m benchmarks

.PHONY: screenshots
screenshots: .venv/.ready ## Make the pictures in docs/images anew (needs chromium)
	.venv/bin/python -m tests.browser.screenshots

.PHONY: docs
docs: .venv/.ready ## Make the tables in docs/writing-runbooks.md and docs/security.md anew
	.venv/bin/python -m tests.keys_in_docs
	.venv/bin/python -m tests.security.table

.PHONY: sbom
sbom: .venv/.ready ## Write what an installation consists of, as CycloneDX, to sbom.json
	$(UV) export --quiet --locked --all-extras --no-dev --format cyclonedx1.5 --output-file sbom.json
