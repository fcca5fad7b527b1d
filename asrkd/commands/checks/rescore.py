"""Check by rescoring: hypotheses of an N-best store scored again by its teacher and language model.

They are scored one by one, in batches, and in bfloat16; fp32 scores must agree with the stored ones.
"""

import importlib
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lhotse import MonoCut

from asrkd.commands.checks.findings import Findings
from asrkd.commands.checks.teacher_scores import ScoreCombination, lm_scores, teacher_scores
from asrkd.core.errors import AsrkdError, error_text
from asrkd.core.shell import make_again
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.cuts.packed import PackedCuts
from asrkd.models.directory import load_model
from asrkd.targets.nbest import Nbest
from asrkd.targets.store.nbest import NbestStore
from asrkd.targets.store.provenance import Sources, check_sources, read_sources
from asrkd.targets.writers.nbest import DecodingConditions
from asrkd.teachers.folds import FoldTeachers
from asrkd.teachers.noisy_copies import Noise

TOLERANCE = 1e-3  # nats between a stored score and the same teacher's in fp32
BATCH = 16  # utterances


class Score(NamedTuple):
    """Score of a hypothesis by one or all parts of its teacher, stored and computed now, in nats."""

    cut_id: str
    rank: int
    part: str
    stored: float
    now: float


@dataclass(frozen=True)
class _Setup:
    """Batch size and precision of rescoring."""

    name: str
    batch: int
    precision: str
    must_agree: bool
    max_cuts: int | None = None


SETUPS = (
    _Setup("one by one", 1, "fp32", True),
    _Setup(f"in batches of {BATCH}", BATCH, "fp32", True),
    # Few cuts: bfloat16 is slow on many CPUs.
    _Setup(f"in batches of {BATCH}, bf16", BATCH, "bf16", False, max_cuts=2 * BATCH),
)


class _Teacher(NamedTuple):
    """Teacher of a store, with the conditions of its decoding."""

    path: Path  # path of the teacher, with folds that of the first fold
    conditions: DecodingConditions
    combination: ScoreCombination
    lm: Path | None  # language model of the search, if it can be loaded


def audit_rescore(path: Path, cuts: Sequence[Path], findings: Findings, num_hypotheses: int) -> None:
    """Score hypotheses of the store at ``path`` again, and compare.

    Args:
        path: folder of an N-best store.
        cuts: manifests of the store's cuts; if empty, the manifests that it was made from.
        findings: findings to add notes and problems to.
        num_hypotheses: number of hypotheses to score, from cuts all over the store.
    """
    with findings.collect(path):
        store = NbestStore(path)
        store.require_tokens("--rescore")
        sources = _sources(store)
        teacher = _Teacher(
            _existing(store, sources.teacher, "teacher"),
            _conditions(store, sources),
            ScoreCombination(store.contract["search"]),
            _language_model(store, sources, findings),
        )
        manifests = [_existing(store, manifest, "manifest") for manifest in cuts or sources.cuts]
        chosen = _chosen(store, manifests, num_hypotheses)
        lists = {cut.id: store.read(cut.id) for cut in chosen}
        count = sum(len(nbest.hypotheses) for nbest in lists.values())
        teachers = ", ".join(map(str, sources.folds or [teacher.path]))
        findings.note(f"{path}: {count} hypotheses of {len(lists)} cuts scored again by {teachers}")
        for setup in SETUPS:
            scores = list(_rescored(teacher, chosen[: setup.max_cuts], lists, setup))
            _compare(store, setup, scores, findings)


def _conditions(store: NbestStore, sources: Sources) -> DecodingConditions:
    """Rebuild the conditions of decoding: added noise, and teachers by fold."""
    noise, folds = store.contract.get("noise"), sources.folds
    return DecodingConditions(
        None
        if noise is None
        else Noise(_existing(store, sources.noise, "noise"), tuple(noise["snr_db"]), noise["seed"]),
        FoldTeachers(folds, store.contract["teacher"]["folds"]["by"]) if folds else None,
    )


def _language_model(store: NbestStore, sources: Sources, findings: Findings) -> Path | None:
    """Find the language model of the search; None without one, or, with a note, if it cannot be loaded."""
    if "lm" not in store.contract["search"]:
        return None
    if sources.lm is None:
        findings.note(
            f"{store.path}: the path of its language model was not recorded; its scores are not checked"
        )
        return None
    path = _existing(store, sources.lm, "language model")
    if path.is_file():
        try:
            importlib.import_module("kenlm")
        except (ImportError, OSError) as error:
            findings.note(
                f"{store.path}: its language model {path} is not checked: n-grams need "
                f"kenlm ({error_text(error)}); install it with: pip install kenlm"
            )
            return None
    return path


def _sources(store: NbestStore) -> Sources:
    sources = read_sources(store.path)
    if sources is None or sources.teacher is None:
        raise AsrkdError(
            f"{store.path}: the path of its teacher was not recorded; make it again with: {store.remake}"
        )
    check_sources(store.path, store.contract)
    return sources


def _existing(store: NbestStore, path: Path | None, what: str) -> Path:
    if path is None or not path.exists():
        remedy = "; give it with --cuts" if what == "manifest" else f"; put it back, or {store.remake}"
        raise AsrkdError(f"{store.path}: its {what} {path} no longer exists{remedy}")
    return path


def _chosen(store: NbestStore, manifests: Sequence[Path], num_hypotheses: int) -> list[MonoCut]:
    """Choose cuts with at least ``num_hypotheses`` hypotheses by a hash of their ids, always the same."""
    ids = sorted(store.index.ids(), key=lambda cut_id: (zlib.crc32(cut_id.encode()), cut_id))
    wanted, count = set[str](), 0
    for cut_id in ids:
        if count >= num_hypotheses:
            break
        wanted.add(cut_id)
        count += len(store.read(cut_id).hypotheses)
    cuts = [cut for path in manifests for cut in _of(read_cuts(path), wanted)]
    if missing := wanted - {cut.id for cut in cuts}:
        raise AsrkdError(
            f"{store.path}: cut {min(missing)} is in none of {', '.join(map(str, manifests))}; "
            "give its manifest with --cuts"
        )
    store.verify(cuts)
    return cuts


def _of(cuts: PackedCuts, wanted: set[str]) -> PackedCuts:
    return cuts.where(lambda record: record.id in wanted)


def _rescored(
    teacher: _Teacher, cuts: Sequence[MonoCut], lists: Mapping[str, Nbest], setup: _Setup
) -> Iterator[Score]:
    """Compute each stored score again."""
    for path, decoded in teacher.conditions.by_teacher(teacher.path, cuts):
        model = load_model(path)
        for start in range(0, len(decoded), setup.batch):
            batch = decoded[start : start + setup.batch]
            hypotheses = [
                [list(hypothesis.tokens or ()) for hypothesis in lists[cut.id].hypotheses] for cut in batch
            ]
            by_part = teacher_scores(model, batch, hypotheses, setup.precision, teacher.conditions.read)
            if teacher.lm is not None:
                by_part["lm"] = lm_scores(teacher.lm, model, hypotheses, setup.precision)
            for row, cut in enumerate(batch):
                for rank, hypothesis in enumerate(lists[cut.id].hypotheses):
                    now = {part: scores[row][rank] for part, scores in by_part.items()}
                    for part, stored, computed in teacher.combination.compare(hypothesis, now):
                        yield Score(cut.id, rank, part, stored, computed)


def _difference(score: Score) -> float:
    """Return the absolute difference in nats; infinite for NaN."""
    if score.stored == score.now:
        return 0.0  # equal infinities differ by nothing
    difference = abs(score.stored - score.now)
    return math.inf if math.isnan(difference) else difference


def _compare(store: NbestStore, setup: _Setup, scores: Sequence[Score], findings: Findings) -> None:
    """Note the differences from the stored scores; a difference above the tolerance is a problem."""
    for part in dict.fromkeys(score.part for score in scores):
        of_part = [score for score in scores if score.part == part]
        worst = max(of_part, key=_difference)
        largest, mean = _difference(worst), sum(map(_difference, of_part)) / len(of_part)
        findings.note(
            f"{store.path}: {part} {setup.name}: largest difference {largest:.2g} nats, mean {mean:.2g}"
        )
        if setup.must_agree and not largest <= TOLERANCE:
            findings.problem(
                f"{store.path}: {part} scores {setup.name} differ from the stored ones by up to "
                f"{largest:.3g} nats (cut {worst.cut_id}: {worst.stored:.6g} stored, {worst.now:.6g} now), "
                f"expected at most {TOLERANCE:g}; {make_again(store.path, store.remake, 'the store')}"
            )
