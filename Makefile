# What a newcomer needs: make demo, make test. Everything is installed into .venv, nothing as root.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
DEMO := build/demo

# What some tests need beside Python packages: installed where this is root on Debian, else those tests skip.
DEBIAN := chromium fonts-dejavu-core curl systemd procmail bogofilter

.PHONY: demo test test-long lint format benchmarks audit clean

demo: $(VENV)/.installed
	$(BIN)/lmclassify fit data/subjects.csv --labels spam,ham -o $(DEMO)/model
	$(BIN)/lmclassify predict data/emails.csv -m $(DEMO)/model -o $(DEMO)/emails-labelled.csv
	@echo "labelled e-mails: $(DEMO)/emails-labelled.csv"

test: lint $(VENV)/.installed-debian
	$(BIN)/python -m pytest -n auto

test-long: $(VENV)/.installed-dev $(VENV)/.installed-debian
	$(BIN)/python -m pytest -m long

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Minutes: measures the figures of docs/benchmarks.md on the data sets in DATA.
DATA ?= ../shared/data
benchmarks: $(VENV)/.installed
	$(BIN)/python -m benchmarks.measurements $(DATA)

# Asks a database of known vulnerabilities about the pinned versions; fails where it cannot be asked about one.
AUDIT := build/audit
audit:
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(AUDIT)/bin/pip-audit --strict --no-deps --disable-pip -r constraints.txt

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	@echo "installing libraries into $(VENV) (about a minute)"
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.created pyproject.toml constraints.txt
	$(INSTALL) -e '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-debian: $(VENV)/.created Makefile
	@if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		dpkg -s $(DEBIAN) > /dev/null 2>&1 || { \
			echo "installing for the tests: $(DEBIAN)"; \
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
				apt-get install -qq -y --no-install-recommends $(DEBIAN) > /dev/null; }; \
	else \
		echo "not root on Debian: tests that need one of these skip where it is missing: $(DEBIAN)"; \
	fi
	@touch $@

clean:
	rm -rf $(VENV) build dist
