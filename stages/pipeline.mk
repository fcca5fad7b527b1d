# A corpus's pipeline as targets on stamps: included by the Makefile.
#
# $(call pipeline,CORPUS,DATA,EXP,SEED,SET,STUDENTS) makes the rules of one run: which script of
# stages makes which folder, and of what. Every stage leaves stamp.json last, so what is
# stamped is whole; a stage that finds its work done says so and is only marked as fresh.

define pipeline
$(3)/teacher/stamp.json: $(wildcard stages/$(1)/conf/*.yaml) $(2)/stamp.json
	@$(4) bash stages/10_teacher.sh $(1) && touch $$@
$(3)/baseline/stamp.json: $(wildcard stages/$(1)/conf/*.yaml) $(2)/stamp.json
	@$(4) bash stages/20_baseline.sh $(1) && touch $$@
$(3)/nbest/stamp.json $(3)/quantizer/stamp.json $(3)/codebook/stamp.json &: $(3)/teacher/stamp.json
	@$(4) bash stages/30_distill.sh $(1) && touch $(3)/{nbest,quantizer,codebook}/stamp.json
$(foreach name,$(6),$(call student,$(1),$(3),$(4),$(name)))
$(foreach name,teacher baseline $(6),$(call score,$(1),$(3),$(4),$(5),$(name)))
endef

define student
$(2)/$(4)/stamp.json: $(wildcard stages/$(1)/conf/*.yaml) $(2)/nbest/stamp.json $(2)/codebook/stamp.json
	@$(3) bash stages/40_student.sh $(1) $(4) && touch $$@

endef

define score
$(2)/$(5)/score-$(4)/stamp.json: $(2)/$(5)/stamp.json
	@$(3) bash stages/50_score.sh $(1) $(5) && touch $$@

endef
