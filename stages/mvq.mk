# The tables of MVQ-KD (Guo 2022) as targets on stamps: 1 to 16 codebooks, regression, a live teacher.
#
# $(call mvq,CORPUS,DATA,EXP,SETTINGS,SET) makes the rules of a corpus whose teacher is in EXP, and the target
# mvq-CORPUS: first every row with seed 1, then MVQ_MORE_SEEDS of the baseline, of 16 codebooks, of l2, and of
# whichever other row did best on dev.

MVQ_ROWS := baseline mvq-1 mvq-2 mvq-4 mvq-8 mvq-16 l1 l2 live
MVQ_DECIDING := baseline mvq-16 l2
MVQ_CANDIDATES = $(filter-out $(MVQ_DECIDING) live,$(MVQ_ROWS))
MVQ_MORE_SEEDS ?= 2 3

define mvq
.PHONY: mvq-$(1)
mvq-$(1):
	@$$(MAKE) $$(PARALLEL) $(call mvq-scores,$(3),$(5),1,$(MVQ_ROWS))
	@bash stages/best_row.sh $(3)/mvq/seed-1 stamp.json $(MVQ_CANDIDATES) > $(3)/mvq/best
	@best=$$$$(cat $(3)/mvq/best 2> /dev/null || echo mvq-8) && $$(MAKE) $$(PARALLEL) \
	  $(foreach seed,1 $(MVQ_MORE_SEEDS),$(call mvq-scores,$(3),$(5),$(seed),$(MVQ_DECIDING) $$$$best))
	@$(4) bash stages/55_mvq_table.sh $(1) $(MVQ_ROWS)
	@cat $(addprefix $(3)/mvq/,compare.txt $(if $(MVQ_MORE_SEEDS),seeds.txt) storage.txt)
$(foreach what,1 2 4 8 16,$(call mvq-targets,$(1),$(3),$(4),codebook-$(what),$(what)))
$(call mvq-targets,$(1),$(3),$(4),hidden,hidden)
$(foreach seed,1 $(MVQ_MORE_SEEDS),$(foreach row,$(MVQ_ROWS),$(call mvq-row,$(1),$(2),$(3),$(4),$(5),$(seed),$(row))))
endef

mvq-scores = $(foreach row,$(4),$(1)/mvq/seed-$(3)/$(row)/score-$(2)/stamp.json) $(1)/teacher/score-$(2)/stamp.json

define mvq-targets
$(2)/mvq/$(4)/stamp.json: $(2)/teacher/stamp.json
	@mkdir -p $(2)/mvq && $(3) bash stages/35_mvq_targets.sh $(1) $(5) && touch $$@

endef

mvq-reads = $(if $(filter baseline,$(1)),,$(if $(filter live,$(1)),teacher,mvq/$(or $(filter codebook-%,$(1:mvq-%=codebook-%)),hidden)))

define mvq-row
$(3)/mvq/seed-$(6)/$(7)/stamp.json: $(wildcard stages/$(1)/conf/*.yaml) $(2)/stamp.json $(addprefix $(3)/,$(addsuffix /stamp.json,$(call mvq-reads,$(7))))
	@SEED=$(6) $(4) bash stages/45_mvq_student.sh $(1) $(7) && touch $$@
$(3)/mvq/seed-$(6)/$(7)/score-$(5)/stamp.json: $(3)/mvq/seed-$(6)/$(7)/stamp.json
	@$(4) bash stages/50_score.sh $(1) mvq/seed-$(6)/$(7) && touch $$@

endef
