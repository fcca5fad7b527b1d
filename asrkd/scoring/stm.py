"""NIST segment time mark (stm) files: references with speaker, channel and times of each segment.

``;;`` and ``**`` begin comments, including those with labels; empty lines are ignored; any other line is::

    file channel speaker begin end [<label,label>] words

A sixth field that begins with ``<`` is a label, not a word. Words may have alternatives
(:mod:`asrkd.scoring.word_network`). A segment with ``IGNORE_TIME_SEGMENT_IN_SCORING`` among its words, in any
case, is not scored, and neither are hypotheses within it. Source: SCTK's ``doc/infmts.htm``, and sclite 2.10.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.scoring.normalizer import SMALL_LETTERS
from asrkd.scoring.word_network import Items, parse_transcript, spelled_in_reference

# With or without underscores, as in sclite.
_IGNORED = re.compile("ignore_time_segment_in_scoring|ignoretimesegmentinscoring", re.IGNORECASE)
_FIELDS = re.compile(r"\s*(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)(?:\s+(<\S*))?(?:\s+(.*))?")
_NUMBER = re.compile(r"\+?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)

STM_COMMENTS = (";;", "**")
MAX_TIME_S = 1e9  # some thirty years

ChannelKey = tuple[str, str]  # file and channel in lowercase, since sclite ignores case


@dataclass(frozen=True)
class Segment:
    """A segment: a line of the file."""

    recording: str  # file-channel
    speaker: str
    begin_s: float
    end_s: float
    items: Items | None  # None: not scored
    number: int  # line number, from 1

    @property
    def id(self) -> str:
        """``file-channel-begin-end`` in milliseconds, zero-padded so that ids sort by time."""
        return f"{self.recording}-{round(1000 * self.begin_s):08d}-{round(1000 * self.end_s):08d}"


def read_stm(path: Path) -> dict[ChannelKey, list[Segment]]:
    """Read the segments of each channel of each file, sorted by time.

    Raises:
        AsrkdError: no such file, no segment to score, or a malformed or duplicate line.
    """
    by_channel: dict[ChannelKey, list[Segment]] = {}
    for number, line in read_nist_lines(path, STM_COMMENTS):
        recording, segment = _segment(line, f"{path}:{number}", number)
        by_channel.setdefault(recording, []).append(segment)
    if not any(segment.items is not None for segments in by_channel.values() for segment in segments):
        raise AsrkdError(
            f"{path}: no segment to be scored; expected lines 'file channel speaker begin end words' "
            "other than IGNORE_TIME_SEGMENT_IN_SCORING"
        )
    _require_different(path, by_channel)
    for segments in by_channel.values():
        segments.sort(key=lambda segment: segment.begin_s)
    return by_channel


def looks_like_stm(lines: Sequence[str]) -> bool:
    """Whether every line has times in the columns of an stm."""
    fields = [_FIELDS.fullmatch(line) for line in lines]
    return bool(lines) and all(match is not None and _are_times(*match.group(4, 5)) for match in fields)


def _are_times(begin: str, end: str) -> bool:
    return bool(_NUMBER.fullmatch(begin) and _NUMBER.fullmatch(end)) and float(begin) <= float(end)


def read_nist_lines(path: Path, comments: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of lines that are neither empty nor comments; numbers are from 1.

    Raises:
        AsrkdError: no such file, or it is damaged or not UTF-8.
    """
    for number, line in files.read_lines(path):
        text = line.strip()
        if text and not text.startswith(comments):
            yield number, text


def parse_time(text: str, where: str, name: str) -> float:
    """Parse a time in seconds; AsrkdError, with the name of the field, unless it is in [0, MAX_TIME_S]."""
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not value <= MAX_TIME_S:
        raise AsrkdError(f"{where}: {name} {text!r}: expected seconds, a number from 0 to {MAX_TIME_S:.0e}")
    return value


def _segment(line: str, where: str, number: int) -> tuple[ChannelKey, Segment]:
    match = _FIELDS.fullmatch(line)
    if match is None:
        raise AsrkdError(
            f"{where}: expected 'file channel speaker begin end [<label>] words', found {line[:60]!r}"
        )
    name, channel, speaker = match.group(1, 2, 3)
    begin, end = (parse_time(match[group], where, field) for group, field in ((4, "begin"), (5, "end")))
    if end < begin:
        raise AsrkdError(f"{where}: end {match[5]} is before begin {match[4]}; swap or fix them")
    text = match[7] or ""
    items = None if _IGNORED.search(text) else parse_transcript(text, where, spelled_in_reference)
    recording = (small_letters(name), small_letters(channel))
    return recording, Segment(f"{name}-{channel}", speaker, begin, end, items, number)


def small_letters(text: str) -> str:
    """Lowercase A to Z and no other letters, as sclite does."""
    return text.translate(SMALL_LETTERS)


def _require_different(path: Path, by_channel: Mapping[ChannelKey, Sequence[Segment]]) -> None:
    """Check that segments have different times, and that names of a recording do not differ in case."""
    first: dict[str, Segment] = {}
    for segments in by_channel.values():
        for segment in segments:
            if segment.recording != segments[0].recording:
                raise AsrkdError(
                    f"{path}:{segment.number}: {segment.recording} is {segments[0].recording} in line "
                    f"{segments[0].number}; sclite ignores case, so use one spelling"
                )
            other = first.setdefault(segment.id, segment)
            if other is not segment:
                raise AsrkdError(
                    f"{path}:{segment.number}: segment {segment.id} (file, channel, times in milliseconds) "
                    f"is also in line {other.number}; remove one of them, or join them"
                )
