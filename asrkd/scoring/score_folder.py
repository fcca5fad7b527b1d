"""A score on disk: ``score.json`` for the corpus, ``utterances.jsonl`` for what each utterance added to it.

Read by everything that compares scores; nothing else of a score folder need be read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from asrkd.core import files, output_folder
from asrkd.core.artifacts import MODEL_CONFIG, SCORE, UTTERANCES
from asrkd.core.command_record import read_command
from asrkd.core.errors import AsrkdError
from asrkd.core.schema import Count, Name, Positive, Record, Schema, Seconds
from asrkd.core.shell import command, make_anew
from asrkd.scoring.aligned_network import AlignedNetwork
from asrkd.scoring.counts import CharacterCounts, Counts, corpus_counts
from asrkd.scoring.normalizer import Normalizer
from asrkd.scoring.units import WORD, Unit, read_unit, units

_PLAIN = ("id", "speaker", "recording", "duration_s", "reference", "hypothesis")
KINDS = ("hits", "substitutions", "deletions", "insertions")


@dataclass(frozen=True)
class ScoredUtterance:
    """What was said, what was heard, and the errors."""

    id: str
    speaker: str  # the recording's id where no speaker is known
    recording: str
    duration_s: float | None
    reference: str  # as scored: after the normalizer
    hypothesis: str
    counts: Counts  # of the score's unit
    character_counts: CharacterCounts
    network: AlignedNetwork | None = None  # of stm and ctm; the texts are the path chosen in it

    @property
    def transcript(self) -> str:
        """The reference with all alternatives, which does not depend on the hypothesis."""
        return self.reference if self.network is None else self.network.reference


@dataclass(frozen=True)
class ScoreFolder:
    """A finished score."""

    path: Path
    set_name: str
    alignment: str  # levenshtein, sclite, or of stm and ctm another of asrkd.scoring.nist_rules.COSTS
    normalizer: Normalizer
    references_sha256: str  # of ids and normalized references
    utterances: list[ScoredUtterance]  # by id
    counts: Counts  # of the corpus
    unit: Unit = WORD  # that counts are of


class _Counts(Record):
    hits: Count
    substitutions: Count
    deletions: Count
    insertions: Count


class _Normalizer(Record):
    name: Name
    version: Positive
    sha256: str


class _Score(Record):
    set: str
    # The last three are of stm and ctm.
    alignment: Literal["levenshtein", "sclite", "sclite-D", "sclite-F", "sclite-DF"]
    normalizer: _Normalizer
    references_sha256: str
    counts: _Counts
    params: Count | None = None


class _Network(Record):
    reference: str
    hypothesis: str
    edits: str


class _Utterance(_Counts):
    id: Name
    speaker: str
    recording: str
    duration_s: Seconds | None
    reference: str
    hypothesis: str
    character_counts: _Counts
    network: _Network = _Network(reference="", hypothesis="", edits="")


_COUNTS: Schema[Any] = Schema(_Counts)
_SCORE: Schema[Any] = Schema(_Score)
_UTTERANCE: Schema[Any] = Schema(_Utterance)


def named_as_speakers(utterances: Sequence[ScoredUtterance]) -> str:
    """What the names in ``speaker`` are of: speaker, or where none is known recording or utterance."""
    if any(utterance.speaker != utterance.recording for utterance in utterances):
        return "speaker"
    recordings = {utterance.recording for utterance in utterances}
    return "recording" if len(recordings) < len(utterances) else "utterance"


def references_sha256(references: Iterable[tuple[str, str]]) -> str:
    """Hex digest of pairs of id and normalized reference, whatever their order."""
    return files.sha256_of(sorted(references))


def write_utterances(path: Path, utterances: Iterable[ScoredUtterance]) -> None:
    """Write ``utterances.jsonl``, a row each, in the order given."""
    files.write_jsonl(path, map(_row, utterances))


def read_score(folder: Path) -> ScoreFolder:
    """Read a folder of `asrkd score`.

    Raises:
        AsrkdError: it is absent, unfinished, torn or of an older asrkd; the
            message has the command that mends it.
    """
    remedy = make_anew(folder, remake_command(folder), "the score")
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
    found = ScoreFolder(
        path=folder,
        set_name=scored["set"],
        alignment=scored["alignment"],
        normalizer=Normalizer(**{name: scored["normalizer"][name] for name in _Normalizer.model_fields}),
        references_sha256=scored["references_sha256"],
        utterances=_read_utterances(folder / UTTERANCES, unit, remedy),
        counts=Counts(**{kind: scored["counts"][kind] for kind in KINDS}),
        unit=unit,
    )
    if corpus_counts(utterance.counts for utterance in found.utterances) != found.counts:
        raise AsrkdError(f"{folder}: {UTTERANCES} and {SCORE} do not add up; {remedy}")
    texts = ((utterance.id, utterance.transcript) for utterance in found.utterances)
    if references_sha256(texts) != found.references_sha256:
        raise AsrkdError(f"{folder}: {UTTERANCES} has not the references that {SCORE} is of; {remedy}")
    return found


def remake_command(folder: Path) -> str:
    """The command that makes a score, with dots for what is not known."""
    if known := read_command(folder):
        return known
    model = folder.parent if (folder.parent / MODEL_CONFIG).is_file() else None
    asked = ["..."] if model is None else [model, "--cuts", "..."]
    return command("asrkd", "score", *asked, "--out", folder)


def read_counts(folder: Path) -> Counts:
    """The corpus's counts of a finished score, from its stamp.

    Raises:
        AsrkdError: it is unfinished.
    """
    stamp = output_folder.read_stamp(folder, remake_command(folder), KINDS, _COUNTS)
    return Counts(**{kind: stamp[kind] for kind in KINDS})


def require_comparable(scores: Sequence[ScoreFolder]) -> None:
    """Refuse to compare what was not scored alike.

    Raises:
        AsrkdError: references, normalizer, unit or alignment of one are not those of the first.
    """
    for other in scores[1:]:
        first = scores[0]
        for what, of_first, of_other in (
            ("normalizer", str(first.normalizer), str(other.normalizer)),
            ("unit", str(first.unit), str(other.unit)),
            ("alignment", first.alignment, other.alignment),
            ("references", first.references_sha256[:12], other.references_sha256[:12]),
        ):
            if of_first != of_other:
                raise AsrkdError(
                    f"{other.path}: {what} {of_other}, but {first.path} has {of_first}; "
                    f"score both alike, with the same cuts or --ref: {_score_like(first)}"
                )


def _score_like(score: ScoreFolder) -> str:
    """The command that scores as this one was."""
    options = {"normalizer": score.normalizer.name, "unit": score.unit.name, "alignment": score.alignment}
    return command(
        "asrkd", "score", "...", *(word for key, own in options.items() for word in (f"--{key}", own))
    )


def _row(utterance: ScoredUtterance) -> dict[str, Any]:
    row = {name: getattr(utterance, name) for name in _PLAIN}  # asdict takes ten times as long
    row |= vars(utterance.counts)
    row["character_counts"] = vars(utterance.character_counts)
    if utterance.network is not None:
        row["network"] = vars(utterance.network)
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
        if utterance.network is None and length != counted:  # of alternatives one counts
            problem = f"{counted} {unit.nouns} are counted, the reference has {length}"
            raise AsrkdError(f"{path}:{number}: utterance {utterance.id!r}: {problem}; {remedy}")
        utterances.append(utterance)
    return utterances


def _utterance(row: dict[str, Any]) -> ScoredUtterance:
    characters = row["character_counts"]
    network = None
    if "network" in row:
        network = AlignedNetwork(**{name: row["network"][name] for name in AlignedNetwork.__annotations__})
        if not network.is_of(row["hypothesis"].split()):
            raise ValueError("edits that are not of its network")
    return ScoredUtterance(
        **{name: row[name] for name in _PLAIN},
        counts=Counts(**{kind: row[kind] for kind in KINDS}),
        character_counts=CharacterCounts(**{kind: characters[kind] for kind in KINDS}),
        network=network,
    )
