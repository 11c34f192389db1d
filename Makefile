# Papers That Run. `make book` and `make test` need Python 3.11 and make, nothing else.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
# The environment is ready when the stamp of these files' content is there; a change makes a new one.
STAMP  := $(VENV)/.ready-$(shell cat requirements.txt constraints.txt pyproject.toml | cksum | tr ' ' '-')
RUN    := $(VENV)/bin/python -m src.book
# Snakemake for clusters (workflow/) has an environment of its own: it leaves the book's pins alone.
WORKFLOW := .venv-workflow
# What plants mistakes (tests/mutation) has one too.
MUTATE := .venv-mutate
PROFILE ?= cpu
# What is given on the command line reaches the commands through the environment: neither make nor
# the shell reads it as words of their own.
override CHAPTER := $(value CHAPTER)
override PROFILE := $(value PROFILE)
override SEEDS := $(value SEEDS)
override PART := $(value PART)
override PAPER := $(value PAPER)
override REPOSITORY := $(value REPOSITORY)
override MODULE := $(value MODULE)
override TESTS := $(value TESTS)
override JOBS := $(value JOBS)
override COUNT := $(value COUNT)
export CHAPTER PROFILE SEEDS PART PAPER REPOSITORY MODULE TESTS JOBS COUNT
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help book test lint site accept results drift bench mutate times check new configure lock audit workflow clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

book: $(STAMP)  ## run what changed and render the book into _build/html
	@$(RUN) book

test: $(STAMP)  ## check everything: units, chapters, references, the rendered book
	@$(VENV)/bin/python -m pytest tests chapters -n auto --maxprocesses 8 --dist loadfile \
	  --nbval-lax --nbval-current-env --nbval-cell-timeout 120

lint: $(STAMP)  ## style, format and import rules
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/lint-imports --no-logo >/dev/null || $(VENV)/bin/lint-imports

site: $(STAMP)  ## render the book from the last runs, without running anything
	@$(RUN) site

accept: $(STAMP)  ## adopt the last quick runs as the new reference (CHAPTER=part/name for one)
	@set -f; $(RUN) accept -- $$CHAPTER

results: $(STAMP)  ## run a larger profile and write its ledger (PROFILE=cpu|gpu, CHAPTER=part/name, SEEDS=0-4)
	@set -f; $(RUN) results --profile="$$PROFILE" $${SEEDS:+--seeds="$$SEEDS"} -- $$CHAPTER

drift: $(STAMP)  ## run quick afresh and list every number that moved (CHAPTER=part/name for one)
	@set -f; $(RUN) drift -- $$CHAPTER

bench: $(STAMP)  ## measure the timing claims and write them to the ledger
	@for b in benchmarks/[a-z]*.py; do \
	  $(VENV)/bin/python -m "benchmarks.$$(basename "$$b" .py)" || exit 1; done

mutate: $(STAMP) $(MUTATE)/.ready  ## plant small mistakes, list those no test notices (MODULE=src/..., TESTS=, COUNT=40, JOBS=2)
	@set -f; $(VENV)/bin/python -m tests.mutation --tests="$$TESTS" $${COUNT:+--count="$$COUNT"} \
	  $${JOBS:+--jobs="$$JOBS"} -- $$MODULE

times: $(STAMP)  ## where the last runs' time went: start-up, imports, compute, rendering
	@$(RUN) times

check: $(STAMP)  ## the gates alone: references, catalogue, pairs
	@$(RUN) check

new: $(STAMP)  ## the files of a new chapter (PART=gnn CHAPTER=framelets PAPER=ufg)
	@$(RUN) new -- "$$PART" "$$CHAPTER" $${PAPER:+"$$PAPER"}

configure: $(STAMP)  ## set the repository's address (REPOSITORY=https://host/owner/name)
	@$(RUN) configure -- $${REPOSITORY:+"$$REPOSITORY"}

lock: $(STAMP)  ## write constraints.txt from the environment as it is
	@$(VENV)/bin/pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//' > constraints.txt

audit: $(STAMP)  ## ask whether a pinned package has a known vulnerability
	@$(VENV)/bin/python .ci/audit

workflow: $(STAMP)  ## set up Snakemake in an environment of its own, for clusters (see workflow/)
	@$(VENV)/bin/python -m venv $(WORKFLOW)
	@$(WORKFLOW)/bin/python -m pip install -q --disable-pip-version-check -r requirements-workflow.txt
	@echo "Snakemake $$($(WORKFLOW)/bin/snakemake --version) is ready: $(WORKFLOW)/bin/snakemake"

$(MUTATE)/.ready: requirements-mutate.txt | $(STAMP)
	@$(VENV)/bin/python -m venv --clear $(MUTATE)
	@$(MUTATE)/bin/python -m pip install -q --disable-pip-version-check -r requirements-mutate.txt
	@touch $@

clean:  ## remove everything that was built (the environment stays)
	rm -rf _build

$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "The book's environment is made with Python 3.11; $(PYTHON) is $$($(PYTHON) -V 2>&1)."; \
	  echo "Install Python 3.11, or name it: make book PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up $(VENV) (about 1.6 GB with the CPU build of PyTorch, 6 GB with CUDA; see README)"
	@$(VENV)/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	  || $(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/python -m pip install -q --disable-pip-version-check -r requirements.txt -c constraints.txt
	@$(VENV)/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.ready-*
	@touch $@
