"""Command ``score`` with ``--ref`` and ``--hyp``: count the errors of existing transcripts.

Reads:   transcripts, references and hypotheses (see :mod:`asrkd.scoring.transcripts`), or NIST's stm and
         ctm, which are aligned by time (see :mod:`asrkd.scoring.timed_corpus`).
Writes:  the score (see :mod:`asrkd.scoring.score_files`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from asrkd.core import files, output_folder
from asrkd.core.artifacts import SCORE_REQUEST
from asrkd.core.command_record import write_command
from asrkd.core.errors import AsrkdError
from asrkd.core.stopping import StopRequest
from asrkd.scoring.counts import Counts, require_same_ids, some_ids
from asrkd.scoring.nist import score_segments
from asrkd.scoring.score_corpus import (
    CorpusScore,
    ReferenceUtterance,
    Rules,
    require_words,
    score_utterances,
)
from asrkd.scoring.score_files import aligning, result_line, warn_of_case, write_score
from asrkd.scoring.score_folder import read_counts
from asrkd.scoring.timed_corpus import are_nist_files, read_timed_corpus
from asrkd.scoring.transcripts import Transcripts, read_speakers, read_transcripts


@dataclass(frozen=True)
class TranscriptsRequest:
    """Request of a score: references, hypotheses, speakers and rules."""

    references: Path
    hypotheses: Path
    out: Path
    utt2spk: Path | None = None  # None: speakers from the ids of a trn
    rules: Rules = Rules()


@dataclass(frozen=True)
class TranscriptsReport:
    """Result of scoring transcripts: counts and folder."""

    out: Path
    counts: Counts
    rules: Rules
    was_complete: bool

    def text(self) -> str:
        """Format the error rate and the folder as one line."""
        return result_line(self.counts, self.rules, self.out, was_complete=self.was_complete)


def score_transcripts(request: TranscriptsRequest, stop: StopRequest) -> TranscriptsReport:
    """Align every hypothesis with its reference, and count errors, summed over the corpus.

    Args:
        request: references, hypotheses, speakers and rules.
        stop: request to stop.

    Raises:
        AsrkdError: the files cannot be read or do not fit together; nothing is written.
        StoppedInTime: a stop was requested; nothing is kept.
    """
    is_timed = are_nist_files(request.references, request.hypotheses)
    inputs = _read_timed_files(request) if is_timed else _read_texts(request)
    claimed = output_folder.claim(request.out, SCORE_REQUEST, inputs.record | request.rules.record())
    was_complete = claimed is output_folder.State.COMPLETE
    if not was_complete:
        write_command(request.out)
        warn_of_case(inputs.texts, request.rules.normalizer)
        with aligning(inputs.num_utterances, stop) as advance:
            scored = inputs.score(advance)
        write_score(request.out, {"set": inputs.record["set"], "params": None, "search": None}, scored)
    return TranscriptsReport(request.out, read_counts(request.out), request.rules, was_complete)


class _Inputs(NamedTuple):
    """Inputs of a score, read and verified."""

    record: dict[str, Any]  # the settings that decide the result, as JSON
    num_utterances: int
    texts: Iterable[str]  # whose case is checked
    score: Callable[[Callable[[int], None]], CorpusScore]  # takes the function that counts scored utterances


def _read_texts(request: TranscriptsRequest) -> _Inputs:
    references, hypotheses = read_transcripts(request.references), read_transcripts(request.hypotheses)
    try:
        require_same_ids(references.texts, hypotheses.texts)
    except AsrkdError as error:
        raise AsrkdError(f"{request.references}, {request.hypotheses}: {error}") from None
    require_words(references.texts, request.references, request.rules)
    speakers = _speakers(request, references, hypotheses)
    utterances = [
        ReferenceUtterance(utt_id, text, utt_id, speakers.get(utt_id))
        for utt_id, text in references.texts.items()
    ]
    return _Inputs(
        _record(references, hypotheses, speakers),
        len(utterances),
        chain(references.texts.values(), hypotheses.texts.values()),
        partial(score_utterances, utterances, hypotheses.texts, request.rules),
    )


def _read_timed_files(request: TranscriptsRequest) -> _Inputs:
    """Read an stm and a ctm."""
    if request.utt2spk is not None:
        raise AsrkdError(f"--utt2spk {request.utt2spk}: an stm names its speakers; remove --utt2spk")
    corpus = read_timed_corpus(request.references, request.hypotheses, request.rules)
    record = {"set": _set_name(request.references), **corpus.record()}
    return _Inputs(record, len(corpus.references), (), partial(score_segments, corpus, request.rules))


def _speakers(
    request: TranscriptsRequest, references: Transcripts, hypotheses: Transcripts
) -> dict[str, str]:
    """Return the speakers by utterance id; without a file, of the utterances whose ids name a speaker."""
    if request.utt2spk is None:
        return hypotheses.speakers | references.speakers
    speakers = read_speakers(request.utt2spk)
    missing = references.texts.keys() - speakers.keys()
    if missing:
        raise AsrkdError(
            f"{request.utt2spk}: {len(missing)} utterances of {request.references} have no speaker: "
            f"{some_ids(missing)}; add a line 'utterance speaker' for each"
        )
    return {utt_id: speakers[utt_id] for utt_id in references.texts}


def _record(references: Transcripts, hypotheses: Transcripts, speakers: dict[str, str]) -> dict[str, Any]:
    """Return the settings that decide the result, as JSON."""
    return {
        "set": _set_name(references.path),
        "references": files.sha256_of(references.texts),
        "hypotheses": files.sha256_of(hypotheses.texts),
        "speakers": files.sha256_of(speakers),
    }


def _set_name(path: Path) -> str:
    """Return the name of the test set: 'test' of test.trn, test.jsonl.gz, test/text and test/ref.trn."""
    stem = path.name.split(".")[0]
    return path.absolute().parent.name if stem in ("text", "ref") else stem
