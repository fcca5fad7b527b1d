"""All files of a score, from its utterances: ours, and those that the field's tools read."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from asrkd import files, outputs
from asrkd.errors import AsrkdError, warn
from asrkd.file_names import shortened
from asrkd.progress import meter
from asrkd.scoring.counts import Counts
from asrkd.scoring.error_stats import write_error_stats
from asrkd.scoring.normaliser import case_warning
from asrkd.scoring.score_corpus import CorpusScore, Rules, Utterance, score_utterances
from asrkd.scoring.score_folder import SCORE, UTTERANCES, write_utterances
from asrkd.scoring.score_summary import summary, wer_line
from asrkd.scoring.transcript_files import trn_lines, write_kaldi_text, write_recogs
from asrkd.scoring.units import spaced
from asrkd.stopping import StopRequest

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
    outputs.stamp(out, asdict(scored.counts))


def _networks(scored: CorpusScore) -> tuple[dict[str, str], dict[str, str]] | None:
    """Both sides of all utterances with the alternatives that an stm or a ctm has; None of other files."""
    networks = [(one.id, one.network) for one in scored.utterances if one.network is not None]
    if len(networks) < len(scored.utterances):
        return None
    said = {utt_id: network.reference for utt_id, network in networks}
    return said, {utt_id: network.hypothesis for utt_id, network in networks}


def score_with_progress(
    utterances: Collection[Utterance], hypotheses: Mapping[str, str], rules: Rules, stop: StopRequest
) -> CorpusScore:
    """Score every utterance, as :func:`score_utterances` does, showing progress if it takes a while.

    A line on stderr says where case rules may not be those of the texts' language.

    Raises:
        AsrkdError: the two are not of the same utterances.
        StoppedInTime: asked to stop; nothing is kept.
    """
    texts = chain((utterance.reference for utterance in utterances), hypotheses.values())
    if line := case_warning(texts, rules.normaliser):
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
