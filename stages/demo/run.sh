#!/usr/bin/env bash
# The pipeline of a corpus: data, teacher, baseline, targets, students, scores, an export, a table and a report.
# Usage:   run.sh digits | fsdd | librispeech     (make demo; make fsdd CORPUS=folder; make librispeech CORPUS=folder)
#
# Reads:   $CORPUS, the corpus's folder (digits is synthesized); $SEEDS, such as "1 2 3" (1); $SIZE, $DATA, $EXP
# Writes:  $DATA; systems, targets and scores of seed 1 in $EXP, of others in $EXP/seed-N; $EXP/{compare,report}*, BEST/export,
#          of fsdd both of its sets: {compare,report}-heldout*
# Takes:   on two cores: digits 15 minutes a seed (SIZE=tiny: two), fsdd 12, librispeech 19; seconds if nothing is left
# Showed:  docs/results/{demo,fsdd,librispeech}.md
set -euo pipefail
corpus=${1:?which corpus? digits, fsdd or librispeech}
case $corpus in digits | fsdd | librispeech) ;; *) echo "$corpus: expected digits, fsdd or librispeech" >&2; exit 2 ;; esac
source "$(dirname "$0")/../corpora/$corpus/settings.sh"
source stages/shared.sh

SEEDS=${SEEDS:-1}
expect SEEDS ' *[1-9][0-9]*( +[1-9][0-9]*)* *' 'seeds, such as "1 2 3"'
seeds=$(tr -s ' ' '\n' <<< "$SEEDS" | LC_ALL=C sort -u | xargs)
folder() { if [[ $1 == 1 ]]; then echo "$EXP"; else echo "$EXP/seed-$1"; fi; }
stage_of_seed() { EXP=$(folder "$1") stage "$@"; }
export -f folder stage_of_seed

prepare_corpus
for seed in $seeds; do printf '%s\n' "$seed demo/10_teacher" "$seed demo/20_baseline"; done | side_by_side stage_of_seed
for seed in $seeds; do echo "$seed demo/30_distill"; done | side_by_side stage_of_seed
for seed in $seeds; do printf "$seed demo/40_student %s\n" $STUDENTS; done | side_by_side stage_of_seed
for seed in $seeds; do printf "$seed demo/50_score %s\n" teacher baseline $STUDENTS; done | side_by_side stage_of_seed
# What ships is the student of the first seed that did best on dev.
first=${seeds%% *}
stage_of_seed "$first" demo/60_export "$(best_trained "$(folder "$first")" $STUDENTS)"

systems=()
for seed in $seeds; do
  for name in teacher baseline $STUDENTS; do systems+=("$(folder "$seed")/$name"); done
done
# The tables of other seeds have names of their own: compare-seeds-1-2-3.json.
named=
if [[ $seeds != 1 ]]; then named=-seeds-${seeds// /-}; fi
for set in $SCORED; do
  table=$EXP/compare$named$(ending "$set") report=$EXP/report$named$(ending "$set")
  # Costs are measured now that nothing else runs. A compare.json of several seeds, as it once was, is made again.
  if [[ ! -s $table.txt ]] || is_stale "$table.json" "${systems[@]/%//score-$set/stamp.json}" ||
    { [[ -z $named ]] && grep -qs "\"$EXP/seed-" "$table.json"; }; then
    asrkd compare "${systems[@]}" --score "score-$set" "${COMPARE[@]}" --costs "$DATA/cuts_$set.jsonl.gz" \
      --out "$table.json" > "$table.txt.partial"
    mv "$table.txt.partial" "$table.txt"
  fi
  if [[ ! -s $report.txt ]] || is_stale "$report.html" "$table.json"; then
    asrkd report "${systems[@]}" --score "score-$set" --comparison "$table.json" --out "$report.html" > "$report.txt.partial"
    mv "$report.txt.partial" "$report.txt"
  fi
  cat "$table.txt" "$report.txt"
done
