"""The cuts that a report looks at: those that were scored, and those of a system's training."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.cuts.packed import CutsById, PackedCuts
from asrkd.data.cuts.records import CutRecord, reference
from asrkd.evaluation.report.systems import ReportedSystem
from asrkd.scoring.normalizer import normalize


def scored_cuts(systems: Sequence[ReportedSystem], given: Path | None) -> CutsById:
    """The cuts of the utterances that were scored.

    Args:
        systems: scored on one set.
        given: their manifest; None looks for ``cuts_<set>.jsonl.gz`` beside
            the dev cuts of a system's config.

    Returns:
        Nothing where no manifest was given, and none was found that has the
        utterances with their references; else all cuts of the manifest.

    Raises:
        AsrkdError: ``given`` is not the manifest of these utterances.
    """
    if given is not None:
        cuts = read_cuts(given)
        if not _is_of(cuts, systems[0]):
            score = systems[0].score.path
            raise AsrkdError(f"{given}: not the cuts that {score} is of; give the --cuts of asrkd score")
        return CutsById(cuts)
    for system in systems:
        if (found := _beside_dev(system)) and _is_of(cuts := read_cuts(found), system):
            return CutsById(cuts)
    return CutsById(PackedCuts())


def training_transcripts(system: ReportedSystem) -> Mapping[str, str]:
    """The transcripts of the cuts that a system was trained on, by id.

    Raises:
        AsrkdError: the manifest is no longer there.
    """
    return {cut.id: reference(cut) for cut in _cuts(system, "train").records if _has_text(cut)}


def dev_cuts(system: ReportedSystem) -> PackedCuts:
    """The cuts that a system was validated on; AsrkdError if they are no longer there."""
    return _cuts(system, "dev")


def snr_db(cuts: CutsById) -> dict[str, float]:
    """Signal-to-noise ratios by id, where a cut or a supervision has a finite custom field ``snr_db``."""
    found = {}
    for cut in cuts.values():
        for custom in (cut.custom, *(supervision.custom for supervision in cut.supervisions)):
            value = (custom or {}).get("snr_db")
            if isinstance(value, (int, float)) and math.isfinite(value):
                found[cut.id] = float(value)
    return found


def nearby(path: Path, model: Path) -> Path | None:
    """``path`` from here, or from a folder above the model; None if it is in none."""
    candidates = (path, *(folder / path for folder in model.resolve().parents))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _is_of(cuts: PackedCuts, system: ReportedSystem) -> bool:
    """Whether every utterance of the score is there, with the reference that was scored."""
    score = system.score
    said = {one.id: one.reference for one in score.utterances}
    for cut in cuts.records:
        if cut.id in said:
            if not _has_text(cut) or normalize(reference(cut), score.normalizer) != said[cut.id]:
                return False
            del said[cut.id]
    return not said


def _beside_dev(system: ReportedSystem) -> Path | None:
    path = _path(system, "dev")
    if path is None or system.folder is None:
        return None
    return nearby(path.parent / f"cuts_{system.score.set_name}.jsonl.gz", system.folder)


def _has_text(cut: CutRecord) -> bool:
    return bool(cut.texts) and None not in cut.texts


def _path(system: ReportedSystem, split: str) -> Path | None:
    """What its config calls the manifest of a split."""
    path = system.experiment.get("data", {}).get(split)
    return None if path is None else Path(path)


def _cuts(system: ReportedSystem, split: str) -> PackedCuts:
    path = _path(system, split)
    found = nearby(path, system.folder) if path and system.folder else None
    if found is None:
        raise AsrkdError(f"{path}, on which {system.label} was trained, is no longer there")
    return read_cuts(found)
