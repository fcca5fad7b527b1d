#!/usr/bin/env bash
# Which stack and which Python: prints "STACK STAMP INTERPRETER" for the Makefile.
#
# STAMP is the name of a file in VENV that install.sh writes last. It differs for every stack, Python and
# place, so that another choice, another interpreter or a moved folder is seen as not installed.
#
# Usage:   constraints/choose.sh VENV STACK PYTHON        ('' for STACK or PYTHON: choose)
# Reads:   VENV/installed-*: a choice once made is kept until STACK or PYTHON says otherwise
# Example: constraints/choose.sh .venv k2 ''
set -euo pipefail
venv=$1 stack=$2 python=$3

die() {
  echo "asrkd: $*" >&2
  exit 1
}

# "VERSION PATH" of an interpreter, without links; fails if it does not really run.
# pyenv's shim of python3.10 is on the PATH and fails unless that version is active.
probe() {
  "$1" -c 'import os, sys; print("%d.%d.%d" % sys.version_info[:3], os.path.realpath(sys.executable))' \
    </dev/null 2>/dev/null
}

# The first of the candidates on stdin that runs and whose version matches $1.
first_that_runs() {
  local candidate found
  while IFS= read -r candidate; do
    if found=$(probe "$candidate") && [[ $found =~ ^$1\. ]]; then
      echo "$found"
      return
    fi
  done
  return 1
}

candidates_3_10() {
  echo python3.10
  ls -d "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.10.*/bin/python3.10 2>/dev/null || true
  if command -v uv >/dev/null; then uv python find 3.10 2>/dev/null || true; fi
}

candidates_modern() {
  printf '%s\n' python3 python3.13 python3.12 python3.11
  candidates_3_10
  if command -v uv >/dev/null; then uv python find '>=3.10,<3.14' 2>/dev/null || true; fi
}

# k2's wheel is for Linux on x86_64, and its kernels and those of its torch end at sm_86.
k2_can_run_here() {
  [ "$(uname -sm)" = "Linux x86_64" ] || return 1
  local newest
  newest=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null |
    grep -E '^[0-9]+\.[0-9]+$' | tr -d . | sort -n | tail -n 1) || newest=
  [ "${newest:-0}" -le 86 ]
}

case $stack in '' | k2 | modern) ;; *) die "STACK=$stack: expected k2 or modern" ;; esac

kept=$(cat "$venv"/installed-* 2>/dev/null | head -n 1) || kept=
if [ -z "$stack$python" ]; then stack=${kept%% *}; fi

found=
if [ -n "$python" ]; then
  found=$(probe "$python") || die "PYTHON=$python: does not run; expected a Python of 3.10 or later"
elif [ -n "$kept" ] && [ "$stack" = "${kept%% *}" ]; then
  found=$(probe "${kept#* }") || found=
fi

if [ -z "$stack" ]; then
  found=${found:-$(first_that_runs '3\.10' < <(candidates_3_10))} || found=
  if [[ $found =~ ^3\.10\. ]] && k2_can_run_here; then stack=k2; else stack=modern; fi
  if [ "$stack" = modern ] && [ -z "$python" ]; then found=; fi
fi

if [ "$stack" = k2 ]; then
  found=${found:-$(first_that_runs '3\.10' < <(candidates_3_10))} ||
    die "the k2 stack needs a Python 3.10 and none was found; install one (uv python install 3.10," \
      "or pyenv install 3.10), name one with PYTHON=, or use the other stack with STACK=modern"
  [[ $found =~ ^3\.10\. ]] || die "PYTHON=$python is Python ${found%% *}, and the k2 stack needs 3.10"
else
  found=${found:-$(first_that_runs '3\.1[0-3]' < <(candidates_modern))} ||
    die "no Python 3.10 to 3.13 was found; install one (on Debian: sudo apt install python3-venv)," \
      "or name one with PYTHON="
  [[ $found =~ ^3\.[1-9][0-9]\. ]] || die "PYTHON=$python is Python ${found%% *}, expected 3.10 or later"
fi

place=$(printf '%s\n' "$PWD" "$venv" "$found" | cksum)
echo "$stack installed-$stack-${found%% *}-${place%% *} ${found#* }"
