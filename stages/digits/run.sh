#!/usr/bin/env bash
# The whole demo: corpus, teacher, its answers, students, and a table of word error rates.
# Usage:   run.sh            (SEEDS="1 2 3" for several seeds, SIZE=tiny for a minute)
set -euo pipefail
cd "$(dirname "$0")/../.."
exec make --no-print-directory demo
