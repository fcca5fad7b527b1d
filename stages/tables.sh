#!/usr/bin/env bash
# The tables of all methods, the deciding rows of all corpora first; so that a budget is spent on what matters most.
# Usage:   tables.sh [digits | fsdd ...]     (make tables CORPUS=folder BUDGET=150m; without a corpus: both)
#
# Reads:   as mvq/run.sh and sequence/run.sh; $BUDGET, a time after which no row is begun, is that of all together
# Writes:  as these; rows that were not run are named below their tables
# Takes:   on two cores: two to four hours; a minute or two where all rows have records
# Showed:  docs/results/{mvq-kd,seq-kd,fsdd}.md
set -euo pipefail
cd "$(dirname "$0")/.."
corpora=("$@")
if ((${#corpora[@]} == 0)); then corpora=(digits fsdd); fi

source stages/budget.sh
tables() { # MVQ_ROWS SEQUENCE_ROWS
  local corpus
  for corpus in "${corpora[@]}"; do
    MVQ_ROWS=$1 bash stages/mvq/run.sh "$corpus"
    SEQUENCE_ROWS=$2 bash stages/sequence/run.sh "$corpus"
  done
}
mvq="baseline mvq-4" sequence="baseline k5-b5 err-1 err-2 err-5"
tables "$mvq" "$sequence"
tables "$mvq mvq-1 mvq-16 l1 l2" "$sequence k1-b5 k10-b10"
