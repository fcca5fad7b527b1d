"""Score folder: ``score.json`` with counts of the corpus, ``utterances.jsonl`` with those of each utterance.

Everything that compares scores reads these two files, and no others of the folder.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from asrkd.core import files, output_folder
from asrkd.core.artifacts import MODEL_CONFIG, SCORE, SCORE_REQUEST, UTTERANCES, WEIGHTS
from asrkd.core.command_record import read_command
from asrkd.core.errors import AsrkdError
from asrkd.core.schema import Count, Name, Positive, Record, Schema, Seconds
from asrkd.core.shell import command, make_again
from asrkd.scoring.aligned_network import AlignedNetwork
from asrkd.scoring.counts import CharacterCounts, Counts, corpus_counts
from asrkd.scoring.normalizer import Normalizer
from asrkd.scoring.units import WORD, Unit, read_unit, units
from asrkd.scoring.word_times import Emission, Times, TimesRecord, read_times

_PLAIN = ("id", "speaker", "recording", "duration_s", "reference", "hypothesis")
KINDS = ("hits", "substitutions", "deletions", "insertions")


@dataclass(frozen=True)
class ScoredUtterance:
    """Reference and hypothesis of an utterance, with the counts of its errors."""

    id: str
    speaker: str  # the id of the recording if no speaker is known
    recording: str
    duration_s: float | None
    reference: str  # scored text, after normalization
    hypothesis: str
    counts: Counts  # in the unit of the score
    character_counts: CharacterCounts
    network: AlignedNetwork | None = None  # alternatives of stm and ctm; the texts are the path chosen in it
    word_times: Times | None = None  # start and end of each word of the reference; None unless both are known
    emission: Emission | None = None  # of the words of the hypothesis

    @property
    def transcript(self) -> str:
        """The reference with all its alternatives; it does not depend on the hypothesis."""
        return self.reference if self.network is None else self.network.reference


@dataclass(frozen=True)
class ScoreFolder:
    """A finished score, as read from disk."""

    path: Path
    set_name: str
    alignment: str  # levenshtein or sclite; of stm and ctm any of asrkd.scoring.nist_rules.COSTS
    normalizer: Normalizer
    references_sha256: str  # hash of ids and normalized references
    utterances: list[ScoredUtterance]  # by id
    counts: Counts  # counts over the corpus
    unit: Unit = WORD  # unit of the counts


class _CountsRecord(Record):
    hits: Count
    substitutions: Count
    deletions: Count
    insertions: Count


class _NormalizerRecord(Record):
    name: Name
    version: Positive
    sha256: str


class _ScoreRecord(Record):
    set: str
    # The last three alignments are for stm and ctm.
    alignment: Literal["levenshtein", "sclite", "sclite-D", "sclite-F", "sclite-DF"]
    normalizer: _NormalizerRecord
    references_sha256: str
    counts: _CountsRecord
    params: Count | None = None


class _NetworkRecord(Record):
    reference: str
    hypothesis: str
    edits: str


class _UtteranceRecord(_CountsRecord):
    id: Name
    speaker: str
    recording: str
    duration_s: Seconds | None
    reference: str
    hypothesis: str
    character_counts: _CountsRecord
    network: _NetworkRecord = _NetworkRecord(reference="", hypothesis="", edits="")
    reference_times: TimesRecord = []
    emission_times: TimesRecord = []
    chunk_times: TimesRecord = []


_COUNTS: Schema[Any] = Schema(_CountsRecord)
_SCORE: Schema[Any] = Schema(_ScoreRecord)
_UTTERANCE: Schema[Any] = Schema(_UtteranceRecord)


def named_as_speakers(utterances: Sequence[ScoredUtterance]) -> str:
    """Return what ``speaker`` names: speaker; or recording or utterance if no speakers are known."""
    if any(utterance.speaker != utterance.recording for utterance in utterances):
        return "speaker"
    recordings = {utterance.recording for utterance in utterances}
    return "recording" if len(recordings) < len(utterances) else "utterance"


def references_sha256(references: Iterable[tuple[str, str]]) -> str:
    """Hash pairs of id and normalized reference, in any order; a hex digest."""
    return files.sha256_of(sorted(references))


def write_utterances(path: Path, utterances: Iterable[ScoredUtterance]) -> None:
    """Write ``utterances.jsonl``, one row an utterance, in their order."""
    files.write_jsonl(path, map(_row, utterances))


def read_score(folder: Path) -> ScoreFolder:
    """Read a folder written by `asrkd score`.

    Raises:
        AsrkdError: the score is missing, unfinished, damaged or of an older asrkd; the message has the
            command that fixes it.
    """
    remedy = make_again(folder, remake_command(folder), "the score")
    output_folder.read_stamp(folder, remake_command(folder), KINDS)
    for name in (SCORE, UTTERANCES):
        if not (folder / name).is_file():
            raise AsrkdError(f"{folder / name}: no such file; {remedy}")
    scored = files.read_json(folder / SCORE)
    try:
        _SCORE.check(scored)
    except ValueError as error:
        raise AsrkdError(f"{folder / SCORE}: not as this asrkd writes it ({error}); {remedy}") from None
    unit = read_unit(scored, str(folder / SCORE), remedy)
    score = ScoreFolder(
        path=folder,
        set_name=scored["set"],
        alignment=scored["alignment"],
        normalizer=Normalizer(
            **{name: scored["normalizer"][name] for name in _NormalizerRecord.model_fields}
        ),
        references_sha256=scored["references_sha256"],
        utterances=_read_utterances(folder / UTTERANCES, unit, remedy),
        counts=Counts(**{kind: scored["counts"][kind] for kind in KINDS}),
        unit=unit,
    )
    if corpus_counts(utterance.counts for utterance in score.utterances) != score.counts:
        raise AsrkdError(f"{folder}: the counts of {UTTERANCES} do not sum to those of {SCORE}; {remedy}")
    texts = ((utterance.id, utterance.transcript) for utterance in score.utterances)
    if references_sha256(texts) != score.references_sha256:
        raise AsrkdError(f"{folder}: the references of {UTTERANCES} are not those of {SCORE}; {remedy}")
    return score


def remake_command(folder: Path) -> str:
    """Return the command that makes a score, with dots for unknown arguments."""
    if known := read_command(folder):
        return known
    model = folder.parent if (folder.parent / MODEL_CONFIG).is_file() else None
    arguments = ["..."] if model is None else [model, "--cuts", "..."]
    return command("asrkd", "score", *arguments, "--out", folder)


def read_counts(folder: Path) -> Counts:
    """Read the corpus counts of a finished score from its stamp.

    Raises:
        AsrkdError: the score is unfinished.
    """
    stamp = output_folder.read_stamp(folder, remake_command(folder), KINDS, _COUNTS)
    return Counts(**{kind: stamp[kind] for kind in KINDS})


def check_up_to_date(score: Path, model: Path) -> None:
    """Raise AsrkdError if a score is of other weights than those of the model, if it has weights."""
    request = files.read_json(score / SCORE_REQUEST) if (score / SCORE_REQUEST).is_file() else None
    expected = request.get("model") if isinstance(request, dict) else None
    if expected is not None and (model / WEIGHTS).is_file() and files.sha256(model / WEIGHTS) != expected:
        raise AsrkdError(
            f"{score}: is older than the weights of {model}; "
            f"{make_again(score, remake_command(score), 'the score')}"
        )


def require_comparable(scores: Sequence[ScoreFolder]) -> None:
    """Check that scores can be compared.

    Raises:
        AsrkdError: a score has other references, or another normalizer, unit or alignment, than the first.
    """
    for other in scores[1:]:
        first = scores[0]
        for name, of_first, of_other in (
            ("normalizer", str(first.normalizer), str(other.normalizer)),
            ("unit", str(first.unit), str(other.unit)),
            ("alignment", first.alignment, other.alignment),
            ("references", first.references_sha256[:12], other.references_sha256[:12]),
        ):
            if of_first != of_other:
                raise AsrkdError(
                    f"{other.path}: {name} {of_other}, but {first.path} has {of_first}; "
                    f"score both with the same options, and the same cuts or --ref: {_score_like(first)}"
                )


def _score_like(score: ScoreFolder) -> str:
    """Return the command that scores with the same rules."""
    options = {"normalizer": score.normalizer.name, "unit": score.unit.name, "alignment": score.alignment}
    words = (word for option, value in options.items() for word in (f"--{option}", value))
    return command("asrkd", "score", "...", *words)


def _row(utterance: ScoredUtterance) -> dict[str, Any]:
    row = {name: getattr(utterance, name) for name in _PLAIN}  # asdict is ten times slower
    row |= vars(utterance.counts)
    row["character_counts"] = vars(utterance.character_counts)
    if utterance.network is not None:
        row["network"] = vars(utterance.network)
    if utterance.word_times is not None and utterance.emission is not None:
        row |= {"reference_times": utterance.word_times, **utterance.emission.to_record()}
    return row


def _read_utterances(path: Path, unit: Unit, remedy: str) -> list[ScoredUtterance]:
    utterances = []
    for number, row in files.read_jsonl(path):
        try:
            _UTTERANCE.check(row)
            utterance = _utterance(row)
        except ValueError as error:
            raise AsrkdError(f"{path}:{number}: not a scored utterance ({error}); {remedy}") from None
        length, counted = len(units(utterance.reference, unit)), utterance.counts.reference_length
        if utterance.network is None and length != counted:  # only one of several alternatives counts
            problem = f"counts are of {counted} {unit.nouns}, but the reference has {length}"
            raise AsrkdError(f"{path}:{number}: utterance {utterance.id!r}: {problem}; {remedy}")
        utterances.append(utterance)
    return utterances


def _utterance(row: dict[str, Any]) -> ScoredUtterance:
    characters = row["character_counts"]
    network = None
    if "network" in row:
        network = AlignedNetwork(**{name: row["network"][name] for name in AlignedNetwork.__annotations__})
        if not network.is_of(row["hypothesis"].split()):
            raise ValueError("edits do not fit its network")
    times, emission = _times(row)
    return ScoredUtterance(
        **{name: row[name] for name in _PLAIN},
        counts=Counts(**{kind: row[kind] for kind in KINDS}),
        character_counts=CharacterCounts(**{kind: characters[kind] for kind in KINDS}),
        network=network,
        word_times=times,
        emission=emission,
    )


def _times(row: dict[str, Any]) -> tuple[Times | None, Emission | None]:
    """Read the times of the words of reference and hypothesis; ValueError if there are more or fewer."""
    emission = Emission.from_record(row)
    if emission is None or "reference_times" not in row:
        return None, None
    times = read_times(row["reference_times"])
    of_hypothesis = (emission.times, emission.times if emission.chunk_times is None else emission.chunk_times)
    for text, timed in (("reference", times), *(("hypothesis", each) for each in of_hypothesis)):
        if len(row[text].split()) != len(timed):
            raise ValueError(f"{len(timed)} times for the {len(row[text].split())} words of its {text}")
    return times, emission
