#!/usr/bin/env bash
# Stage 00: the 960 hours at three speeds, dev and test sets, features, 500 pieces of BPE.
# Usage:   00_prepare.sh CORPUS          (the LibriSpeech folder, with train-clean-100 ... test-other)
#
# Reads:   the corpus
# Writes:  $DATA
# Takes:   see RESULTS.md
set -euo pipefail
source "$(dirname "$0")/settings.sh"

corpus=${1:?which corpus? its folder}
asrkd prepare librispeech "$corpus" --out "$DATA" --jobs "$JOBS" --speeds 0.9 --speeds 1.1 \
  --tokens bpe --vocab-size 500
