# Two commands on a fresh machine: make demo, make test. Both can be run again at any time.

PYTHON ?= python3.11
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo test install clean

help:
	@echo "make demo   install into .venv, index the sample corpus, ask two questions"
	@echo "make test   install the test tools, run lint, types and tests"
	@echo "make clean  remove .venv and what demo and runs left behind"

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) here. Install Python 3.11, or type: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "$(PYTHON) is $$($(PYTHON) -V); Python 3.11 is the version this is tested on."; exit 1; }
	@test -x $(BIN)/python || { echo "Making .venv ..."; $(PYTHON) -m venv .venv; }
	@echo "Installing footnote into .venv (1.5 GB with torch; some minutes) ..."
	@$(PIP) install --quiet --upgrade "pip>=25.1"
	@$(PIP) install --quiet -c constraints.txt -e '.[ui,office,watch]'
	@touch $@

.venv/tested: .venv/installed
	@echo "Installing the test tools ..."
	@$(PIP) install --quiet -c constraints.txt --group dev -e '.[ui,office,watch,notebook,langchain,serve,mcp]'
	@touch $@

demo: .venv/installed
	@echo; echo "$$ rag sync evals/suites/sample/docs --index .rag-demo"
	@$(BIN)/rag sync evals/suites/sample/docs --index .rag-demo
	@echo; echo '$$ rag ask "Why does the lighthouse have a yellow band?" --index .rag-demo'
	@$(BIN)/rag ask "Why does the lighthouse have a yellow band?" --index .rag-demo
	@echo; echo '$$ rag ask "In which year was the fog siren at Skarn Head silenced?" --index .rag-demo'
	@$(BIN)/rag ask "In which year was the fog siren at Skarn Head silenced?" --index .rag-demo
	@echo; echo "Next:"
	@echo "  source .venv/bin/activate"
	@echo "  rag ui --index .rag-demo            # the same in your browser"
	@echo "  rag sync ~/Documents/some-folder    # your own files, into ./.rag"
	@echo '  rag ask "..."'

test: .venv/tested
	@$(PIP) check
	@echo "Lint ..."
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@echo "Types ..."
	@$(BIN)/mypy
	@echo "Tests ..."
	@$(BIN)/python -m pytest

clean:
	rm -rf .venv .rag-demo runs
