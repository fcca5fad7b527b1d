#!/usr/bin/env bash
# All stages of this folder in order, as far as they are not done yet, and a table at the end.
# Usage:   run.sh CORPUS
set -euo pipefail
corpus=$(realpath -e "${1:?which corpus? give its folder}")
cd "$(dirname "$0")/../.."
exec make --no-print-directory librispeech CORPUS="$corpus"
