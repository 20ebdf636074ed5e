# The few commands of this project; CI calls the same ones.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# The certificates that this machine trusts: pip before 24.2 and uv bring others of their own.
STORE = $(shell $(PYTHON) -m local.certificates)
UV_SYSTEM_CERTS ?= 1
# Tests wait for servers most of the time; each worker has servers of its own (2 GB).
WORKERS ?= 2
BREAKING = $(filter command,$(firstword $(origin BREAK)))
# A test that hangs beyond its own time limit ends its worker, with what each thread was doing.
HANGS = --max-worker-restart=0 -o faulthandler_timeout=1000 -o faulthandler_exit_on_timeout=true
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(HANGS)
UV = $(if $(STORE),UV_SYSTEM_CERTS=$(UV_SYSTEM_CERTS) )$(BIN)/uv

.PHONY: help install run down clean test test-all test-compose matrix workers audit soak bench lint types format lock

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed  ## create .venv from the locked, hashed requirements

.venv/installed: requirements-dev.txt local/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit("Airflow needs Python 3.11 to 3.14: make PYTHON=python3.12 ...") if not (3, 11) <= sys.version_info < (3, 15) else None'
	@echo 'installing Airflow and the packages around it, $(shell grep -c == requirements-dev.txt) in all, into .venv: ten seconds or more, once'
	@$(PYTHON) -m venv .venv
	@$(if $(STORE),$(BIN)/python -m pip config list | grep cert= >/dev/null || export PIP_CERT=$(STORE); )$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r local/uv.txt
	@$(UV) pip sync --quiet --require-hashes --compile-bytecode --python $(BIN)/python requirements-dev.txt local/uv.txt
	@touch $@

run: install  ## PostgreSQL, Elasticsearch and Airflow for real, with 17,472 films (FILMS=1000000: generated ones; ONCE=1: stop after the first run)
	@$(BIN)/python -m local run $(if $(FILMS),--films $(FILMS)) $(if $(ONCE),--once)

down: install  ## stop what `make run` or `python -m local up` left running
	@$(BIN)/python -m local down

clean: install  ## stop what `make run` started and remove its data; .venv and .local/cache (jars) stay
	@$(BIN)/python -m local clean

test: install lint types  ## lint, types, and the tests on real servers (WORKERS=1: one after the other)
	$(PYTEST)

bench: install  ## how fast it is (FILMS=100000 ONLY=load|fanout|idle|reconcile|peers|delays|follow|reindex ROUNDS=3)
	@PYTHONPATH=plugins $(BIN)/python -m benchmarks $(if $(FILMS),--films $(FILMS)) $(if $(ONLY),--only $(ONLY)) $(if $(ROUNDS),--rounds $(ROUNDS))

test-all: install lint types  ## the same and the tests that take five seconds or more: what CI runs
	$(PYTEST) -m 'not soak' --durations=30 --durations-min=5

test-compose: install  ## the containers for real, and what befalls them: needs Docker with Compose 2.24 or later
	$(BIN)/python -m pytest tests/containers

matrix: install  ## the tests with other versions of PostgreSQL, Elasticsearch and Python (CELLS='elasticsearch-8.4.3 ...'; CELLS=--list names them)
	@WORKERS=$(WORKERS) $(BIN)/python -m tests.matrix $(CELLS)

workers: install  ## two Celery workers share a rebuild, and one is killed: needs redis-server (FILMS=500000)
	@PYTHONPATH=plugins $(BIN)/python -m tests.workers $(if $(FILMS),--films $(FILMS))

audit: install .local/audit/installed  ## ask the package index for known weaknesses of the locked packages
	@for lock in requirements.txt requirements-distributed.txt requirements-dev.txt local/uv.txt local/audit.txt; do \
		echo "$$lock:"; .local/audit/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off --requirement $$lock || failed=1; \
	done; exit $${failed:-0}

.local/audit/installed: local/audit.txt
	@$(UV) venv --quiet --clear --python $(BIN)/python .local/audit
	@$(UV) pip sync --quiet --require-hashes --python .local/audit/bin/python local/audit.txt
	@touch $@

soak: install  ## random histories with fresh seeds: MINUTES=60; BREAK=rule switches a protection off (BREAK= lists them), after the tests that take many minutes
	@$(if $(BREAKING),,$(BIN)/python -m pytest -q -m soak)
	@$(BIN)/python -m tests.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(BREAKING),--break='$(BREAK)')

lint: install  ## style of Python and SQL, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/sqlfluff lint --disable-progress-bar include/sql local benchmarks
	$(BIN)/codespell

types: install  ## mypy, strict
	$(BIN)/mypy

format: install  ## let ruff and sqlfluff format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix include/sql local benchmarks

lock: install  ## compile the requirement locks anew
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url requirements.in -o requirements.txt --custom-compile-command 'make lock'
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --overrides requirements-overrides.txt requirements-dev.in -o requirements-dev.txt --custom-compile-command 'make lock'
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url local/uv.in -o local/uv.txt --custom-compile-command 'make lock'
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url requirements-distributed.in -o requirements-distributed.txt --custom-compile-command 'make lock'
	$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url local/audit.in -o local/audit.txt --custom-compile-command 'make lock'
