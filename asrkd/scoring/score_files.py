"""All files of a score, from its utterances: ours, and those that the field's tools read."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from asrkd import files, outputs
from asrkd.errors import AsrkdError
from asrkd.scoring.counts import corpus_counts
from asrkd.scoring.error_stats import write_error_stats
from asrkd.scoring.score_corpus import Rules
from asrkd.scoring.score_folder import SCORE, UTTERANCES, ScoredUtterance, write_utterances
from asrkd.scoring.score_summary import summary
from asrkd.scoring.transcript_files import write_kaldi_text, write_recogs, write_trn


def write_score(
    out: Path, described: Mapping[str, Any], rules: Rules, scored: Sequence[ScoredUtterance]
) -> None:
    """Write a score into ``out``, its stamp last.

    Args:
        out: the folder.
        described: what ``score.json`` says besides the counts, ``set`` at least.
        rules: by which it was scored.
        scored: all utterances, by id.
    """
    references = {utterance.id: utterance.reference for utterance in scored}
    hypotheses = {utterance.id: utterance.hypothesis for utterance in scored}
    speakers = {utterance.id: utterance.speaker for utterance in scored}
    write_recogs(out / f"recogs-{described['set']}.txt", references, hypotheses)
    write_error_stats(out / f"errs-{described['set']}.txt", references, hypotheses)
    # Kaldi and sclite give some symbols a meaning; the counts need neither of them.
    with _or_not("Kaldi text"):
        write_kaldi_text(out / "text", hypotheses)
    with _or_not("trn files"):
        write_trn(out / "ref.trn", references, speakers)
        write_trn(out / "hyp.trn", hypotheses, speakers)
    write_utterances(out / UTTERANCES, scored)
    files.write_json(out / SCORE, dict(described) | summary(scored, rules))
    outputs.stamp(out, asdict(corpus_counts(utterance.counts for utterance in scored)))


@contextmanager
def _or_not(what: str) -> Iterator[None]:
    """Do without a file that somebody else's rules do not allow, and say so."""
    try:
        yield
    except AsrkdError as error:
        print(f"asrkd: no {what}: {error}", file=sys.stderr)
