"""Check of N-best stores: order of hypotheses, oracle WER, and errors against the current transcripts."""

from collections.abc import Sequence
from pathlib import Path

from asrkd.commands.checks.findings import Findings
from asrkd.core.shell import make_again
from asrkd.data.cuts.records import CutRecord
from asrkd.targets.nbest import Nbest
from asrkd.targets.sources.nbest_word_errors import counted_reference, stale_errors, was_counted_against
from asrkd.targets.store.nbest import NbestStore
from asrkd.targets.store.nbest_statistics import measure_nbest


def audit_lists(path: Path, findings: Findings) -> None:
    """Check every N-best list of the store at ``path``; note the oracle WER of each N."""
    with findings.collect(path):
        store = NbestStore(path)
        remedy = make_again(path, store.remake, "the store")
        count = 0
        for cut_id in store.index.ids():
            nbest = store.read(cut_id)
            count += len(nbest.hypotheses)
            for problem in _problems(nbest):
                findings.problem(f"{path}: cut {cut_id}: {problem}; {remedy}", kind="lists")
        findings.note(f"{path}: {count} hypotheses, {count / max(len(store.index), 1):.2f} a cut")
        statistics = measure_nbest(path)
        if statistics is not None:
            rates = ", ".join(f"{n}: {wer:.2%}" for n, wer in enumerate(statistics.oracle_wer, start=1))
            findings.note(f"{path}: oracle {statistics.unit.rate} of the first N: {rates}")


def _problems(nbest: Nbest) -> list[str]:
    tokens = [hypothesis.tokens for hypothesis in nbest.hypotheses if hypothesis.tokens is not None]
    scores = [
        hypothesis.log_prob if hypothesis.score is None else hypothesis.score
        for hypothesis in nbest.hypotheses
    ]
    problems = []
    if not scores:
        problems.append("has no hypothesis")
    if len(set(nbest.texts)) < len(nbest.texts) or len(set(tokens)) < len(tokens):
        problems.append("has a duplicate hypothesis")
    if scores != sorted(scores, reverse=True):
        problems.append("its hypotheses are not sorted by score")
    return problems


def audit_references(path: Path, cuts: Sequence[CutRecord], findings: Findings, *, recount: bool) -> None:
    """Count the errors again, in the store's unit, unless the contract shows that no transcript changed.

    Args:
        path: folder of the store.
        cuts: some or all cuts of the store, with their current transcripts.
        findings: findings to add notes and problems to.
        recount: whether to count in any case.

    Raises:
        AsrkdError: the store is unfinished or damaged.
    """
    store = NbestStore(path)
    if not recount and was_counted_against(store.contract, cuts):
        findings.note(f"{path}: transcripts unchanged since {store.unit.noun} errors were counted")
        return
    counted, without, unit = 0, 0, store.unit
    for cut in cuts:
        nbest = store.read(cut.id)
        problem = stale_errors(nbest, cut.texts, unit)
        if problem:
            findings.problem(
                f"{path}: the {unit.noun} errors of cut {cut.id} {problem}; "
                f"{make_again(path, store.remake, 'the store')}",
                kind=f"whose {unit.noun} errors are of another transcript",
            )
        has_transcript = counted_reference(cut.texts) is not None
        counted += has_transcript and nbest.num_words is not None
        without += has_transcript and nbest.num_words is None
    findings.note(f"{path}: {unit.noun} errors of {counted} cuts counted again")
    if without:
        findings.note(
            f"{path}: {without} cuts got a transcript after decoding, and have no {unit.noun} errors"
        )
