"""Scoring of ctm hypotheses against stm references, as in NIST's sclite."""

from collections.abc import Callable, Sequence

from asrkd.core.errors import AsrkdError
from asrkd.scoring.aligned_network import AlignedPath, align_items, plain_path
from asrkd.scoring.counts import Counts, character_counts, word_counts
from asrkd.scoring.edits import levenshtein_edits
from asrkd.scoring.network_alignment import ADDED, LEFT_OUT, AlignmentCosts
from asrkd.scoring.nist_rules import COSTS, counted_items
from asrkd.scoring.score_corpus import AT_ONCE, CHARACTER, CorpusScore, Rules
from asrkd.scoring.score_folder import ScoredUtterance
from asrkd.scoring.stm import Segment
from asrkd.scoring.timed_corpus import TimedCorpus
from asrkd.scoring.units import WORD, Unit, units
from asrkd.scoring.word_alignment import LEVENSHTEIN, align_many
from asrkd.scoring.word_network import NO_WORD, Items


def score_segments(
    corpus: TimedCorpus, rules: Rules, advance: Callable[[int], None] = lambda count: None
) -> CorpusScore:
    """Score every segment.

    Args:
        corpus: segments with the words assigned to each.
        rules: normalizer, unit and alignment.
        advance: function called with the number of segments scored since the last call; it may raise to stop.
    """
    ids = sorted(corpus.references)
    scored: list[ScoredUtterance] = []
    edits: list[str] = []
    for start in range(0, len(ids), AT_ONCE):
        segments = [corpus.references[utt_id] for utt_id in ids[start : start + AT_ONCE]]
        pairs = [
            (counted_items(segment.items or (), rules), counted_items(corpus.hypotheses[segment.id], rules))
            for segment in segments
        ]
        paths = _align(segments, pairs, rules.alignment)
        scored += [_scored(*each, rules.unit) for each in zip(segments, paths, strict=True)]
        edits += [path.edits for path in paths]
        advance(len(segments))
    return CorpusScore(rules, scored, edits)


def _align(
    segments: Sequence[Segment], pairs: Sequence[tuple[Items, Items]], alignment: str
) -> list[AlignedPath]:
    """Align segments of plain words together, as texts, and those with alternatives one by one."""
    costs = COSTS[alignment]
    plain = {
        place: [[str(item) for item in items] for items in pair]
        for place, pair in enumerate(pairs)
        if _are_plain(pair, costs)
    }
    texts = [(words[0], words[1]) for words in plain.values()]
    edits = dict(zip(plain, align_many(texts, alignment), strict=True))
    fewest = alignment == LEVENSHTEIN
    paths = []
    for place, (segment, pair) in enumerate(zip(segments, pairs, strict=True)):
        if place in edits:
            paths.append(plain_path(*pair, edits[place]))
            continue
        try:
            paths.append(align_items(*pair, costs, fewest_errors=fewest))
        except AsrkdError as error:
            raise AsrkdError(f"segment {segment.id} of line {segment.number}: {error}") from None
    return paths


def _are_plain(pair: tuple[Items, Items], costs: AlignmentCosts) -> bool:
    """Whether neither side needs a word network."""
    return all(
        isinstance(item, str)
        and item != NO_WORD
        and not costs.is_optional(item)
        and not (costs.fragments and "-" in item)
        for items in pair
        for item in items
    )


def _scored(segment: Segment, path: AlignedPath, unit: Unit) -> ScoredUtterance:
    reference, hypothesis = " ".join(path.reference), " ".join(path.hypothesis)
    texts = (
        (reference, hypothesis)
        if unit == WORD
        else (units(reference, CHARACTER), units(hypothesis, CHARACTER))
    )
    return ScoredUtterance(
        id=segment.id,
        speaker=segment.speaker,
        recording=segment.recording,
        duration_s=round(segment.end_s - segment.begin_s, 6),
        reference=reference,
        hypothesis=hypothesis,
        counts=_counts(path),
        character_counts=character_counts(levenshtein_edits(*texts)),
        network=path.network,
    )


def _counts(path: AlignedPath) -> Counts:
    """Count the errors of a path; optional words without a counterpart are correct, as in sclite."""
    edits = path.network.edits
    return word_counts(path.edits) + Counts(edits.count(LEFT_OUT) + edits.count(ADDED), 0, 0, 0)
