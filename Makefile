# `make` lists what there is. Every target makes its own environment (.venv) first, and only when it has changed.

# Of the two services of `make demo`; the time tracker's is the next one unless it is named.
PORT ?= 5000
TIMETRACKER_PORT ?=

# The first Python that is new enough, unless PYTHON names one: `make test PYTHON=python3.13`.
ifeq ($(origin PYTHON),undefined)
PYTHON := $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11 python,\
	$(shell command -v $(p) >/dev/null 2>&1 && $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
VENV ?= .venv
else
VENV ?= .venv-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
endif
PY = $(VENV)/bin/python

# Two workers on two cores; what a test must have for itself (a database) its fixture makes.
WORKERS ?= -n auto --maxprocesses 4 --dist worksteal
# With every service required (as in .ci/run) nothing is skipped, and only then the coverage means something.
COVERAGE = $(if $(LINKED_AUTH_TEST_REQUIRE),--cov --cov-report=term --cov-fail-under=95)
# For a second look, one after the other, at the files in which something failed: AGAIN="tests/test_a.py tests/test_b.py".
AGAIN ?=
# Other software to speak with, in environments of its own. `make peers` makes them; so does whoever requires them.
PEERS = .venv-peers/.for-tests tests/peers/node/node_modules/.made
WANTED = $(if $(filter peers,$(LINKED_AUTH_TEST_REQUIRE)),$(PEERS))
# Further options of pytest.
OPTIONS ?=
EXTRAS = async,docs-ui,redis,postgresql,example
TYPED = $(wildcard flask_linked_auth example_blog example_timetracker benchmarks tests/typing)
PIP = -m pip install -qq --disable-pip-version-check

.PHONY: help demo test proof browser peers docs html bench lint format types messages floors postman package clean

help:
	@echo "make demo      two linked services: a blog on http://localhost:$(PORT), a time tracker on the next port"
	@echo "               (others: make demo PORT=8000 TIMETRACKER_PORT=9000)"
	@echo "make test      the tests; those that want PostgreSQL, Redis or the peers are skipped where there are none"
	@echo "make proof     the longer tests, which take a promise to its limits (load, many processes, many hits)"
	@echo "make docs      docs/ as HTML, and the tests of it and README.md"
	@echo "make floors    the package, on the lowest versions of the dependencies"
	@echo "make browser   the pages in Chromium, by Playwright (wants /usr/bin/chromium and npm)"
	@echo "make peers     with other software that speaks the same protocols, in .venv-peers (wants npm)"
	@echo "make postman   the Postman collections of the examples, by newman (wants npm)"
	@echo "make bench     what a guard costs, and a call to another service"
	@echo "make lint      ruff; make format lets it change the files"
	@echo "make types     mypy --strict"
	@echo "make messages  collect the texts, say which lack a translation, and compile the catalogs"
	@echo "make package   the wheel, in dist/, and an import from it"
	@echo "make clean     away with environments, caches and what was built"
	@echo "Another Python: make test PYTHON=python3.13"

# The virtual environment, and a stamp for each set of packages in it.

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is not Python 3.11 or newer." >&2; exit 1; }
	@echo "Making $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.for-demo: $(VENV)/.made pyproject.toml
	@echo "Installing the examples and what they need ..."
	@$(PY) $(PIP) -e '.[example]'
	@touch $@

$(VENV)/.for-tests: $(VENV)/.made pyproject.toml
	@echo "Installing what the tests and checks need ..."
	@$(PY) $(PIP) --upgrade 'pip>=25.1'
	@$(PY) $(PIP) -e '.[$(EXTRAS)]' --group dev
	@touch $@ $(VENV)/.for-demo

$(VENV)/.for-browser: $(VENV)/.for-tests pyproject.toml
	@echo "Installing what drives a browser ..."
	@$(PY) $(PIP) --group browser
	@touch $@

$(VENV)/.for-docs: $(VENV)/.for-demo pyproject.toml
	@echo "Installing what the pages are made with ..."
	@$(PY) $(PIP) --upgrade 'pip>=25.1'
	@$(PY) $(PIP) --group docs
	@touch $@

.venv-lowest/.for-tests: pyproject.toml tests/constraints-lowest.txt
	@echo "Installing the lowest versions ..."
	@$(PYTHON) -m venv --clear .venv-lowest
	@.venv-lowest/bin/python $(PIP) --upgrade 'pip>=25.1'
	@.venv-lowest/bin/python $(PIP) -e '.[$(EXTRAS)]' --group test -c tests/constraints-lowest.txt
	@touch $@

.venv-peers/.for-tests: tests/peers/requirements.txt
	@echo "Installing the Django package that the tests speak with ..."
	@$(PYTHON) -m venv --clear .venv-peers
	@.venv-peers/bin/python $(PIP) -r tests/peers/requirements.txt
	@touch $@

tests/peers/node/node_modules/.made: tests/peers/node/package.json tests/peers/node/package-lock.json
	@command -v npm >/dev/null || { echo "make peers wants npm, and there is none." >&2; exit 1; }
	@echo "Installing the signatures of npm ..."
	@npm ci --prefix tests/peers/node --silent --no-audit --no-fund
	@touch $@

tests/postman/node_modules/.made: tests/postman/package.json tests/postman/package-lock.json
	@command -v npm >/dev/null || { echo "make postman wants npm, and there is none." >&2; exit 1; }
	@echo "Installing newman ..."
	@npm ci --prefix tests/postman --silent --no-audit --no-fund
	@touch $@

tests/browser/node_modules/.made: tests/browser/package.json tests/browser/package-lock.json
	@command -v npm >/dev/null || { echo "make browser wants npm, and there is none." >&2; exit 1; }
	@echo "Installing axe-core ..."
	@npm ci --prefix tests/browser --silent --no-audit --no-fund
	@touch $@

# The two commands of the README.

demo: $(VENV)/.for-demo
	@PORT=$(PORT) TIMETRACKER_PORT=$(TIMETRACKER_PORT) exec $(PY) -m example_blog.demo

test: $(VENV)/.for-tests $(WANTED)
	@$(PY) -m pytest -q $(or $(AGAIN),$(WORKERS)) -m "not proof" $(if $(AGAIN),,$(COVERAGE)) $(OPTIONS)

# The rest.

proof: $(VENV)/.for-tests
	@$(PY) -m pytest -q -m proof

# A warning (a link that leads nowhere, a page that is in no list) is an error.
html: $(VENV)/.for-docs
	@$(PY) -m sphinx -W --keep-going -q -b html -d docs/_build/doctrees docs docs/_build/html
	@echo "The pages are in docs/_build/html."

docs: html $(VENV)/.for-tests
	@$(PY) -m pytest -q tests/docs

bench: $(VENV)/.for-tests
	@$(PY) benchmarks/guards.py
	@$(PY) -m benchmarks.linked_apps
	@$(PY) benchmarks/service.py

lint: $(VENV)/.for-tests
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .

format: $(VENV)/.for-tests
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

types: $(VENV)/.for-tests
	@$(PY) -m mypy --strict $(TYPED)

messages: $(VENV)/.for-tests
	@$(PY) -m tests.messages

# Old releases may warn of what newer ones put right: here warnings are no errors. The pages and the examples say nothing
# of old releases, nor does what an outage does; the other software speaks to one version as to another, and another
# extension's guards are measured beside its newest ones.
FLOORS = $(or $(AGAIN),$(WORKERS) --ignore-glob=tests/example_* $(patsubst %,--ignore=tests/%,docs faults peers test_guard_cost.py))
floors: .venv-lowest/.for-tests
	@.venv-lowest/bin/python -m pytest -q $(FLOORS) -m "not proof" -W default -o cache_dir=.venv-lowest/.pytest_cache $(OPTIONS)

# With LINKED_AUTH_TEST_SHOTS=<folder> it leaves pictures of every page there.
browser: $(VENV)/.for-browser tests/browser/node_modules/.made
	@$(PY) -m pytest -q $(or $(AGAIN),tests/browser) $(OPTIONS)

peers: $(VENV)/.for-tests $(PEERS)
	@$(PY) -m pytest -q $(AGAIN) tests/peers

postman: $(VENV)/.for-tests tests/postman/node_modules/.made
	@$(PY) .ci/postman.py

package: $(VENV)/.for-tests
	@rm -rf dist build
	@$(PY) -m pip wheel -qq --no-deps -w dist .
	@cd dist && ../$(PY) -c 'import glob, sys; sys.path.insert(0, *glob.glob("*.whl")); \
		import flask_linked_auth as package; assert ".whl" in package.__file__; \
		[getattr(package, name) for name in package.__all__]; print("imported from", *glob.glob("*.whl"))'
	@rm -rf build

clean:
	rm -rf .venv .venv-* build dist docs/_build *.egg-info htmlcov .coverage .coverage.*
	rm -rf tests/*/node_modules tests/*/*/node_modules
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
