"""Command ``prepare subset``: write a manifest of some of the cuts of another, or of some of the transcripts.

Reads:   a cuts manifest, and another one whose cuts, or whose recordings, are left out.
Writes:  one manifest in the same folder, as the paths in it are relative to its folder.
"""

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asrkd.core import files
from asrkd.core.errors import AsrkdError, counted
from asrkd.core.shell import command
from asrkd.data.cuts.hold_out import Utterance, choose_held_out
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.cuts.records import CutRecord
from asrkd.data.cuts.shared_recordings import recordings_of, sharing, utterance_of

UTTERANCE, RECORDING = "utterance", "recording"


@dataclass(frozen=True)
class SubsetRequest:
    """The cuts and transcripts to keep: those not in ``without``, of them those to hold out.

    Raises:
        AsrkdError: there is no manifest, nothing to leave out, or a value is out of range.
    """

    manifest: Path | None  # manifest of the cuts
    out: Path  # the manifest to write
    transcripts: str | None = None  # "1/N": keep the transcripts of one cut in N; None: of all
    without: Path | None = None  # manifest of the cuts to leave out; None: keep all
    by: str | None = (
        None  # what may not be in ``without``: the utterance (None too), or any of its recordings
    )
    hold_out: int | None = None  # cuts to hold out, about as many; None: keep all

    def __post_init__(self) -> None:
        usage = command("asrkd", "prepare", "subset", self.manifest or "CUTS", "--out", self.out)
        if self.manifest is None:
            raise AsrkdError(f"subset: name a cuts manifest: {usage} --transcripts 1/5")
        if self.transcripts is None and self.without is None and self.hold_out is None:
            raise AsrkdError(
                f"subset: expected --transcripts, --without or --hold-out: {usage} --transcripts 1/5"
            )
        if self.transcripts is not None and self.period < 2:
            raise AsrkdError(f"--transcripts {self.transcripts}: expected 1/N, such as 1/5, N 2 or more")
        if self.hold_out is not None and self.hold_out < 1:
            raise AsrkdError(f"--hold-out {self.hold_out}: expected a number of cuts, 1 or more")
        if self.by not in (None, UTTERANCE, RECORDING):
            raise AsrkdError(f"--by {self.by}: expected {UTTERANCE} or {RECORDING}")
        if self.by is not None and self.without is None:
            raise AsrkdError("--by: has no effect without --without; remove it")
        if self.out.parent.resolve() != self.manifest.parent.resolve():
            raise AsrkdError(
                f"--out {self.out}: expected a file in {self.manifest.parent}, as paths in a manifest are "
                "relative to its folder"
            )
        if self.out.resolve() in {path.resolve() for path in (self.manifest, self.without) if path}:
            raise AsrkdError(f"--out {self.out}: is read too; give another name")

    @property
    def period(self) -> int:
        """N of ``transcripts``; 1 if all are kept, 0 if it is malformed."""
        if self.transcripts is None:
            return 1
        match = re.fullmatch("1/([0-9]{1,9})", self.transcripts)
        return int(match[1]) if match else 0


def prepare_subset(request: SubsetRequest) -> str:
    """Write the manifest of a subset; return a line about it.

    An existing manifest with the same cuts is left unchanged.

    Raises:
        AsrkdError: a manifest is missing or torn, no cut is left, none of ``without`` is among the cuts,
            or ``out`` holds other cuts.
    """
    assert request.manifest is not None  # by SubsetRequest
    cuts, notes = read_cuts(request.manifest), []
    if request.without is not None:
        by_recording = request.by == RECORDING
        leave_out = _without_recordings if by_recording else _without
        cuts, note = leave_out(cuts, request.manifest, request.without)
        notes.append(note)
    if request.hold_out is not None:
        cuts, note = _held_out(cuts, request.manifest, request.hold_out)
        notes.append(note)
    lines, transcribed = [], 0
    for line, has_transcript in _with_transcripts(cuts, request.period):
        lines.append(line)
        transcribed += has_transcript
    done = ""
    if request.out.exists():
        if [line for _, line in files.read_lines(request.out)] != lines:
            raise AsrkdError(f"--out {request.out}: exists with other contents; give another name")
        done = "already complete, "
    else:
        files.write_lines(request.out, lines)
    hours = sum(record.duration for record in cuts.records) / 3600
    summary = f"{request.out}: {done}{len(cuts)} cuts, {hours:.3f} h, {transcribed} transcribed"
    return "; ".join([summary, *filter(None, notes)])


def _without(cuts: PackedCuts, manifest: Path, excluded: Path) -> tuple[PackedCuts, str]:
    """Return the cuts whose utterances are not in the manifest ``excluded``, at any speed, and no note."""
    utterances = {utterance_of(record.id) for record in read_cuts(excluded).records}
    rest = cuts.where(lambda record: utterance_of(record.id) not in utterances)
    if not rest or len(rest) == len(cuts):
        share = "every cut" if not rest else "no cut"
        raise AsrkdError(f"--without {excluded}: holds {share} of {manifest}, expected some of them")
    return rest, ""


def _without_recordings(cuts: PackedCuts, manifest: Path, excluded: Path) -> tuple[PackedCuts, str]:
    """Return the cuts that share no recording with the manifest ``excluded``, and a note on the others."""
    excluded_cuts = read_cuts(excluded)
    recordings = frozenset().union(*recordings_of(excluded_cuts, excluded))
    shared = sharing(cuts, manifest, recordings)
    rest = cuts.where(lambda record: record.id not in shared)
    if not rest or not shared:
        share = "no cut" if not shared else "every cut"
        raise AsrkdError(
            f"--without {excluded}: {share} of {manifest} shares a recording with these, "
            "expected some of them"
        )
    assert recordings.isdisjoint(frozenset().union(*recordings_of(rest, manifest)))
    utterances = {utterance_of(record.id) for record in excluded_cuts.records}
    others = sum(utterance_of(cut_id) not in utterances for cut_id in shared)
    return rest, f"{counted(others, 'other cut')} left out for sharing a recording with {excluded}"


def _held_out(cuts: PackedCuts, manifest: Path, number: int) -> tuple[PackedCuts, str]:
    """Return about ``number`` cuts that few others share a recording with, and a note on the others.

    Copies at other speeds are not held out, and not left to the others either.
    """
    rows = zip(cuts.records, recordings_of(cuts, manifest), strict=True)
    candidates = [
        Utterance(record.id, _speaker(record, manifest), recordings)
        for record, recordings in rows
        if utterance_of(record.id) == record.id
    ]
    if number >= len(candidates):
        cuts_at_1 = counted(len(candidates), "cut") + " at speed 1"
        raise AsrkdError(f"--hold-out {number}: {manifest} has {cuts_at_1}; hold out fewer")
    ids = choose_held_out(candidates, number)
    held_out = cuts.where(lambda record: record.id in ids)
    shared = sharing(cuts, manifest, frozenset().union(*recordings_of(held_out, manifest)))
    rest = len(cuts) - len(shared)
    if not rest:
        raise AsrkdError(
            f"--hold-out {number}: every cut of {manifest} shares a recording with these {len(ids)}, so that "
            f"none is left; hold out fewer, such as --hold-out {max(1, number // 2)}"
        )
    others = sum(utterance_of(cut_id) not in ids for cut_id in shared)
    return held_out, f"{others} other cuts share a recording with these, {rest} do not"


def _speaker(record: CutRecord, manifest: Path) -> str:
    """Return the speaker of a cut, or its speakers; AsrkdError if they are unknown."""
    if not record.speakers or None in record.speakers or "" in record.speakers:
        raise AsrkdError(
            f"{manifest}: cut {record.id!r} has no speaker, and --hold-out takes as many of each; "
            "name the speakers in the corpus and prepare it again"
        )
    return "\n".join(sorted({str(speaker) for speaker in record.speakers}))


def _with_transcripts(cuts: PackedCuts, period: int) -> Iterator[tuple[str, bool]]:
    """Yield (line of the manifest, whether the cut has a transcript).

    One utterance in ``period``, by a hash of its id, keeps its transcript and alignment, in its copies of
    other speeds too; the others lose them.
    """
    for line, record in zip(cuts.lines(), cuts.records, strict=True):
        if zlib.crc32(utterance_of(record.id).encode("utf-8")) % period == 0:
            yield line, bool(record.texts) and record.texts[0] is not None
            continue
        fields = json.loads(line)
        for supervision in fields.get("supervisions", []):
            supervision.pop("text", None)
            supervision.pop("alignment", None)
        yield json.dumps(fields, ensure_ascii=False), False
