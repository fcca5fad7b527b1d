"""Stored hypotheses scored again by the teacher that they came from: one by one, in batches, in bfloat16.

A score that was stored must be what its teacher says of the audio, and its language model of the text.
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
from asrkd.commands.checks.mixing import Mixing
from asrkd.commands.checks.teacher_scores import lm_scores, teacher_scores
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import make_anew
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
    """A hypothesis's score by a part of its teacher, or by several, in nats."""

    cut_id: str
    rank: int
    part: str
    stored: float
    now: float


@dataclass(frozen=True)
class _Way:
    """A way of asking."""

    name: str
    batch: int
    precision: str
    must_agree: bool
    most_cuts: int | None = None


WAYS = (
    _Way("one by one", 1, "fp32", True),
    _Way(f"in batches of {BATCH}", BATCH, "fp32", True),
    # Few cuts: many CPUs compute it slowly.
    _Way(f"in batches of {BATCH}, bf16", BATCH, "bf16", False, most_cuts=2 * BATCH),
)


class _Teacher(NamedTuple):
    """Who is asked again."""

    path: Path  # of one that stands for those of all folds, where there are folds
    hearing: DecodingConditions
    mixing: Mixing  # of the parts, by the search
    lm: Path | None  # that stood beside it, if it can be asked again


def audit_rescore(path: Path, cuts: Sequence[Path], findings: Findings, most: int) -> None:
    """Score hypotheses of the store at ``path`` again and compare.

    Args:
        path: of an N-best store.
        cuts: manifests that have its cuts; those that it was made from if there are none.
        findings: what is found goes here.
        most: hypotheses to be scored again, of cuts all over the store.
    """
    with findings.looking(path):
        store = NbestStore(path)
        store.require_tokens("--rescore")
        sources = _sources(store)
        teacher = _Teacher(
            _there(store, sources.teacher, "teacher"),
            _hearing(store, sources),
            Mixing(store.contract["search"]),
            _language_model(store, sources, findings),
        )
        manifests = [_there(store, manifest, "manifest") for manifest in cuts or sources.cuts]
        chosen = _chosen(store, manifests, most)
        lists = {cut.id: store.read(cut.id) for cut in chosen}
        count = sum(len(nbest.hypotheses) for nbest in lists.values())
        asked = ", ".join(map(str, sources.folds or [teacher.path]))
        findings.saw(f"{path}: {count} hypotheses of {len(lists)} cuts scored again by {asked}")
        for way in WAYS:
            some = chosen[: way.most_cuts]
            _compare(store, way, list(_rescored(teacher, some, lists, way)), findings)


def _hearing(store: NbestStore, sources: Sources) -> DecodingConditions:
    """What the teacher heard beside the cuts, and the teachers of folds."""
    noise, folds = store.contract.get("noise"), sources.folds
    return DecodingConditions(
        None
        if noise is None
        else Noise(_there(store, sources.noise, "noise"), tuple(noise["snr_db"]), noise["seed"]),
        FoldTeachers(folds, store.contract["teacher"]["folds"]["by"]) if folds else None,
    )


def _language_model(store: NbestStore, sources: Sources, findings: Findings) -> Path | None:
    """The one that had a say in the search; None if there was none, or it is said why it cannot be asked."""
    if "lm" not in store.contract["search"]:
        return None
    if sources.lm is None:
        findings.saw(f"{store.path}: made before asrkd kept where its language model was, which is not asked")
        return None
    path = _there(store, sources.lm, "language model")
    if path.is_file():
        try:
            importlib.import_module("kenlm")
        except (ImportError, OSError) as error:
            cause = " ".join(str(error).split())
            findings.saw(
                f"{store.path}: its language model {path} is not asked: n-grams need kenlm ({cause}); "
                "install it with: pip install kenlm"
            )
            return None
    return path


def _sources(store: NbestStore) -> Sources:
    sources = read_sources(store.path)
    if sources is None or sources.teacher is None:
        raise AsrkdError(f"{store.path}: does not say who made it; make it anew with: {store.remake}")
    check_sources(store.path, store.contract)
    return sources


def _there(store: NbestStore, path: Path | None, what: str) -> Path:
    if path is None or not path.exists():
        mend = "; give them with --cuts" if what == "manifest" else f"; put it back, or {store.remake}"
        raise AsrkdError(f"{store.path}: its {what} {path} is no longer there{mend}")
    return path


def _chosen(store: NbestStore, manifests: Sequence[Path], most: int) -> list[MonoCut]:
    """Cuts with ``most`` hypotheses or a few more, by a hash of their ids: the same ones each time."""
    ids = sorted(store.index.ids(), key=lambda cut_id: (zlib.crc32(cut_id.encode()), cut_id))
    wanted, count = set[str](), 0
    for cut_id in ids:
        if count >= most:
            break
        wanted.add(cut_id)
        count += len(store.read(cut_id).hypotheses)
    found = [cut for path in manifests for cut in _of(read_cuts(path), wanted)]
    if missing := wanted - {cut.id for cut in found}:
        raise AsrkdError(
            f"{store.path}: cut {min(missing)} is in none of {', '.join(map(str, manifests))}; "
            "give its manifest with --cuts"
        )
    store.verify(found)
    return found


def _of(cuts: PackedCuts, wanted: set[str]) -> PackedCuts:
    return cuts.where(lambda record: record.id in wanted)


def _rescored(
    teacher: _Teacher, cuts: Sequence[MonoCut], lists: Mapping[str, Nbest], way: _Way
) -> Iterator[Score]:
    """Each stored score, and what the teacher says now."""
    for path, own in teacher.hearing.by_teacher(teacher.path, cuts):
        model = load_model(path)
        for start in range(0, len(own), way.batch):
            group = own[start : start + way.batch]
            hypotheses = [[list(one.tokens or ()) for one in lists[cut.id].hypotheses] for cut in group]
            found = teacher_scores(model, group, hypotheses, way.precision, teacher.hearing.read)
            if teacher.lm is not None:
                found["lm"] = lm_scores(teacher.lm, model, hypotheses, way.precision)
            for row, cut in enumerate(group):
                for rank, hypothesis in enumerate(lists[cut.id].hypotheses):
                    now = {part: scores[row][rank] for part, scores in found.items()}
                    for part, stored, again in teacher.mixing.compare(hypothesis, now):
                        yield Score(cut.id, rank, part, stored, again)


def _difference(score: Score) -> float:
    """In nats; NaN, which is neither more nor less than anything, is as far away as can be."""
    if score.stored == score.now:
        return 0.0  # equal infinities differ by nothing
    difference = abs(score.stored - score.now)
    return math.inf if math.isnan(difference) else difference


def _compare(store: NbestStore, way: _Way, scores: Sequence[Score], findings: Findings) -> None:
    """Say how far the scores are from the stored ones, and whether that is too far."""
    for part in dict.fromkeys(score.part for score in scores):
        own = [score for score in scores if score.part == part]
        worst = max(own, key=_difference)
        largest, mean = _difference(worst), sum(map(_difference, own)) / len(own)
        findings.saw(
            f"{store.path}: {part} {way.name}: largest difference {largest:.2g} nats, mean {mean:.2g}"
        )
        if way.must_agree and not largest <= TOLERANCE:
            findings.wrong(
                f"{store.path}: {part} scores {way.name} differ from the stored ones by up to {largest:.3g} "
                f"nats (cut {worst.cut_id}: {worst.stored:.6g} stored, {worst.now:.6g} now), expected "
                f"{TOLERANCE:g} at most; {make_anew(store.path, store.remake, 'the store')}"
            )
