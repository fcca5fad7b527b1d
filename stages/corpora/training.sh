# Sourced by a corpus's settings, after DATA, EXP and SCORED: the options of its trainings.
#
# TEACHER_CUTS  of the teacher and of the language model: train, unless settings say otherwise
# DEV_CUTS      an array of manifests to validate on: dev, unless settings say otherwise
# TRAIN         of all; settings may have begun it
# TEACHER       on TEACHER_CUTS
# STUDENT       on STUDENT_CUTS, which the teacher computes targets of
# TEXT          of a language model
#
# COMPARE       options of asrkd compare, an array; settings may have filled it
# SEARCH        the same of asrkd score
#
# RECORDS       run records (asrkd record) of rows, FOLDER.json of each folder in EXP; empty: none are written or read
# FRESH         anything: rows are trained though they have a record
COMPARE+=() SEARCH+=()
SEED=${SEED:-1} JOBS=${JOBS:-2}
# One thread each: two runs side by side use two cores better than one run's two threads.
TRAIN+=(--seed "$SEED" --threads 1 --resume --set data.tokens="$DATA")
TEACHER_CUTS=${TEACHER_CUTS:-$DATA/cuts_train.jsonl.gz}
if [[ -z ${DEV_CUTS-} ]]; then DEV_CUTS=("$DATA/cuts_dev.jsonl.gz"); fi
TEXT=("${TRAIN[@]}" --set data.train_text="$TEACHER_CUTS" --set data.dev_text="${DEV_CUTS[0]}")
if ((${#DEV_CUTS[@]} == 1)); then TRAIN+=(--set data.dev="${DEV_CUTS[0]}"); else
  printf -v list '"%s", ' "${DEV_CUTS[@]}"
  TRAIN+=(--set data.dev="[${list%, }]")
fi
TEACHER=("${TRAIN[@]}" --set data.train="$TEACHER_CUTS")
STUDENT=("${TRAIN[@]}" --set data.train="$STUDENT_CUTS")

# SET: what the names of its tables end in: nothing for the first of $SCORED, so that there is always a table of that name.
FIRST_SCORED=${SCORED%% *}
ending() { if [[ $1 != "$FIRST_SCORED" ]]; then echo "-$1"; fi; }

if [[ ${SIZE:-demo} == demo ]]; then RECORDS=${RECORDS-${CONF%/conf}/rows}; else RECORDS=${RECORDS-$EXP/rows}; fi

# FOLDER: whether this folder of EXP was restored from a record, so that it has no weights.
is_restored() { [[ -f $EXP/$1/record.json && ! -f $EXP/$1/model.safetensors ]]; }

# FOLDER "" | restore CONFIG OPTION ...: trains in a folder of EXP. `restore` trains nothing: it takes the run from its record, if
# there is one of these settings and data, and removes a folder that was restored from one of others.
train_in() {
  local out=$EXP/$1 record=$RECORDS/$1.json train=(asrkd train "$3" --out "$EXP/$1" "${@:4}")
  if [[ $2 != restore ]]; then "${train[@]}"; return; fi
  if is_restored "$1" && { [[ -n ${FRESH-} || ! -f $out/stamp.json ]] || ! "${train[@]}"; }; then rm -r "$out"; fi
  if [[ -n $RECORDS && -z ${FRESH-} && -f $record && ! -e $out ]]; then "${train[@]}" --from-record "$record" || true; fi
}
