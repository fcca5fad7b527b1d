#!/usr/bin/env bash
# Makes VENV hold one stack, asrkd itself (editable) and the development tools.
#
# Usage:   constraints/install.sh VENV STACK STAMP INTERPRETER      (the last three as choose.sh prints them)
# Reads:   setup.cfg, pyproject.toml, constraints/STACK.txt, constraints/k2-wheel.txt, constraints/asrkd_mkl_on_amd.py
# Writes:  VENV, in it install.log (what pip said) and, last, STAMP
# Takes:   100 s of CPU and what 1.9 GB of downloads take; in VENV 3.7 GB (k2) or 5.0 GB (modern)
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1 stack=$2 stamp=$3 interpreter=$4
log=$venv/install.log

say() { echo "setup: $*"; }

die() {
  echo "asrkd: $*" >&2
  exit 1
}

make_environment() {
  local version said
  "$interpreter" -c 'import ensurepip, venv' 2>/dev/null || {
    version=$("$interpreter" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    die "$interpreter cannot make virtual environments (it has no ensurepip); install that part of it," \
      "on Debian: sudo apt install python$version-venv"
  }
  said=$("$interpreter" -m venv "$venv" 2>&1) || die "$venv: could not be made: ${said##*$'\n'}"
}

# Runs pip install; all it says goes to the log, downloads of 100 MB and more to the screen as well.
pip_install() {
  "$venv/bin/python" -m pip --disable-pip-version-check --no-input install "$@" 2>&1 | tee -a "$log" |
    awk '/Downloading .*\([0-9][0-9][0-9]+(\.[0-9]+)? MB\)/ {print "setup:   " $2, $3, $4; fflush()}' ||
    die "pip failed: $(grep -m 1 ERROR "$log"); $log has all it said (can it reach its index?)," \
      "and the same command tries again"
}

if [ -e "$venv" ] && [ ! -e "$venv/$stamp" ]; then
  [ -f "$venv/pyvenv.cfg" ] || [ -z "$(ls -A "$venv")" ] ||
    die "$venv: is not a virtual environment, so it is not ours to replace; remove it or give another VENV="
  # One that was finished and lies elsewhere may be what others work with.
  case $(realpath -- "$venv") in "$(pwd -P)"/*) ;; *)
    if compgen -G "$venv/installed-*" >/dev/null; then
      die "$venv: made by another folder, or for another stack or Python; give another VENV=, or to make it anew:" \
        "rm -r $(printf %q "$venv")"
    fi ;;
  esac
  say "removing $venv: unfinished, or made for another stack, Python or place"
  rm -rf -- "$venv"
fi

say "1/4 $stack stack in $venv, with $interpreter"
if [ ! -e "$venv" ]; then make_environment; fi
: >"$log"

say "2/4 pip and setuptools"
pip_install --constraint "constraints/$stack.txt" pip setuptools wheel

say "3/4 asrkd and what it needs (gigabytes the first time; minutes)"
# Without isolation, so that what builds asrkd is pinned too.
extras=dev,docs
if [ "$stack" = k2 ]; then
  extras=$extras,k2
  pip_install --no-deps --require-hashes --requirement constraints/k2-wheel.txt
fi
pip_install --constraint "constraints/$stack.txt" --no-build-isolation --editable ".[$extras]"

# The environment of each stack is made from nothing, so there is none to take away from the other one.
if [ "$stack" = k2 ]; then
  packages=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  cp constraints/asrkd_mkl_on_amd.py "$packages/"
  echo 'import asrkd_mkl_on_amd' >"$packages/asrkd_mkl_on_amd.pth"
fi

say "4/4 asrkd doctor"
report=$("$venv/bin/asrkd" doctor 2>&1) || printf '%s\n' "$report"

find "$venv" -maxdepth 1 -name 'installed-*' -delete
echo "$stack $interpreter" >"$venv/$stamp"
say "ready; for a shell of your own: source $(printf %q "$venv/bin/activate")"
