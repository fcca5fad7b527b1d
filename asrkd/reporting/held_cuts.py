"""The cuts that a report looks at: those that were scored, and those of a system's training."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lhotse import MonoCut

from asrkd.errors import AsrkdError
from asrkd.manifests import read_cuts
from asrkd.reporting.systems import System
from asrkd.scoring.normaliser import normalise
from asrkd.targets.sequences import transcript


def scored_cuts(systems: Sequence[System], given: Path | None) -> dict[str, MonoCut]:
    """The cuts of the utterances that were scored, by id.

    Args:
        systems: scored on one set.
        given: their manifest; None looks for ``cuts_<set>.jsonl.gz`` beside
            the dev cuts of a system's config.

    Returns:
        Nothing where no manifest was given, and none was found that has the
        utterances with their references.

    Raises:
        AsrkdError: ``given`` is not the manifest of these utterances.
    """
    if given is not None:
        cuts = _of_score(read_cuts(given), systems[0])
        if cuts is None:
            score = systems[0].score.path
            raise AsrkdError(f"{given}: not the cuts that {score} is of; give the --cuts of asrkd score")
        return cuts
    for system in systems:
        beside = _path(system, "dev").parent / f"cuts_{system.score.set_name}.jsonl.gz"
        found = nearby(beside, system.folder)
        cuts = _of_score(read_cuts(found), system) if found else None
        if cuts is not None:
            return cuts
    return {}


def training_transcripts(system: System) -> Mapping[str, str]:
    """The transcripts of the cuts that a system was trained on, by id.

    Raises:
        AsrkdError: the manifest is no longer there.
    """
    return {cut.id: transcript(cut) for cut in _cuts(system, "train") if _has_text(cut)}


def dev_cuts(system: System) -> list[MonoCut]:
    """The cuts that a system was validated on; AsrkdError if they are no longer there."""
    return _cuts(system, "dev")


def nearby(path: Path, model: Path) -> Path | None:
    """``path`` from here, or from a folder above the model; None if it is in none."""
    candidates = (path, *(folder / path for folder in model.resolve().parents))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def snr_db(cuts: Mapping[str, MonoCut]) -> dict[str, float]:
    """Signal-to-noise ratios by id, where a cut or a supervision has a custom field ``snr_db``."""
    found = {}
    for utt_id, cut in cuts.items():
        for custom in (cut.custom, *(supervision.custom for supervision in cut.supervisions)):
            value = (custom or {}).get("snr_db")
            if isinstance(value, (int, float)):
                found[utt_id] = float(value)
    return found


def _of_score(cuts: Sequence[MonoCut], system: System) -> dict[str, MonoCut] | None:
    """The cuts of the score's utterances by id; None unless all are there, with the references."""
    by_id, score = {cut.id: cut for cut in cuts}, system.score
    for one in score.utterances:
        cut = by_id.get(one.id)
        if cut is None or not _has_text(cut) or normalise(transcript(cut), score.normaliser) != one.reference:
            return None
    return {one.id: by_id[one.id] for one in score.utterances}


def _has_text(cut: MonoCut) -> bool:
    return bool(cut.supervisions) and all(own.text is not None for own in cut.supervisions)


def _path(system: System, split: str) -> Path:
    return Path(str(system.experiment.get("data", {}).get(split, "")))


def _cuts(system: System, split: str) -> list[MonoCut]:
    path = _path(system, split)
    found = nearby(path, system.folder)
    if found is None:
        raise AsrkdError(f"{path}, on which {system.label} was trained, is no longer there")
    return read_cuts(found)
