# Everything that people and CI run. PYTHON names the interpreter of an environment with requirements-dev.txt.
PYTHON ?= .venv/bin/python
BIN = $(dir $(PYTHON))
# With it, each of the many starts of the program in a test run compiles the program anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: check format lint types imports test test-pythons schemas requirements dist kafka-versions chaos simulation fuzz hostile mutants

# Two at a time: the types take one core for a while.
check:
	$(MAKE) --no-print-directory --jobs 2 lint types imports test

lint:
	$(BIN)ruff format --check .
	$(BIN)ruff check .

format:
	$(BIN)ruff format .
	$(BIN)ruff check --fix .

types:
	$(BIN)mypy

imports:
	$(BIN)lint-imports --no-cache

test:
	$(PYTHON) -m pytest -n auto --dist worksteal -m "not kafka and not clients" --cov --cov-report=term-missing

# The tests on each of these that is there, each in a new environment. With pyenv: PYENV_VERSION=3.12.1:3.13.0 make test-pythons
PYTHONS ?= python3.11 python3.12 python3.13 python3.14
test-pythons:
	@for python in $(PYTHONS); do \
		$$python -c "" 2>/dev/null || { echo "no $$python here"; continue; }; \
		echo "== $$($$python --version)"; \
		rm -rf .pythons && $$python -m venv .pythons && .pythons/bin/pip install --quiet -r requirements-dev.txt && \
		.pythons/bin/python -m pytest -n auto --dist worksteal -m "not kafka and not clients" $(TESTS) || exit 1; \
	done

# The committed JSON Schemas, from the code.
schemas:
	$(PYTHON) -m monitor.schemas monitor

requirements:
	$(BIN)pip-compile -q --generate-hashes --no-strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links -o requirements.txt requirements.in
	$(BIN)pip-compile -q --generate-hashes --no-strip-extras --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links -o requirements-dev.txt requirements-dev.in

# A wheel and a source distribution in dist/. Their version is that of monitor/version.py.
dist:
	$(PYTHON) -m build --no-isolation

# The oldest and the newest Apache Kafka that we promise; SCRAM without ZooKeeper begins with 3.5.
KAFKA_VERSIONS ?= 3.3.2 4.4.0
kafka-versions:
	for version in $(KAFKA_VERSIONS); do \
		KAFKA_VERSION=$$version $(PYTHON) -m pytest tests/delivery -m kafka_versions -k "not SCRAM" -rs || exit 1; \
	done

# Break everything, at random, and count what was lost: on Apache Kafka, then on the embedded servers.
chaos:
	$(PYTHON) -m tests.chaos
	$(PYTHON) -m tests.chaos.embedded
	$(PYTHON) -m tests.chaos.sharing

# Processes of one location in virtual time: which slots are missing, or checked twice? See docs/reliability.md.
simulation:
	$(PYTHON) -m tests.simulation --seeds 500

# Damaged messages and answers for ten minutes: each becomes a row, a dead letter or a result.
fuzz:
	$(PYTHON) -m tests.fuzz

# One hostile site, client or file after the other: do healthy monitors notice? See docs/security.md.
hostile:
	$(PYTHON) -m tests.hostile

# Change monitor/ at 200 random places, one at a time: do the tests notice? See docs/reliability.md.
mutants:
	$(PYTHON) -m tests.mutants
