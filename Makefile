# The commands of this repository as targets; `make help` lists them.
#
# STACK=k2|modern and PYTHON=/a/python override what constraints/choose.sh chooses; a choice is kept
# in the environment, VENV. Each target does all the set-up that it needs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
$(if $(filter 1,$(words $(VENV))),,$(error VENV='$(VENV)': expected the path of an environment, without blanks))
STACK ?=
PYTHON ?=

# Not for `make help`: choosing asks interpreters for their versions.
ifneq ($(filter-out help,$(or $(MAKECMDGOALS),help)),)
CHOICE := $(shell constraints/choose.sh '$(VENV)' '$(STACK)' '$(PYTHON)')
$(if $(CHOICE),,$(error no Python to work with: see the line above))
CHOSEN_STACK := $(word 1,$(CHOICE))
INSTALLED := $(VENV)/$(word 2,$(CHOICE))
INTERPRETER := $(wordlist 3,$(words $(CHOICE)),$(CHOICE))
endif

# asrkd, python and the tools are the environment's in every recipe.
export PATH := $(if $(filter /%,$(VENV)),,$(CURDIR)/)$(VENV)/bin:$(PATH)

##@ Set-up

.PHONY: help
help:  ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {print "\n" substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-21s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(INSTALLED)  ## make the environment; STACK=k2|modern, PYTHON= and VENV= override the choice

$(INSTALLED): setup.cfg pyproject.toml constraints/$(CHOSEN_STACK).txt constraints/k2-wheel.txt \
  constraints/asrkd_mkl_on_amd.py constraints/install.sh
	@constraints/install.sh '$(VENV)' $(CHOSEN_STACK) $(@F) '$(INTERPRETER)'

##@ Tests

# tests/scheduling.py says how they share the tests.
WORKERS := -n 2 --dist loadgroup

.PHONY: test
test: $(INSTALLED)  ## all tests, quick and slow
	python -m pytest -q $(WORKERS)

.PHONY: quick
quick: $(INSTALLED)  ## the tests that take seconds
	python -m pytest -q -m "not slow and not gpu" $(WORKERS)

.PHONY: prove
prove: $(INSTALLED)  ## fifty kills over all commands, and all trials of the simulated intervals; a minute
	@python -m pytest -q --in-full tests/scoring/significance
	@asrkd selftest --out exp/prove --kills 50
	@cat exp/prove/log.txt

.PHONY: fuzz
fuzz: $(INSTALLED)  ## a minute of mutated inputs through the commands; those that fail are kept in exp/fuzz
	@python -m tests.fuzz --seconds 60

.PHONY: check
check: lint types quick  ## what must pass before a commit: lint, types, quick tests

.PHONY: lint
lint: $(INSTALLED)  ## style and likely bugs
	python -m ruff check asrkd tests docs constraints
	python -m ruff format --check asrkd tests docs constraints

.PHONY: types
types: $(INSTALLED)  ## static types
	python -m mypy $(MYPY_OPTIONS_$(CHOSEN_STACK))

# Half of torch 1.13 gives Any.
MYPY_OPTIONS_k2 := --no-warn-return-any

##@ Documents

.PHONY: docs
docs: $(INSTALLED)  ## docs/ as a site, references made from the code: exp/site/index.html
	@NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict --quiet
	@echo exp/site/index.html

##@ Pipelines

# The work is done by scripts, of commands that are skipped where they are complete; see stages/README.md.
SEEDS ?= 1
SIZE ?= demo
export SIZE SEEDS

TINY := $(if $(filter tiny,$(SIZE)),-tiny)
DIGITS := data/digits$(TINY)
DEMO := exp/demo$(TINY)

.PHONY: demo
demo: $(INSTALLED)  ## corpus, teacher, targets, students, table, report; SEEDS="1 2 3", SIZE=tiny for a minute
	@DATA=$(DIGITS) EXP=$(DEMO) bash stages/demo/run.sh digits

.PHONY: fsdd
fsdd: $(INSTALLED)  ## real spoken digits: make fsdd CORPUS=folder
	@SIZE=demo DATA=data/fsdd EXP=exp/fsdd bash stages/demo/run.sh fsdd

.PHONY: librispeech
librispeech: $(INSTALLED)  ## any LibriSpeech tree: make librispeech CORPUS=folder
	@SIZE=demo DATA=data/librispeech EXP=exp/librispeech bash stages/demo/run.sh librispeech

.PHONY: tables
tables: $(INSTALLED)  ## all tables of both corpora, deciding rows first: make tables CORPUS=fsdd-connected BUDGET=150m
	@bash stages/tables.sh

.PHONY: mvq-tables
mvq-tables: mvq-digits mvq-fsdd  ## MVQ-KD by codebooks, beside regression: make mvq-tables CORPUS=fsdd-connected; 95 minutes

.PHONY: mvq-digits
mvq-digits: $(INSTALLED)  ## the same on the demo's corpus alone, 71 minutes
	@DATA=$(DIGITS) EXP=$(DEMO) bash stages/mvq/run.sh digits

.PHONY: mvq-fsdd
mvq-fsdd: $(INSTALLED)  ## the same on real spoken digits alone: make mvq-fsdd CORPUS=folder
	@DATA=data/fsdd EXP=exp/fsdd$(TINY) bash stages/mvq/run.sh fsdd

.PHONY: sequence-tables
sequence-tables: $(INSTALLED)  ## Seq-KD and ERR-KD on the demo's corpus, 90 minutes; SEQUENCE_STUDENTS="ctc-small ..."
	@DATA=$(DIGITS) EXP=$(DEMO) bash stages/sequence/run.sh digits

.PHONY: sequence-tables-fsdd
sequence-tables-fsdd: $(INSTALLED)  ## the same of real spoken digits: make sequence-tables-fsdd CORPUS=folder
	@DATA=data/fsdd EXP=exp/fsdd$(TINY) bash stages/sequence/run.sh fsdd

.PHONY: tutornet-tables
tutornet-tables: $(INSTALLED)  ## TutorNet on the demo's corpus: teachers and students of different kinds, rivals, mixtures
	@DATA=$(DIGITS) EXP=$(DEMO) bash stages/tutornet/run.sh digits

.PHONY: tutornet-tables-fsdd
tutornet-tables-fsdd: $(INSTALLED)  ## the same of real spoken digits: make tutornet-tables-fsdd CORPUS=folder
	@DATA=data/fsdd EXP=exp/fsdd$(TINY) bash stages/tutornet/run.sh fsdd

.PHONY: transducer-tables
transducer-tables: $(INSTALLED)  ## transducers, offline and streaming, on the demo's corpus: MVQ-KD with delays, Seq-KD, ERR-KD
	@DATA=$(DIGITS) EXP=$(DEMO) bash stages/transducer/run.sh digits

.PHONY: transducer-tables-fsdd
transducer-tables-fsdd: $(INSTALLED)  ## the same of real spoken digits: make transducer-tables-fsdd CORPUS=folder
	@DATA=data/fsdd EXP=exp/fsdd$(TINY) bash stages/transducer/run.sh fsdd

.PHONY: scales-table
scales-table: $(INSTALLED)  ## whether a scale of 1 suits every frame objective, 30 minutes
	@DATA=$(DIGITS) EXP=$(DEMO) bash stages/scales/run.sh digits

##@ Measurements

.PHONY: bench
bench: $(INSTALLED)  ## speed and memory, as ratios measured side by side
	@python -m tests.bench
