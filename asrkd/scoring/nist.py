"""Scoring by time, as NIST's sclite does: the words of a ctm against the segments of an stm.

In each channel words are assigned to segments in the order of time: a segment takes all words up to the
first one whose middle lies at or behind its end, the last segment takes the rest. So a word in no
segment counts in the next one. Words of a segment that is not to be scored count nowhere. A channel of
the stm without words in the ctm is all deletions; a channel of the ctm that the stm lacks is an error,
as in sclite. Source: SCTK 2.4, ``src/sclite/stm2ctm.c``. (sclite needs sorted files; here the order of
lines does not matter.)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asrkd import files
from asrkd.errors import AsrkdError, warn
from asrkd.scoring.aligned_network import Path as AlignedPath
from asrkd.scoring.aligned_network import align_items, aligned_plainly
from asrkd.scoring.counts import Counts, character_counts, some_ids, word_counts
from asrkd.scoring.ctm import CTM_COMMENTS, TimedItem, looks_like_ctm, read_ctm
from asrkd.scoring.edits import levenshtein_edits
from asrkd.scoring.network_alignment import ADDED, FEWEST_ERRORS, LEFT_OUT, SCLITE, Costs
from asrkd.scoring.normaliser import Normaliser, find_normaliser, normalise
from asrkd.scoring.score_corpus import AT_ONCE, CHARACTER, CorpusScore, Rules
from asrkd.scoring.score_folder import ScoredUtterance
from asrkd.scoring.stm import STM_COMMENTS, Recording, Segment, looks_like_stm, read_nist_lines, read_stm
from asrkd.scoring.units import WORD, Unit, find_unit, units
from asrkd.scoring.word_alignment import LEVENSHTEIN, align_many
from asrkd.scoring.word_network import NO_WORD, Items, replace_words, slots, written

# By the name of the alignment: sclite's options -D and -F, or the fewest errors.
COSTS: dict[str, Costs] = {
    LEVENSHTEIN: FEWEST_ERRORS,
    "sclite": SCLITE,
    "sclite-D": Costs(optional=True),
    "sclite-F": Costs(fragments=True),
    "sclite-DF": Costs(optional=True, fragments=True),
}
MARKS = frozenset("{}/@")  # of alternatives
USUAL_ALIGNMENT = USUAL_NORMALISER = "sclite"  # what sclite does unless it is given options

_OF_TEXTS = (".trn", ".json", ".jsonl")


@dataclass(frozen=True)
class TimedCorpus:
    """What two files hold: segments that are to be scored, by id, with the words that go to each."""

    references: dict[str, Segment]
    hypotheses: dict[str, Items]

    def record(self) -> dict[str, Any]:
        """What decides the result, beside the rules."""
        segments = [
            [segment.id, segment.speaker, segment.begin_s, segment.end_s, written(segment.items or ())]
            for segment in self.references.values()
        ]
        words = [[utt_id, written(items)] for utt_id, items in self.hypotheses.items()]
        return {"references": files.sha256_of(sorted(segments)), "hypotheses": files.sha256_of(sorted(words))}


def are_nist_files(references: Path, hypotheses: Path) -> bool:
    """Whether these are an stm and a ctm: one of them by its suffix, the other by suffix or contents.

    Raises:
        AsrkdError: one of them is, the other is not.
    """
    is_stm, is_ctm = _has_suffix(references, ".stm"), _has_suffix(hypotheses, ".ctm")
    is_stm = is_stm or (is_ctm and _holds(references, STM_COMMENTS, looks_like_stm))
    is_ctm = is_ctm or (is_stm and _holds(hypotheses, CTM_COMMENTS, looks_like_ctm))
    if is_stm and is_ctm:
        return True
    for path in (references, hypotheses):
        if _has_suffix(path, ".stm", ".ctm"):
            raise AsrkdError(
                f"{path}: of NIST's files --ref x.stm and --hyp y.ctm go together, and with nothing else; "
                f"here they are {references} and {hypotheses}"
            )
    return False


def parse_nist_rules(alignment: str | None, normaliser: str | None, unit: str = "word") -> Rules:
    """The rules that --alignment, --normaliser and --unit name, sclite's where they name none.

    Raises:
        AsrkdError: there are none of that name.
    """
    if alignment is not None and alignment not in COSTS:
        raise AsrkdError(f"--alignment {alignment}: of stm and ctm expected one of {', '.join(COSTS)}")
    rules = Rules(
        alignment or USUAL_ALIGNMENT, find_normaliser(normaliser or USUAL_NORMALISER), find_unit(unit)
    )
    costs = COSTS[rules.alignment]
    if rules.unit != WORD and (costs.optional or costs.fragments):
        raise AsrkdError(
            f"--unit {unit}: --alignment {alignment} is about whole words, optional ones and fragments; "
            "give --alignment sclite, or leave out --unit"
        )
    return rules


def read_timed_corpus(references: Path, hypotheses: Path, rules: Rules) -> TimedCorpus:
    """Read an stm and a ctm; notes on stderr name channels without words, and words in brackets.

    Raises:
        AsrkdError: one is malformed; the ctm has a channel that the stm lacks; the references hold no word.
    """
    segments, words = read_stm(references), read_ctm(hypotheses)
    _require_known_channels(words, segments, references, hypotheses)
    corpus = TimedCorpus({}, {})
    for recording, of_channel in segments.items():
        distributed = distribute(of_channel, words.get(recording, []))
        for segment, items in zip(of_channel, distributed, strict=True):
            if segment.items is not None:
                corpus.references[segment.id], corpus.hypotheses[segment.id] = segment, items
    _require_reference_words(corpus, references, rules)
    if not COSTS[rules.alignment].optional:
        _note_required_brackets(corpus, references)
    silent = {segment.recording for key in segments.keys() - words.keys() for segment in segments[key]}
    silent &= {segment.recording for segment in corpus.references.values()}
    if silent:
        problem = f"no words for {len(silent)} channels of {references}: {some_ids(silent)}"
        warn(f"{hypotheses}: {problem}; all of their words count as deletions")
    return corpus


def _require_known_channels(
    words: Mapping[Recording, Sequence[TimedItem]],
    segments: Mapping[Recording, Sequence[Segment]],
    references: Path,
    hypotheses: Path,
) -> None:
    lines = {words[recording][0].number: recording for recording in words.keys() - segments.keys()}
    if lines:
        number = min(lines)
        raise AsrkdError(
            f"{hypotheses}:{number}: file and channel {' '.join(lines[number])} are not in {references}; "
            "score the ctm of these references, or leave out its lines of others"
        )


def _note_required_brackets(corpus: TimedCorpus, where: Path) -> None:
    """Print a note on words in brackets, which are optional only with sclite-D."""
    marked = [
        word
        for segment in corpus.references.values()
        for word in written(segment.items or ()).split()
        if COSTS["sclite-D"].is_optional(word)
    ]
    if marked:
        warn(
            f"{where}: {len(marked)} words in round brackets, such as {marked[0]}, count as words with "
            "brackets, as in sclite without -D; --alignment sclite-D makes them optional"
        )


def distribute(segments: Sequence[Segment], words: Sequence[TimedItem]) -> list[Items]:
    """The words of a channel by segment; both are in the order of time."""
    distributed, first = [], 0
    for segment in segments:
        end = float(np.float32(segment.end_s))  # sclite keeps it so
        last = first
        while last < len(words) and (segment is segments[-1] or words[last].middle_s < end):
            last += 1
        distributed.append(tuple(word.item for word in words[first:last]))
        first = last
    return distributed


def score_segments(
    corpus: TimedCorpus, rules: Rules, advance: Callable[[int], None] = lambda count: None
) -> CorpusScore:
    """Score every segment.

    Args:
        corpus: segments with their words.
        rules: normaliser and alignment.
        advance: called now and then with the number of segments done since; may raise to stop.
    """
    ids = sorted(corpus.references)
    scored: list[ScoredUtterance] = []
    edits: list[str] = []
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        pairs = [
            (_items(corpus.references[utt_id], rules), _replaced(corpus.hypotheses[utt_id], rules))
            for utt_id in some
        ]
        segments = [corpus.references[utt_id] for utt_id in some]
        paths = _align(segments, pairs, rules.alignment)
        scored += [_scored(*each, rules.unit) for each in zip(segments, paths, strict=True)]
        edits += [path.edits for path in paths]
        advance(len(some))
    return CorpusScore(rules, scored, edits)


def _align(
    segments: Sequence[Segment], pairs: Sequence[tuple[Items, Items]], alignment: str
) -> list[AlignedPath]:
    """Those of plain words as texts, many at a time; the others one after the other."""
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
            paths.append(aligned_plainly(*pair, edits[place]))
            continue
        try:
            paths.append(align_items(*pair, costs, fewest_errors=fewest))
        except AsrkdError as error:
            raise AsrkdError(f"segment {segment.id} of line {segment.number}: {error}") from None
    return paths


def _are_plain(pair: tuple[Items, Items], costs: Costs) -> bool:
    """Whether nothing in them needs a network."""
    return all(
        isinstance(item, str)
        and item != NO_WORD
        and not costs.is_optional(item)
        and not (costs.fragments and "-" in item)
        for items in pair
        for item in items
    )


def _items(segment: Segment, rules: Rules) -> Items:
    assert segment.items is not None  # it is to be scored
    return _replaced(segment.items, rules)


def _replaced(items: Items, rules: Rules) -> Items:
    return replace_words(items, partial(_units, rules=rules))


def _units(word: str, rules: Rules) -> list[str]:
    """The units of a normalised word; one with a character that is a mark in a transcript stays whole."""
    words = normalized_words(word, rules.normaliser, COSTS[rules.alignment])
    if rules.unit == WORD:
        return words
    return [own for each in words for own in ([each] if set(each) & MARKS else units(each, rules.unit))]


def normalized_words(word: str, normaliser: Normaliser, costs: Costs) -> list[str]:
    """The words of a normalized word; brackets and hyphens that are marks to ``costs`` stay."""
    if costs.is_optional(word):
        return [f"({part})" for part in normalized_words(costs.without_brackets(word), normaliser, costs)]
    words = normalise(word, normaliser).split()
    if costs.fragments and len(word) > 1 and words:
        if word.startswith("-") and not words[0].startswith("-"):
            words[0] = f"-{words[0]}"
        if word.endswith("-") and not words[-1].endswith("-"):
            words[-1] = f"{words[-1]}-"
    return words


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
    """Of the path; optional words without a counterpart are correct, as in sclite."""
    edits = path.network.edits
    return word_counts(path.edits) + Counts(edits.count(LEFT_OUT) + edits.count(ADDED), 0, 0, 0)


def _require_reference_words(corpus: TimedCorpus, where: Path, rules: Rules) -> None:
    if not any(slots(_items(segment, rules)) for segment in corpus.references.values()):
        raise AsrkdError(
            f"{where}: no {rules.unit.nouns} in the {len(corpus.references)} segments to be scored after "
            f"normaliser {rules.normaliser.name}, so there is no error rate; score what has text"
        )


def _has_suffix(path: Path, *suffixes: str) -> bool:
    return path.name.removesuffix(".gz").endswith(suffixes)


def _holds(path: Path, comments: tuple[str, ...], looks_like: Callable[[Sequence[str]], bool]) -> bool:
    """Whether a file without a suffix of another format has lines of a format."""
    if _has_suffix(path, *_OF_TEXTS, ".stm", ".ctm") or path.name.removesuffix(".gz") == "text":
        return False
    return looks_like([line for _, line in read_nist_lines(path, comments)])
