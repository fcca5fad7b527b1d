"""All files of a score, from its utterances: ours, and those that the field's tools read."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain
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
from asrkd.scoring.normalizer import case_warning
from asrkd.scoring.score_corpus import CHARACTER, CorpusScore, ReferenceUtterance, Rules, score_utterances
from asrkd.scoring.score_folder import ScoredUtterance, named_as_speakers, references_sha256, write_utterances
from asrkd.scoring.significance.bootstrap import NUM_REPLICATES, wer_interval
from asrkd.scoring.transcript_files import trn_lines, write_kaldi_text, write_recogs
from asrkd.scoring.units import WORD, Unit, spaced
from asrkd.scoring.word_alignment import LEVENSHTEIN

SEED = 1  # of the resampling: a score has the same interval whenever it is made


def wer_line(counts: Counts, unit: Unit = WORD) -> str:
    """``%WER 2.04 [ 1075 / 52576, 92 ins, 104 del, 879 sub ]``, as Kaldi's compute-wer; or %CER, %MER.

    Raises:
        AsrkdError: the references hold no words.
    """
    return (
        f"%{unit.rate} {100 * counts.wer:.2f} [ {counts.errors} / {counts.num_words}, "
        f"{counts.insertions} ins, {counts.deletions} del, {counts.substitutions} sub ]"
    )


def summary(scored: CorpusScore) -> dict[str, Any]:
    """What ``score.json`` says of the corpus; the utterances have a file of their own.

    Returns:
        ``wer``, or of the mixed unit ``mer``, and ``cer``, fractions; ``interval`` of the
        unit's rate; ``num_utterances``; ``counts`` of units and ``character_counts``,
        each with its ``reference_length``; ``speakers``, with ``num_utterances`` and
        ``counts`` of each; ``unit``, ``alignment`` of units and ``character_alignment``,
        ``normalizer`` and ``references_sha256``: two scores that differ in one of these
        are of different things. A blank between two words is a character of
        ``character_counts``, unless the unit ignores blanks; of the unit ``char`` they
        are the ``counts``, and there is no rate but ``cer``.

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
    """Where the error rate lies, by a bootstrap over speakers; None where one, or no error, says nothing."""
    interval = wer_interval(
        np.array([utterance.counts.errors for utterance in utterances]),
        np.array([utterance.counts.num_words for utterance in utterances]),
        [utterance.speaker for utterance in utterances],
        SEED,
    )
    if interval is None:
        return None
    how = {"resampled": f"{named_as_speakers(utterances)}s", "replicates": NUM_REPLICATES, "seed": SEED}
    return asdict(interval) | how


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


SHOWN_AFTER_S = 3.0  # of aligning, which most often takes less


def write_score(out: Path, described: Mapping[str, Any], scored: CorpusScore) -> None:
    """Write a score into ``out``, its stamp last.

    Files for other tools have the units with blanks between them, so that those count the same.

    Args:
        out: the folder.
        described: what ``score.json`` says besides the counts, ``set`` at least.
        scored: what was counted.

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
    # Kaldi and sclite give some symbols a meaning; the counts need neither of them.
    with _or_not("Kaldi text"):
        write_kaldi_text(out / "text", hypotheses)
    with _or_not("trn files"):
        networks = _networks(scored)
        sides, marked = networks or (references, hypotheses), networks is not None
        said, heard = (trn_lines(side, speakers, with_marks=marked) for side in sides)  # both, or neither
        files.write_lines(out / "ref.trn", said)
        files.write_lines(out / "hyp.trn", heard)
    write_utterances(out / UTTERANCES, scored.utterances)
    files.write_json(out / SCORE, dict(described) | summary(scored))
    output_folder.stamp(out, asdict(scored.counts))


def _networks(scored: CorpusScore) -> tuple[dict[str, str], dict[str, str]] | None:
    """Both sides of all utterances with the alternatives that an stm or a ctm has; None of other files."""
    networks = [(one.id, one.network) for one in scored.utterances if one.network is not None]
    if len(networks) < len(scored.utterances):
        return None
    said = {utt_id: network.reference for utt_id, network in networks}
    return said, {utt_id: network.hypothesis for utt_id, network in networks}


def score_with_progress(
    utterances: Collection[ReferenceUtterance], hypotheses: Mapping[str, str], rules: Rules, stop: StopRequest
) -> CorpusScore:
    """Score every utterance, as :func:`score_utterances` does, showing progress if it takes a while.

    A line on stderr says where case rules may not be those of the texts' language.

    Raises:
        AsrkdError: the two are not of the same utterances.
        StoppedInTime: asked to stop; nothing is kept.
    """
    texts = chain((utterance.reference for utterance in utterances), hypotheses.values())
    if line := case_warning(texts, rules.normalizer):
        warn(line)
    return with_progress(
        len(utterances),
        stop,
        lambda advance: score_utterances(utterances, hypotheses, rules, advance),
    )


def with_progress(
    count: int, stop: StopRequest, score: Callable[[Callable[[int], None]], CorpusScore]
) -> CorpusScore:
    """Score so many utterances by ``score``, which is given a function to call with how many more are done.

    Raises:
        StoppedInTime: asked to stop; nothing is kept.
    """
    with meter("align", count, "utterances", after_s=SHOWN_AFTER_S) as shown:

        def advance(more: int) -> None:
            shown.advance(more)
            if shown.done < shown.total:
                stop.check(f"{shown.done} of {shown.total} utterances were aligned, which is begun anew")

        return score(advance)


def result_line(counts: Counts, rules: Rules, out: Path, *, was_complete: bool) -> str:
    """The line of %WER, %CER or %MER, by which alignment, and where the rest is.

    Raises:
        AsrkdError: the references hold no words.
    """
    line = f"{wer_line(counts, rules.unit)} {rules.alignment} {out}"
    return f"{line}{' (already complete)' if was_complete else ''}"


@contextmanager
def _or_not(what: str) -> Iterator[None]:
    """Do without a file that somebody else's rules do not allow, and say so."""
    try:
        yield
    except AsrkdError as error:
        warn(f"no {what}: {error}")
