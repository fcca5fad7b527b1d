"""Command ``prepare subset``: write a manifest of some of the cuts of another, or of some of the transcripts.

Reads:   a cuts manifest, and another one whose cuts are left out.
Writes:  one manifest in the same folder, as the paths in it are relative to its folder.
"""

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.cuts.packed import PackedCuts


@dataclass(frozen=True)
class SubsetRequest:
    """The cuts and transcripts to keep.

    Raises:
        AsrkdError: there is no manifest, nothing to leave out, or ``transcripts`` is not ``1/N``.
    """

    manifest: Path | None  # manifest of the cuts
    out: Path  # the manifest to write
    transcripts: str | None = None  # "1/N": keep the transcripts of one cut in N; None: of all
    without: Path | None = None  # manifest of the cuts to leave out; None: keep all

    def __post_init__(self) -> None:
        usage = command("asrkd", "prepare", "subset", self.manifest or "CUTS", "--out", self.out)
        if self.manifest is None:
            raise AsrkdError(f"subset: name a cuts manifest: {usage} --transcripts 1/5")
        if self.transcripts is None and self.without is None:
            raise AsrkdError(f"subset: expected --transcripts or --without: {usage} --transcripts 1/5")
        if self.transcripts is not None and self.period < 2:
            raise AsrkdError(f"--transcripts {self.transcripts}: expected 1/N, such as 1/5, N 2 or more")
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
    cuts = read_cuts(request.manifest)
    if request.without is not None:
        cuts = _without(cuts, request.manifest, request.without)
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
    return f"{request.out}: {done}{len(cuts)} cuts, {hours:.3f} h, {transcribed} transcribed"


def _without(cuts: PackedCuts, manifest: Path, excluded: Path) -> PackedCuts:
    """Return the cuts whose utterances are not in the manifest ``excluded``, at any speed."""
    utterances = {_utterance(record.id) for record in read_cuts(excluded).records}
    rest = cuts.where(lambda record: _utterance(record.id) not in utterances)
    if not rest or len(rest) == len(cuts):
        share = "every cut" if not rest else "no cut"
        raise AsrkdError(f"--without {excluded}: holds {share} of {manifest}, expected some of them")
    return rest


def _with_transcripts(cuts: PackedCuts, period: int) -> Iterator[tuple[str, bool]]:
    """Yield (line of the manifest, whether the cut has a transcript).

    One utterance in ``period``, by a hash of its id, keeps its transcript and alignment, in its copies of
    other speeds too; the others lose them.
    """
    for line, record in zip(cuts.lines(), cuts.records, strict=True):
        if zlib.crc32(_utterance(record.id).encode("utf-8")) % period == 0:
            yield line, bool(record.texts) and record.texts[0] is not None
            continue
        fields = json.loads(line)
        for supervision in fields.get("supervisions", []):
            supervision.pop("text", None)
            supervision.pop("alignment", None)
        yield json.dumps(fields, ensure_ascii=False), False


def _utterance(cut_id: str) -> str:
    """Return the id of the cut that a speed-perturbed copy, ``<id>_sp<speed>``, was made of."""
    return re.sub(r"_sp[0-9.]+$", "", cut_id)
