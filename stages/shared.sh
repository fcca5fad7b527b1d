# Sourced by the run.sh of demo, mvq and sequence, after a corpus's settings and with its name in $corpus.
#
# AT_ONCE  stages that run side by side, one thread each: three share two cores without an idle end
export corpus DATA EXP SIZE RECORDS
AT_ONCE=${AT_ONCE:-3} SIZE=${SIZE:-demo}

# SEED NAME ARGUMENT ...: the stage stages/NAME.sh of the corpus. Each is idempotent: a finished one says so.
stage() { SEED=$1 bash "stages/$2.sh" "$corpus" "${@:3}"; }
export -f stage

# COMMAND, with the words of each line of the input as arguments. After a failure no further line is begun, and its
# exit status, of several the first one's, is that of the whole, once all that were begun have ended.
side_by_side() {
  local failed status=0
  failed=$(mktemp)
  # xargs does not wait for the others once one has failed; `cat` does, as each of them holds its pipe open, as file 3.
  { xargs -r -L 1 -P "$AT_ONCE" bash -c '"${@:2}" || { echo "$?" >> "$1"; exit 255; }' side_by_side "$failed" "$@" 3>&1 >&4 | cat; } 4>&1 ||
    status=$(head -n 1 "$failed")
  rm "$failed"
  return "${status:-1}"
}

# NAME PATTERN MEANING: a variable whose value has another form is refused.
expect() { [[ ${!1-} =~ ^($2)$ ]] || { echo "$1=${!1-}: expected $3" >&2; exit 2; }; }
expect AT_ONCE '[1-9][0-9]*' "a number of stages, 1 or more"
expect SIZE 'demo|tiny' "demo or tiny"
source stages/budget.sh

# The corpus, and the student's cuts. Where its folder is named, prepare checks that it is the one that is there already.
prepare_corpus() {
  if [[ $corpus == digits ]]; then bash stages/corpora/digits/prepare.sh
  elif [[ -n ${CORPUS-} || ! -f $DATA/stamp.json || ! -f $STUDENT_CUTS ]]; then bash "stages/corpora/$corpus/prepare.sh" "${CORPUS-}"; fi
}

# FILE OTHER ...: whether FILE is missing or older than one of the others.
is_stale() {
  local other
  for other in "${@:2}"; do if [[ $other -nt $1 ]]; then return 0; fi; done
  return 1
}

# WORDS OTHERS: those of the words that are among the others; `without`: those that are not.
within() { local word; for word in $1; do if [[ " $2 " == *" $word "* ]]; then echo "$word"; fi; done; }
without() { local word; for word in $1; do if [[ " $2 " != *" $word "* ]]; then echo "$word"; fi; done; }

# FOLDER FILE ROW ...: the row with the lowest WER on dev, the first of equal ones; the test set has no part in it.
# FILE is the stamp.json of a training or the score.json of a score on dev, in which asrkd writes a key a line.
best_row() {
  local row wer
  for row in "${@:3}"; do
    wer=$(grep -o '"wer": *[0-9.e-]*' "$1/$row/$2") || return
    echo "${wer##*[: ]} $row"
  done | sort -s -g -k1,1 | { read -r _ row && echo "$row" && cat > /dev/null; }
}

# FOLDER ROW ...: of these rows in FOLDER the one whose training did best on dev; before any has ended, the first one.
best_trained() {
  local row ended=()
  for row in "${@:2}"; do if [[ -f $1/$row/stamp.json ]]; then ended+=("$row"); fi; done
  if ((${#ended[@]})); then best_row "$1" stamp.json "${ended[@]}"; else echo "$2"; fi
}

# Rows of tables. A recipe has, and exports, functions of the arguments SEED ROW:
#   folder  prints the row's folder in EXP
#   train   trains it; with a third argument `restore` as train_in in corpora/training.sh
#   score   scores it
#   scores  prints the names of the scores for its record
# and of its own: `targets ROW ...`, which makes what their trainings read; `teacher [restore]` and `score_teacher`.

# Defaults that fit a recipe of the demo's teacher, which scores on $SCORED: a recipe defines those that differ.
scores() { printf 'score-%s\n' $SCORED; }
teacher() { stage 1 demo/10_teacher "$@"; }
score_teacher() { stage 1 demo/50_score teacher; }

is_done() { [[ -f $EXP/$1/stamp.json ]]; }

# FOLDER: whether a training that takes as long as the longest so far of its rows would end within the budget.
has_time() {
  local longest
  if [[ -z ${DEADLINE-} ]]; then return; fi
  longest=$(cat "$EXP/$1"/seed-*/*/metrics.jsonl 2> /dev/null | grep -o '"train_seconds": [0-9]*' | sort -k 2 -n | tail -n 1) || true
  longest=${longest##* }
  (($(date +%s) + ${longest:-0} < DEADLINE))
}

# FOLDER SCORE ...: writes the run record of a folder of EXP, with these of its scores.
record() {
  local scores=("${@:2}")
  if [[ -n $RECORDS ]]; then asrkd record "$EXP/$1" "${scores[@]/#/--score=}" --out "$RECORDS/$1.json"; fi
}

restore_row() { # SEED ROW
  local row
  row=$(folder "$@")
  train "$@" restore
  if is_restored "$row"; then score "$@" || rm -r "${EXP:?}/$row"; fi
}
make_row() { # SEED ROW
  local row
  row=$(folder "$@")
  if is_restored "$row" || { ! is_done "$row" && ! has_time "${row%/seed-*}"; }; then return; fi
  train "$@" && score "$@" && record "$row" $(scores "$@")
}
export -f is_restored is_done has_time record restore_row make_row

# SEEDS ROW ...: restores the rows that have a record; makes the targets of the others, trains and scores them, and records
# each as soon as it ends.
make_rows() {
  local seed row folder lines=() missing=()
  for seed in $1; do
    for row in "${@:2}"; do lines+=("$seed $row"); done
  done
  printf '%s\n' "${lines[@]}" | side_by_side restore_row
  for row in "${lines[@]}"; do
    folder=$(folder $row)
    if ! is_done "$folder" && has_time "${folder%/seed-*}"; then missing+=("${row#* }"); fi
  done
  if ((${#missing[@]})); then targets "${missing[@]}"; fi
  printf '%s\n' "${lines[@]}" | side_by_side make_row
}

# FOLDER SCORE ...: restores the teacher, or trains it within the budget, scores it and records these scores.
make_teacher() {
  teacher restore
  if is_restored "$1"; then score_teacher || rm -r "${EXP:?}/$1"; fi
  if ! is_restored "$1" && { is_done "$1" || has_time "$1"; }; then teacher && score_teacher && record "$@"; fi
}
# FOLDER SCORE ...: trains a teacher that was restored, as targets are computed with its weights.
require_weights() { if is_restored "$1"; then FRESH=1 make_teacher "$@"; fi; }

# SEEDS ROW ...: the rows whose folders are complete; all where there is no budget, as all were made.
finished() {
  local seed row
  for seed in $1; do
    for row in "${@:2}"; do if [[ -z ${DEADLINE-} ]] || is_done "$(folder "$seed" "$row")"; then echo "$row"; fi; done
  done
}
# SEEDS ROW ...: the others, as words for a table.
not_run() {
  local seed row
  if [[ -z ${DEADLINE-} ]]; then return; fi
  for seed in $1; do
    for row in "${@:2}"; do if ! is_done "$(folder "$seed" "$row")"; then echo "$row with seed $seed"; fi; done
  done
}
# FILE ...: adds a line to those of these tables that exist, with the rows that were not run, a line each of the input.
note_missing() {
  local rows file
  rows=$(paste -s -d , | sed 's/,/, /g')
  for file in "$@"; do if [[ -n $rows && -f $file ]]; then printf '\nnot run: %s\n' "$rows" >> "$file"; fi; done
}
