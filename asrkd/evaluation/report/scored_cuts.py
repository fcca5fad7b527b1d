"""Cuts of a report: the scored cuts, and the cuts of a system's training and validation."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.manifests import pool_cuts, read_cuts
from asrkd.data.cuts.packed import CutsById, PackedCuts
from asrkd.data.cuts.records import CutRecord, reference
from asrkd.evaluation.report.systems import ReportedSystem
from asrkd.scoring.normalizer import normalize


def scored_cuts(systems: Sequence[ReportedSystem], manifest: Path | None) -> CutsById:
    """Read the cuts of the utterances that were scored.

    Args:
        systems: systems scored on one test set.
        manifest: manifest of the cuts; None for ``cuts_<set>.jsonl.gz`` in the folder of the dev cuts of a
            system's config, if it has the utterances with their references.

    Returns:
        All cuts of the manifest; none if there is no manifest.

    Raises:
        AsrkdError: ``manifest`` is not the manifest of these utterances.
    """
    if manifest is not None:
        cuts = read_cuts(manifest)
        if not _is_of(cuts, systems[0]):
            score = systems[0].score.path
            raise AsrkdError(f"{manifest}: not the cuts of {score}; use the --cuts of asrkd score")
        return CutsById(cuts)
    for system in systems:
        if (path := _beside_dev(system)) and _is_of(cuts := read_cuts(path), system):
            return CutsById(cuts)
    return CutsById(PackedCuts())


def training_transcripts(system: ReportedSystem) -> Mapping[str, str]:
    """Read the transcripts of the cuts that a system was trained on, by id.

    Raises:
        AsrkdError: the manifest is missing.
    """
    return {cut.id: reference(cut) for cut in _cuts(system, "train").records if _has_text(cut)}


def dev_cuts(system: ReportedSystem) -> PackedCuts:
    """Read the cuts that a system was validated on; AsrkdError if they are missing."""
    return _cuts(system, "dev")


def snr_db(cuts: CutsById) -> dict[str, float]:
    """Return the signal-to-noise ratios in dB of cuts with a finite custom field ``snr_db``, by id.

    The field belongs to the cut or to a supervision.
    """
    ratios = {}
    for cut in cuts.values():
        for custom in (cut.custom, *(supervision.custom for supervision in cut.supervisions)):
            value = (custom or {}).get("snr_db")
            if isinstance(value, (int, float)) and math.isfinite(value):
                ratios[cut.id] = float(value)
    return ratios


def nearby(path: Path, model: Path) -> Path | None:
    """Find ``path`` in the current folder or in one above the model; None if it is in none of them."""
    candidates = (path, *(folder / path for folder in model.resolve().parents))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _is_of(cuts: PackedCuts, system: ReportedSystem) -> bool:
    """Whether the cuts include every utterance of the score, with the scored reference."""
    score = system.score
    references = {utterance.id: utterance.reference for utterance in score.utterances}
    for cut in cuts.records:
        if cut.id in references:
            if not _has_text(cut) or normalize(reference(cut), score.normalizer) != references[cut.id]:
                return False
            del references[cut.id]
    return not references


def _beside_dev(system: ReportedSystem) -> Path | None:
    if system.folder is None:
        return None
    name = f"cuts_{system.score.set_name}.jsonl.gz"
    candidates = (nearby(path.parent / name, system.folder) for path in _paths(system, "dev"))
    return next(filter(None, candidates), None)


def _has_text(cut: CutRecord) -> bool:
    return bool(cut.texts) and None not in cut.texts


def _paths(system: ReportedSystem, split: str) -> list[Path]:
    """Return the manifests of a split by the config of the system: several of dev, or none of a text."""
    paths = system.experiment.get("data", {}).get(split)
    return list(map(Path, paths if isinstance(paths, list) else filter(None, [paths])))


def _cuts(system: ReportedSystem, split: str) -> PackedCuts:
    cuts: dict[Path, PackedCuts] = {}
    for path in _paths(system, split):
        manifest = nearby(path, system.folder) if system.folder else None
        if manifest is None:
            raise AsrkdError(f"{path}, on which {system.label} was trained, is no longer there")
        cuts[manifest] = read_cuts(manifest)
    if not cuts:
        raise AsrkdError(f"{system.label}: its config names no cuts of {split}")
    return pool_cuts(cuts)
