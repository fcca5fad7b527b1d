#!/usr/bin/env bash
# Stage 06: for the tables of Seq-KD and ERR-KD, cuts that a teacher hears, and cuts of which a fifth is transcribed.
# Usage:   06_sequence_cuts.sh CORPUS    (a folder beside this script: digits, fsdd)
#
# Reads:   $DATA/cuts_train.jsonl.gz, the student's cuts
# Writes:  $DATA/cuts_train_fifth.jsonl.gz, the student's cuts, those with a transcript chosen by a hash of their id;
#          if the student's cuts are not all of train, $DATA/cuts_train_others.jsonl.gz, all others
# Takes:   seconds
set -euo pipefail
source "$(dirname "$0")/${1:?which corpus?}/settings.sh"

python - "$STUDENT_CUTS" "$DATA" << 'PYTHON'
import os
import sys
import zlib
from pathlib import Path

from lhotse import CutSet

own, folder = CutSet.from_jsonl(sys.argv[1]).to_eager(), Path(sys.argv[2])


def write(name: str, cuts: CutSet) -> None:
    unfinished = folder / f".{os.getpid()}-{name}"
    cuts.to_file(unfinished)
    os.replace(unfinished, folder / name)
    hours = sum(cut.duration for cut in cuts) / 3600
    told = sum(cut.supervisions[0].text is not None for cut in cuts)
    print(f"{folder / name}: {len(cuts)} cuts, {hours:.3f} h, {told} transcribed")


def hidden(cut):
    """The cut, without its transcript in four cases of five."""
    if zlib.crc32(cut.id.encode()) % 5:
        for supervision in cut.supervisions:
            supervision.text = supervision.alignment = None
    return cut


names = set(own.ids)
others = CutSet.from_jsonl(folder / "cuts_train.jsonl.gz").filter(lambda cut: cut.id not in names).to_eager()
if len(others):
    write("cuts_train_others.jsonl.gz", others)
write("cuts_train_fifth.jsonl.gz", own.map(hidden).to_eager())
PYTHON
