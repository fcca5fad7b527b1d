"""Score files: ``score.json``, ``utterances.jsonl``, and the formats of icefall, Kaldi and sclite."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from asrkd.core import files, output_folder
from asrkd.core.artifacts import SCORE, UTTERANCES
from asrkd.core.errors import AsrkdError, warn
from asrkd.core.file_names import shortened
from asrkd.core.progress import meter
from asrkd.core.stopping import StopRequest
from asrkd.scoring.counts import Counts, EditCounts, corpus_counts
from asrkd.scoring.error_stats import write_error_stats
from asrkd.scoring.normalizer import Normalizer, case_warning
from asrkd.scoring.score_corpus import CHARACTER, CorpusScore, Rules
from asrkd.scoring.score_folder import ScoredUtterance, named_as_speakers, references_sha256, write_utterances
from asrkd.scoring.significance.bootstrap import NUM_REPLICATES, wer_interval
from asrkd.scoring.transcript_files import trn_lines, write_kaldi_text, write_recogs
from asrkd.scoring.units import WORD, Unit, spaced
from asrkd.scoring.word_alignment import LEVENSHTEIN

SEED = 1  # seed of the bootstrap, fixed so that the same score has the same interval


def wer_line(counts: Counts, unit: Unit = WORD) -> str:
    """Format as Kaldi's compute-wer: ``%WER 2.04 [ 1075 / 52576, 92 ins, 104 del, 879 sub ]``; or %CER, %MER.

    Raises:
        AsrkdError: the references have no words.
    """
    return (
        f"%{unit.rate} {100 * counts.wer:.2f} [ {counts.errors} / {counts.num_words}, "
        f"{counts.insertions} ins, {counts.deletions} del, {counts.substitutions} sub ]"
    )


def summary(scored: CorpusScore) -> dict[str, Any]:
    """Summarize a score for ``score.json``; utterances have a separate file.

    Returns:
        ``wer``, or ``mer`` for the mixed unit, and ``cer``, as fractions; ``interval`` of the
        unit's rate; ``num_utterances``; ``counts`` of units and ``character_counts``,
        each with its ``reference_length``; ``speakers``, with ``num_utterances`` and
        ``counts`` of each; ``unit``, ``alignment`` of units and ``character_alignment``,
        ``normalizer`` and ``references_sha256``: scores that differ in one of these
        cannot be compared. A blank between two words is a character of
        ``character_counts``, unless the unit ignores blanks; for the unit ``char`` they
        equal ``counts``, and ``cer`` is the only rate.

    Raises:
        AsrkdError: there are no utterances, or the references hold no words.
    """
    utterances, rules = scored.utterances, scored.rules
    counts = scored.counts
    characters = corpus_counts(utterance.character_counts for utterance in utterances)
    return {
        **{rules.unit.rate.lower(): counts.wer, "cer": characters.cer},
        "interval": _interval(utterances),
        "num_utterances": len(utterances),
        "counts": _with_length(counts),
        "character_counts": _with_length(characters),
        "speakers": _speakers(utterances),
        "unit": asdict(rules.unit),
        "alignment": rules.alignment,
        "character_alignment": rules.alignment if rules.unit == CHARACTER else LEVENSHTEIN,
        "normalizer": asdict(rules.normalizer),
        "references_sha256": references_sha256((each.id, each.transcript) for each in utterances),
    }


def _interval(utterances: Sequence[ScoredUtterance]) -> dict[str, Any] | None:
    """Compute the interval of the error rate by a bootstrap over speakers; see :func:`wer_interval`."""
    interval = wer_interval(
        np.array([utterance.counts.errors for utterance in utterances]),
        np.array([utterance.counts.num_words for utterance in utterances]),
        [utterance.speaker for utterance in utterances],
        SEED,
    )
    if interval is None:
        return None
    method = {"resampled": f"{named_as_speakers(utterances)}s", "replicates": NUM_REPLICATES, "seed": SEED}
    return asdict(interval) | method


def _speakers(scored: Sequence[ScoredUtterance]) -> list[dict[str, Any]]:
    by_speaker: dict[str, list[Counts]] = {}
    for utterance in scored:
        by_speaker.setdefault(utterance.speaker, []).append(utterance.counts)
    return [
        {"speaker": speaker, "num_utterances": len(counts), "counts": _with_length(corpus_counts(counts))}
        for speaker, counts in sorted(by_speaker.items())
    ]


def _with_length(counts: EditCounts) -> dict[str, int]:
    return {**asdict(counts), "reference_length": counts.reference_length}


SHOWN_AFTER_S = 3.0  # progress of an alignment that takes longer is shown


def write_score(out: Path, described: Mapping[str, Any], scored: CorpusScore) -> None:
    """Write a score into ``out``, the stamp last.

    Files for other tools have blanks between units, so that these tools count the same units.

    Args:
        out: folder of the score.
        described: further keys of ``score.json``; ``set`` is required.
        scored: the scored utterances.

    Raises:
        AsrkdError: there are no utterances, or the references hold no words.
    """
    unit = scored.rules.unit
    references = {utterance.id: spaced(utterance.reference, unit) for utterance in scored.utterances}
    hypotheses = {utterance.id: spaced(utterance.hypothesis, unit) for utterance in scored.utterances}
    speakers = {utterance.id: utterance.speaker for utterance in scored.utterances}
    set_name = shortened(described["set"])
    write_recogs(out / f"recogs-{set_name}.txt", references, hypotheses)
    write_error_stats(out / f"errs-{set_name}.txt", scored)
    # Some symbols have a special meaning in Kaldi and sclite; without these files the score is complete too.
    with _optional("Kaldi text"):
        write_kaldi_text(out / "text", hypotheses)
    with _optional("trn files"):
        networks = _networks(scored)
        sides, marked = networks or (references, hypotheses), networks is not None
        lines = [trn_lines(side, speakers, with_marks=marked) for side in sides]  # write both, or neither
        files.write_lines(out / "ref.trn", lines[0])
        files.write_lines(out / "hyp.trn", lines[1])
    write_utterances(out / UTTERANCES, scored.utterances)
    files.write_json(out / SCORE, dict(described) | summary(scored))
    output_folder.stamp(out, asdict(scored.counts))


def _networks(scored: CorpusScore) -> tuple[dict[str, str], dict[str, str]] | None:
    """Return references and hypotheses with their alternatives (stm and ctm); None for other transcripts."""
    networks = [(each.id, each.network) for each in scored.utterances if each.network is not None]
    if len(networks) < len(scored.utterances):
        return None
    references = {utt_id: network.reference for utt_id, network in networks}
    return references, {utt_id: network.hypothesis for utt_id, network in networks}


@contextmanager
def aligning(count: int, stop: StopRequest) -> Iterator[Callable[[int], None]]:
    """Show progress over ``count`` utterances in the block, and yield the function that advances it.

    Raises:
        StoppedInTime: a stop was requested; nothing is kept.
    """
    with meter("align", count, "utterances", after_s=SHOWN_AFTER_S) as progress:

        def advance(more: int) -> None:
            progress.advance(more)
            if progress.done < progress.total:
                stop.check(
                    f"{progress.done} of {progress.total} utterances were aligned; the next run restarts"
                )

        yield advance


def warn_of_case(texts: Iterable[str], normalizer: Normalizer) -> None:
    """Warn on stderr if the case rules of the normalizer may not suit the language of the texts."""
    if line := case_warning(texts, normalizer):
        warn(line)


def result_line(counts: Counts, rules: Rules, out: Path, *, was_complete: bool) -> str:
    """Format the result: the %WER, %CER or %MER line, the alignment and the folder.

    Raises:
        AsrkdError: the references have no words.
    """
    line = f"{wer_line(counts, rules.unit)} {rules.alignment} {out}"
    return f"{line}{' (already complete)' if was_complete else ''}"


@contextmanager
def _optional(name: str) -> Iterator[None]:
    """Leave out a file that the rules of its format do not allow, with a warning."""
    try:
        yield
    except AsrkdError as error:
        warn(f"no {name}: {error}")
