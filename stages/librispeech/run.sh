#!/usr/bin/env bash
# All stages of the recipe in order, as far as they are not done yet; a table and a report at the end.
# Usage:   run.sh CORPUS
set -euo pipefail
corpus=$(realpath -e "${1:?which corpus? give its folder}")
cd "$(dirname "$0")/../.."
exec make --no-print-directory librispeech CORPUS="$corpus"
