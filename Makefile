# Everything a person does here, as targets; `make help` lists them, `make -n TARGET` shows what is stale.
#
# STACK=k2|modern and PYTHON=/a/python override what constraints/choose.sh chooses; a choice is kept
# in the environment, VENV. Each target does all the set-up that it needs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
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
	python -m ruff check asrkd tests
	python -m ruff format --check asrkd tests

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

# Trainings side by side, a thread each: three share two cores without an idle end. Every stage says by its stamp
# that it is done.
PARALLEL := --no-print-directory -j3
SEEDS ?= 1
SIZE ?= demo
export SIZE

include stages/pipeline.mk stages/mvq.mk stages/sequence.mk

TINY := $(if $(filter tiny,$(SIZE)),-tiny)
DIGITS := data/digits$(TINY)
DEMO := exp/demo$(TINY)
DEMO_STUDENTS := seq-kd mvq-kd mvq-kd+seq-kd
STUDENTS := seq-kd mvq-kd

# Seed 1's systems lie in exp/demo itself, those of another in exp/demo/seed-N.
demo-folder = $(DEMO)$(if $(filter-out 1,$(1)),/seed-$(1))
DEMO_SEEDS := $(sort $(SEEDS))
DEMO_SYSTEMS := $(foreach seed,$(DEMO_SEEDS),$(addprefix $(call demo-folder,$(seed))/,teacher baseline $(DEMO_STUDENTS)))
# Results of other seeds have names of their own: compare-seeds-1-2-3.json.
EMPTY :=
DEMO_NAMED := $(if $(filter-out 1,$(DEMO_SEEDS)),-seeds-$(subst $(EMPTY) $(EMPTY),-,$(DEMO_SEEDS)))
DEMO_COMPARED := $(DEMO)/compare$(DEMO_NAMED)
DEMO_REPORTED := $(DEMO)/report$(DEMO_NAMED)

.PHONY: demo
demo: $(INSTALLED)  ## corpus, teacher, targets, students, table, report; SEEDS="1 2 3", SIZE=tiny for a minute
	@$(MAKE) $(PARALLEL) $(DEMO_REPORTED).html
	@cat $(DEMO_COMPARED).txt $(DEMO_REPORTED).txt

.PHONY: fsdd
fsdd: $(INSTALLED)  ## real spoken digits: make fsdd CORPUS=folder
	@$(MAKE) $(PARALLEL) exp/fsdd/report.html
	@cat exp/fsdd/compare.txt exp/fsdd/report.txt

.PHONY: librispeech
librispeech: $(INSTALLED)  ## any LibriSpeech tree: make librispeech CORPUS=folder
	@$(MAKE) $(PARALLEL) exp/librispeech/report.html
	@cat exp/librispeech/compare.txt exp/librispeech/report.txt

.PHONY: mvq-tables
mvq-tables: $(INSTALLED)  ## MVQ-KD by codebooks, beside regression: make mvq-tables CORPUS=fsdd-connected; 95 minutes
	@$(MAKE) --no-print-directory mvq-digits
	@$(MAKE) --no-print-directory mvq-fsdd

.PHONY: sequence-tables
sequence-tables: $(INSTALLED)  ## Seq-KD and ERR-KD on the demo's corpus, 90 minutes; SEQUENCE_STUDENTS="ctc-small ..."
	@$(MAKE) --no-print-directory sequence-digits

.PHONY: sequence-tables-fsdd
sequence-tables-fsdd: $(INSTALLED)  ## the same of real spoken digits: make sequence-tables-fsdd CORPUS=folder
	@$(MAKE) --no-print-directory sequence-fsdd SEQUENCE_ROWS='$(filter-out fifth%,$(SEQUENCE_ROWS))'

$(DIGITS)/stamp.json:
	@DATA=$(DIGITS) bash stages/digits/00_prepare.sh && touch $@

# Whenever a corpus is named, prepare checks that it is the one that is there; make goes by the stamp's time.
data/fsdd/stamp.json data/librispeech/stamp.json: data/%/stamp.json: .FORCE
	@[[ -z $${CORPUS-} && -f $@ ]] || bash stages/$*/00_prepare.sh "$${CORPUS-}"

.FORCE:  # there is no such file, so what depends on it is always looked at

$(foreach seed,$(DEMO_SEEDS),$(eval $(call pipeline,digits,$(DIGITS),$(call demo-folder,$(seed)),\
  SEED=$(seed) DATA=$(DIGITS) EXP=$(call demo-folder,$(seed)),test,$(DEMO_STUDENTS))))
$(foreach corpus,fsdd librispeech,$(eval $(call pipeline,$(corpus),data/$(corpus),exp/$(corpus),\
  SIZE=demo DATA=data/$(corpus) EXP=exp/$(corpus),dev,$(STUDENTS))))
$(if $(TINY),$(eval $(call pipeline,fsdd,data/fsdd,exp/fsdd-tiny,DATA=data/fsdd EXP=exp/fsdd-tiny,dev,)))

$(eval $(call mvq,digits,$(DIGITS),$(DEMO),DATA=$(DIGITS) EXP=$(DEMO),test))
$(eval $(call mvq,fsdd,data/fsdd,exp/fsdd$(TINY),DATA=data/fsdd EXP=exp/fsdd$(TINY),dev))

$(eval $(call sequence,digits,$(DIGITS),$(DEMO),DATA=$(DIGITS) EXP=$(DEMO),test))
$(eval $(call sequence,fsdd,data/fsdd,exp/fsdd$(TINY),DATA=data/fsdd EXP=exp/fsdd$(TINY),dev))

# Costs are measured when the other jobs are done: the table depends on all of them. The text is for people.
# A compare.json of several seeds, as it was once called too, is made anew.
$(DEMO_COMPARED).json: $(addsuffix /score-test/stamp.json,$(DEMO_SYSTEMS)) \
  $(if $(DEMO_NAMED),,$(if $(shell grep -s '"$(DEMO)/seed-' $(DEMO)/compare.json),.FORCE))
	@asrkd compare $(DEMO_SYSTEMS) --costs $(DIGITS)/cuts_test.jsonl.gz --out $@ > $(DEMO_COMPARED).txt

exp/fsdd/compare.json exp/librispeech/compare.json: exp/%/compare.json: \
  $(foreach system,teacher baseline $(STUDENTS),exp/%/$(system)/score-dev/stamp.json)
	@asrkd compare $(addprefix exp/$*/,teacher baseline $(STUDENTS)) --score score-dev \
	  --costs data/$*/cuts_dev.jsonl.gz --out $@ > $(@D)/compare.txt

# The page, and the line that says where it is.
$(DEMO_REPORTED).html: $(DEMO_COMPARED).json
	@asrkd report $(DEMO_SYSTEMS) --comparison $< --out $@ > $(DEMO_REPORTED).txt

exp/fsdd/report.html exp/librispeech/report.html: exp/%/report.html: exp/%/compare.json
	@asrkd report $(addprefix exp/$*/,teacher baseline $(STUDENTS)) --score score-dev --comparison $< --out $@ \
	  > $(@D)/report.txt

##@ Measurements

.PHONY: bench
bench: $(INSTALLED)  ## speed and memory, as ratios measured side by side
	@python -m tests.bench
