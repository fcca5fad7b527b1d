#!/usr/bin/env bash
# The 960 hours at three speeds, dev and test sets, features, 500 pieces of BPE.
# Usage:   prepare.sh CORPUS          (the LibriSpeech folder, with train-clean-100 ... test-other)
#
# Reads:   the corpus
# Writes:  $DATA
# Takes:   see docs/results/librispeech-hubert.md
# Showed:  nothing yet
set -euo pipefail
source "$(dirname "$0")/settings.sh"

corpus=${1:?which corpus? its folder}
asrkd prepare librispeech "$corpus" --out "$DATA" --jobs "$JOBS" --speeds 0.9 --speeds 1.1 \
  --tokens bpe --vocab-size 500
