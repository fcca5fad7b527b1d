# The tables of Seq-KD (Mun'im 2019) and ERR-KD (Kim 2019) as targets on stamps.
#
# $(call sequence,CORPUS,DATA,EXP,SETTINGS,SET) makes the rules of a corpus, and the target sequence-CORPUS: for each
# of SEQUENCE_STUDENTS every row with seed 1; for each of SEQUENCE_SEEDED then SEQUENCE_MORE_SEEDS of the deciding
# rows, and of ERR-KD with the beta that did best on dev, by the search of the table. Rows are told in
# 46_sequence_student.sh; students, of which any may be asked for, in sequence.sh.

SEQUENCE_ROWS := baseline k1-b5 k1-b10 k5-b5 k5-b10 k10-b10 err-1 err-2 err-5 posterior fifth fifth-k5-b5
SEQUENCE_DECIDING := baseline k5-b5 fifth-k5-b5
SEQUENCE_WITH_LM := baseline k5-b5 err-2
SEQUENCE_STUDENTS ?= joint-small
SEQUENCE_SEEDED ?= $(firstword $(SEQUENCE_STUDENTS))
SEQUENCE_MORE_SEEDS ?= 2 3

sequence-family = $(firstword $(subst -, ,$(1)))
sequence-scores = $(foreach row,$(4),$(1)/sequence/$(5)/seed-$(3)/$(row)/score-$(2)/stamp.json)
# Of all rows: by the search of the kind, and by the decoder alone where there is one.
sequence-sets = $(1) $(if $(filter ctc-%,$(2)),,$(1)-attention)
sequence-first = $(foreach set,$(call sequence-sets,$(2),$(3)),$(call sequence-scores,$(1),$(set),1,$(SEQUENCE_ROWS),$(3))) \
  $(foreach score,$(call sequence-sets,$(2),$(3)) $(2)-lm,$(1)/sequence/$(call sequence-family,$(3))/teacher/score-$(score)/stamp.json) \
  $(call sequence-scores,$(1),$(2)-lm,1,$(filter $(SEQUENCE_WITH_LM),$(SEQUENCE_ROWS)),$(3)) \
  $(call sequence-scores,$(1),dev,1,$(filter err-%,$(SEQUENCE_ROWS)),$(3))

define sequence
.PHONY: sequence-$(1) $(addprefix sequence-$(1)-,$(SEQUENCE_STUDENTS))
sequence-$(1):
	@$$(MAKE) --no-print-directory $(addprefix sequence-$(1)-,$(SEQUENCE_STUDENTS))
$(2)/cuts_train_fifth.jsonl.gz: $(2)/stamp.json
	@$(4) bash stages/06_sequence_cuts.sh $(1) && touch $$@
$(3)/sequence/lm/stamp.json: stages/$(1)/conf/lm.yaml $(2)/stamp.json
	@$(4) bash stages/16_sequence_teacher.sh $(1) lm && touch $$@
$(foreach student,$(SEQUENCE_STUDENTS),$(call sequence-student,$(1),$(2),$(3),$(4),$(5),$(student)))
$(foreach family,$(sort $(foreach student,$(SEQUENCE_STUDENTS),$(call sequence-family,$(student)))),$(call sequence-teacher,$(1),$(2),$(3),$(4),$(5),$(family)))
endef

define sequence-teacher
$(3)/sequence/$(6)/teacher/stamp.json: $(wildcard stages/$(1)/conf/*.yaml) $(2)/cuts_train_fifth.jsonl.gz
	@$(4) bash stages/16_sequence_teacher.sh $(1) $(6)- && touch $$@
$(3)/sequence/$(6)/nbest-%/stamp.json: $(3)/sequence/$(6)/teacher/stamp.json
	@$(4) bash stages/36_sequence_targets.sh $(1) $(6)- $$* && touch $$@
$(call sequence-score,$(1),$(3),$(4),$(5),$(6)-,$(6)/teacher)

endef

define sequence-score
$(2)/sequence/$(6)/score-$(4)/stamp.json: $(2)/sequence/$(6)/stamp.json
	@$(3) bash stages/52_sequence_score.sh $(1) $(5) $(6) && touch $$@
$(if $(filter dev,$(4)),,$(2)/sequence/$(6)/score-dev/stamp.json: $(2)/sequence/$(6)/stamp.json
	@SCORED=dev $(3) bash stages/52_sequence_score.sh $(1) $(5) $(6) && touch $$@)
$(2)/sequence/$(6)/score-$(4)-attention/stamp.json: $(2)/sequence/$(6)/stamp.json
	@$(3) bash stages/52_sequence_score.sh $(1) $(5) $(6) attention && touch $$@
$(2)/sequence/$(6)/score-$(4)-lm/stamp.json: $(2)/sequence/$(6)/stamp.json $(2)/sequence/lm/stamp.json
	@$(3) bash stages/52_sequence_score.sh $(1) $(5) $(6) lm && touch $$@

endef

define sequence-student
sequence-$(1)-$(6):
	@$$(MAKE) $$(PARALLEL) $(call sequence-first,$(3),$(5),$(6))
	@$(if $(filter $(6),$(SEQUENCE_SEEDED)),best=$$$$(bash stages/best_row.sh $(3)/sequence/$(6)/seed-1 score-dev/score.json \
	  $(filter err-%,$(SEQUENCE_ROWS)) 2> /dev/null || echo err-2) && $$(MAKE) $$(PARALLEL) $(foreach seed,1 $(SEQUENCE_MORE_SEEDS),\
	  $(foreach set,$(call sequence-sets,$(5),$(6)),$(call sequence-scores,$(3),$(set),$(seed),$(filter $(SEQUENCE_DECIDING),$(SEQUENCE_ROWS)) $$$$best,$(6)))))
	@$(4) bash stages/57_sequence_tables.sh $(1) $(6) $(SEQUENCE_ROWS)
	@cd $(3)/sequence/$(6) && tail -n +1 *.txt
$(foreach seed,1 $(SEQUENCE_MORE_SEEDS),$(foreach row,$(SEQUENCE_ROWS),$(call sequence-row,$(1),$(2),$(3),$(4),$(5),$(6),$(seed),$(row))))

endef

# The store that a row reads: nbest-B of a kN-bB in its name, nbest-5 of the weighed ones.
sequence-store = $(patsubst k%,nbest-$(lastword $(subst -b, ,$(1))),$(patsubst err-%,nbest-5,$(patsubst posterior,nbest-5,$(filter err-% posterior k%,$(1:fifth-%=%)))))

define sequence-row
$(3)/sequence/$(6)/seed-$(7)/$(8)/stamp.json: $(wildcard stages/$(1)/conf/*.yaml) $(2)/cuts_train_fifth.jsonl.gz $(addprefix $(3)/sequence/$(call sequence-family,$(6))/,$(addsuffix /stamp.json,$(call sequence-store,$(8))))
	@SEED=$(7) $(4) bash stages/46_sequence_student.sh $(1) $(6) $(8) && touch $$@
$(call sequence-score,$(1),$(3),$(4),$(5),$(6),$(6)/seed-$(7)/$(8))

endef
