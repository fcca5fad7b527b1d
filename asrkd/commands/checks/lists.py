"""The lists of an N-best store: each hypothesis once, best first, and what the best of N would score."""

from pathlib import Path

from asrkd.commands.checks.findings import Findings
from asrkd.core.shell import make_anew
from asrkd.targets.nbest import Nbest
from asrkd.targets.store.nbest import NbestStore
from asrkd.targets.store.nbest_statistics import measure_nbest


def audit_lists(path: Path, findings: Findings) -> None:
    """Look over every list of the store at ``path``."""
    with findings.looking(path):
        store = NbestStore(path)
        remedy = make_anew(path, store.remake, "the store")
        count = 0
        for cut_id in store.index.ids():
            nbest = store.read(cut_id)
            count += len(nbest.hypotheses)
            for problem in _problems(nbest):
                findings.wrong(f"{path}: cut {cut_id}: {problem}; {remedy}", kind="lists")
        findings.saw(f"{path}: {count} hypotheses, {count / max(len(store.index), 1):.2f} a cut")
        figures = measure_nbest(path)
        if figures is not None:
            rates = ", ".join(f"{n}: {wer:.2%}" for n, wer in enumerate(figures.oracle_wer, start=1))
            findings.saw(f"{path}: {figures.unit.rate} of the least wrong of the first N: {rates}")


def _problems(nbest: Nbest) -> list[str]:
    tokens = [hypothesis.tokens for hypothesis in nbest.hypotheses if hypothesis.tokens is not None]
    ranked = [one.log_prob if one.score is None else one.score for one in nbest.hypotheses]
    found = []
    if not ranked:
        found.append("holds no hypothesis")
    if len(set(nbest.texts)) < len(nbest.texts) or len(set(tokens)) < len(tokens):
        found.append("a hypothesis comes twice")
    if ranked != sorted(ranked, reverse=True):
        found.append("its hypotheses are not sorted by what they were ranked by")
    return found
