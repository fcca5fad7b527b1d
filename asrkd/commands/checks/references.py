"""The errors of an N-best store, in its unit: counted against the transcripts that its cuts have now."""

from collections.abc import Sequence
from pathlib import Path

from asrkd.commands.checks.findings import Findings
from asrkd.core.shell import make_anew
from asrkd.data.cuts.records import CutRecord
from asrkd.targets.sources.nbest_word_errors import counted_reference, stale_errors, was_counted_against
from asrkd.targets.store.nbest import NbestStore


def audit_references(path: Path, cuts: Sequence[CutRecord], findings: Findings, *, recount: bool) -> None:
    """Count errors again, in the store's unit, unless the contract shows that no transcript changed.

    Args:
        path: of the store.
        cuts: that are in it, some or all, as they are now.
        findings: what is found goes here.
        recount: count them in any case.

    Raises:
        AsrkdError: the store is unfinished or damaged.
    """
    store = NbestStore(path)
    if not recount and was_counted_against(store.contract, cuts):
        findings.saw(f"{path}: transcripts as they were when {store.unit.noun} errors were counted")
        return
    counted, without, unit = 0, 0, store.unit
    for cut in cuts:
        nbest = store.read(cut.id)
        problem = stale_errors(nbest, cut.texts, unit)
        if problem:
            findings.wrong(
                f"{path}: the {unit.noun} errors of cut {cut.id} {problem}; "
                f"{make_anew(path, store.remake, 'the store')}",
                kind=f"whose {unit.noun} errors are of another transcript",
            )
        has_transcript = counted_reference(cut.texts) is not None
        counted += has_transcript and nbest.num_words is not None
        without += has_transcript and nbest.num_words is None
    findings.saw(f"{path}: {unit.noun} errors of {counted} cuts counted again")
    if without:
        findings.saw(f"{path}: {without} cuts have a transcript now and had none then, so no word errors")
