# `make demo` and `make test` are all a newcomer needs. Everything is installed into .venv; nothing runs as root.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
DEMO := build/demo

# Compiled modules are kept, so that every process after the first starts faster.
unexport PYTHONDONTWRITEBYTECODE

# The test processes already keep the processor busy: more threads in each of them only slow them down.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

# Programs that some of the long tests use. `make test-all SETUP=apt` installs them; without them those tests skip.
# It removes nothing (another mail server, for example), and the system's Postfix stays without configuration.
DEBIAN := chromium fonts-dejavu-core curl procmail bogofilter systemd postfix miltertest dovecot-imapd dovecot-sieve

.PHONY: demo test test-all setup-apt docs lint format dist audit clean

demo: $(VENV)/.installed
	$(BIN)/lmclassify fit data/subjects.csv --labels spam,ham -o $(DEMO)/model
	$(BIN)/lmclassify predict data/emails.csv -m $(DEMO)/model -o $(DEMO)/emails-labelled.csv
	@echo "labelled e-mails: $(DEMO)/emails-labelled.csv"

# Lint, types and every test that is not long. No test here may skip.
test: lint
	LMCLASSIFY_NO_SKIPS=1 $(PYTEST) -n auto --dist worksteal

# What `make test` leaves out: the browser, Ray, mail programs, long and hostile cases.
test-all: $(VENV)/.installed-dev $(if $(SETUP),setup-$(SETUP))
	@mkdir -p build
	COVERAGE_FILE=build/coverage $(PYTEST) -m long -n 2 --dist loadgroup --cov --cov-report=
	@printf 'lines of lmclassify/ that the long tests run, in percent: '
	@$(BIN)/coverage report --data-file=build/coverage --format=total

setup-apt:
	@dpkg -s $(DEBIAN) > /dev/null 2>&1 || { \
		test "$$(id -u)" = 0 || { echo "SETUP=apt installs Debian packages: run it as root" >&2; exit 1; }; \
		echo "installing $(DEBIAN)"; \
		echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends --no-remove $(DEBIAN) > /dev/null; }

# The documentation as a site. A link or anchor that leads nowhere is an error.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "documentation: build/site/index.html"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The wheel and the source distribution, in dist/.
dist: $(VENV)/.installed-dev
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/python -m twine check --strict dist/*

# Looks the pinned versions up in a database of known vulnerabilities. Fails if one of them cannot be looked up.
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
	@echo "installing libraries and test tools into $(VENV) (a minute or two)"
	$(INSTALL) -e '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: $(VENV)/.created pyproject.toml constraints.txt
	@echo "installing libraries and mkdocs into $(VENV) (about a minute)"
	$(INSTALL) -e '.[docs]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist
