# Two commands do everything: `make book` and `make test`. `make help` lists the rest.

.PHONY: help book test execute serve gpu pdf lint clean
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
HTML := _build/html
NB ?=

export OMP_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  \1@/p' $(MAKEFILE_LIST) | awk -F@ '{printf "%-10s %s\n", $$1, $$2}'

$(STAMP): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Say make PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(STAMP)

book: $(STAMP) ## build the HTML book from the stored outputs, warnings as errors
	$(BIN)/jupyter-book build . --all -W -n --keep-going --quiet
	@echo "The book is built: open $(HTML)/index.html, or type make serve"

test: lint book ## verify everything: unit tests, every notebook, the built site
	$(BIN)/python -m pytest tests --ignore=tests/site -n 2 --dist loadscope -q
	$(BIN)/python -m pytest --nbval chapters -n 2 --dist loadscope -q
	$(BIN)/python -m pytest tests/site -n 2 -q -rs

execute: $(STAMP) ## re-execute and store the notebooks, all or NB=path
	$(BIN)/python -m xent.chapter $(NB)

serve: book ## serve the built book on this machine, port 8000
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory $(HTML) 8000

gpu: $(STAMP) ## on a GPU: parity of every twin, then the benchmarks; writes results/
	$(BIN)/python -m experiments.gpu

pdf: book ## the whole book as one PDF, through Chromium
	$(BIN)/python -m book.pdf

lint: $(STAMP) ## ruff: rules everywhere, format of the Python files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean: ## remove what was built, keep the environment
	rm -rf _build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
