# Each target does all of its own set-up, once. A fresh machine needs Python 3.10 or later, make and a C++ compiler.

PYTHON ?= python3
VENV ?= .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check

.PHONY: help demo test soak check docs lock sbom audit clean
.DELETE_ON_ERROR:

help:
	@echo "make demo   install into $(VENV) and let the demo model answer"
	@echo "make test   install and run the tests"
	@echo "make soak   run the tests that take minutes"
	@echo "make check  formatting, lint, types and tests"
	@echo "make docs   the documentation as a site, in site/"
	@echo "make lock   requirements.lock: every package with its hashes, for pip install --require-hashes"
	@echo "make sbom   sbom.json: what is installed, as CycloneDX"
	@echo "make audit  known vulnerabilities of what is installed; asks a public database"
	@echo "make clean  remove $(VENV) and caches; downloaded models and databases stay"

demo: $(VENV)/.installed
	$(VENV)/bin/python sample.py

test: $(VENV)/.installed-test
	$(VENV)/bin/python -m pytest -m "not soak"

soak: $(VENV)/.installed-test
	$(VENV)/bin/python -m pytest -m soak

check: $(VENV)/.installed-check
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest -m "not soak"

docs: $(VENV)/.installed-docs
	$(VENV)/bin/zensical build --strict

lock: $(VENV)/.installed-supply
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate --no-header \
		--output-file requirements.lock requirements.txt

sbom: $(VENV)/.installed-supply
	$(VENV)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o sbom.json $(VENV)

audit: $(VENV)/.installed-supply
	$(VENV)/bin/pip-audit --local --skip-editable

clean:
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps say what is installed, so that a second `make` starts at once.
$(VENV)/.installed: requirements.txt pyproject.toml | $(VENV)/bin/python
	@command -v $(CXX) >/dev/null || { \
		echo "No C++ compiler ('$(CXX)') found. llama.cpp is compiled during the installation and needs one:"; \
		echo "install g++ (Debian and Ubuntu: apt install g++) or name yours with 'make CXX=...'."; exit 1; }
	@echo "Installing. llama-cpp-python is compiled from source, which takes several minutes the first time;"
	@echo "while its line says 'Building wheel', the compiler is at work."
	$(PIP) install -r requirements.txt
	$(PIP) install --no-deps --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) install -r requirements.txt --editable ".[test]"
	@touch $@

$(VENV)/.installed-check: $(VENV)/.installed-test
	$(PIP) install -r requirements.txt --editable ".[test,check]"
	@touch $@

$(VENV)/.installed-supply: $(VENV)/.installed
	$(PIP) install -r requirements.txt --editable ".[supply]"
	@touch $@

# Needs nothing of the library, so that a page can be read before it is compiled.
$(VENV)/.installed-docs: pyproject.toml | $(VENV)/bin/python
	$(PIP) install "zensical>=0.0.73,<0.2"
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "Python 3.10 or later is needed and '$(PYTHON)' is not that. Name another with 'make PYTHON=...'."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make virtual environments (Debian and Ubuntu: apt install python3-venv)."; exit 1; }
	$(PYTHON) -m venv $(VENV)
