"""Assignment of the words of a ctm to the segments of an stm by time, as in NIST's sclite.

In each channel, words are assigned to segments in the order of time: a segment gets all words up to the first
one whose middle is at or after its end, and the last segment gets the rest. So a word between segments
belongs to the next one. Words of a segment that is not scored are dropped. A channel of the stm without words
in the ctm has only deletions; a channel of the ctm that is missing in the stm is an error, as in sclite.
Source: SCTK 2.4, ``src/sclite/stm2ctm.c``. (sclite needs sorted files; here the order of lines does not
matter.)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asrkd.core import files
from asrkd.core.errors import AsrkdError, warn
from asrkd.scoring.counts import some_ids
from asrkd.scoring.ctm import CTM_COMMENTS, TimedItem, looks_like_ctm, read_ctm
from asrkd.scoring.nist_rules import COSTS, counted_items
from asrkd.scoring.score_corpus import Rules
from asrkd.scoring.stm import STM_COMMENTS, ChannelKey, Segment, looks_like_stm, read_nist_lines, read_stm
from asrkd.scoring.word_network import Items, slots, written

_TEXT_SUFFIXES = (".trn", ".json", ".jsonl")


@dataclass(frozen=True)
class TimedCorpus:
    """Segments to score, by id, with the hypothesis words assigned to each."""

    references: dict[str, Segment]
    hypotheses: dict[str, Items]

    def record(self) -> dict[str, Any]:
        """Return hashes of references and hypotheses, for the request of a score."""
        segments = [
            [segment.id, segment.speaker, segment.begin_s, segment.end_s, written(segment.items or ())]
            for segment in self.references.values()
        ]
        words = [[utt_id, written(items)] for utt_id, items in self.hypotheses.items()]
        return {"references": files.sha256_of(sorted(segments)), "hypotheses": files.sha256_of(sorted(words))}


def are_nist_files(references: Path, hypotheses: Path) -> bool:
    """Whether the files are an stm and a ctm: one by its suffix, the other by suffix or contents.

    Raises:
        AsrkdError: only one of the files is.
    """
    is_stm, is_ctm = _has_suffix(references, ".stm"), _has_suffix(hypotheses, ".ctm")
    is_stm = is_stm or (is_ctm and _holds(references, STM_COMMENTS, looks_like_stm))
    is_ctm = is_ctm or (is_stm and _holds(hypotheses, CTM_COMMENTS, looks_like_ctm))
    if is_stm and is_ctm:
        return True
    for path in (references, hypotheses):
        if _has_suffix(path, ".stm", ".ctm"):
            raise AsrkdError(
                f"{path}: an stm can only be scored against a ctm (--ref x.stm --hyp y.ctm), "
                f"not {references} against {hypotheses}"
            )
    return False


def read_timed_corpus(references: Path, hypotheses: Path, rules: Rules) -> TimedCorpus:
    """Read an stm and a ctm; warns on stderr about channels without words, and words in brackets.

    Raises:
        AsrkdError: a file is malformed, the ctm has a channel that the stm lacks, or the stm has no words.
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
    words: Mapping[ChannelKey, Sequence[TimedItem]],
    segments: Mapping[ChannelKey, Sequence[Segment]],
    references: Path,
    hypotheses: Path,
) -> None:
    lines = {words[recording][0].number: recording for recording in words.keys() - segments.keys()}
    if lines:
        number = min(lines)
        raise AsrkdError(
            f"{hypotheses}:{number}: file and channel {' '.join(lines[number])} are not in {references}; "
            "score the ctm of these references, or remove the lines of other channels"
        )


def _note_required_brackets(corpus: TimedCorpus, where: Path) -> None:
    """Warn about words in brackets, which are optional only with sclite-D."""
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
    """Assign the words of a channel to its segments; both are sorted by time."""
    distributed, first = [], 0
    for segment in segments:
        end = float(np.float32(segment.end_s))  # sclite has it in single precision
        last = first
        while last < len(words) and (segment is segments[-1] or words[last].middle_s < end):
            last += 1
        distributed.append(tuple(word.item for word in words[first:last]))
        first = last
    return distributed


def _require_reference_words(corpus: TimedCorpus, where: Path, rules: Rules) -> None:
    if not any(slots(counted_items(segment.items or (), rules)) for segment in corpus.references.values()):
        raise AsrkdError(
            f"{where}: no {rules.unit.nouns} in the {len(corpus.references)} segments to be scored after "
            f"normalizer {rules.normalizer.name}, so there is no error rate; score what has text"
        )


def _has_suffix(path: Path, *suffixes: str) -> bool:
    return path.name.removesuffix(".gz").endswith(suffixes)


def _holds(path: Path, comments: tuple[str, ...], looks_like: Callable[[Sequence[str]], bool]) -> bool:
    """Whether the lines look like a format, for a file without the suffix of another one."""
    if _has_suffix(path, *_TEXT_SUFFIXES, ".stm", ".ctm") or path.name.removesuffix(".gz") == "text":
        return False
    return looks_like([line for _, line in read_nist_lines(path, comments)])
