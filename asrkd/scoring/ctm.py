"""NIST time-marked conversation (ctm) files: hypotheses with the channel and time of each word.

``;`` begins a comment; empty lines are ignored; any other line is::

    file channel begin duration word [confidence ...]

Alternatives stand between lines with the words ``<ALT_BEGIN>``, ``<ALT>`` and ``<ALT_END>`` and the
times ``*``. Sources: SCTK's ``doc/infmts.htm``, and sclite 2.10. sclite reads an empty
alternative correctly only if it is the last one; others are refused here (``@`` has the same meaning).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asrkd.core.errors import AsrkdError
from asrkd.scoring.stm import ChannelKey, parse_time, read_nist_lines, small_letters
from asrkd.scoring.word_network import NO_WORD, Alternation, TranscriptItem, spelled

CTM_COMMENTS = (";",)
_BEGIN, _NEXT, _END = "<alt_begin>", "<alt>", "<alt_end>"
_TAGS = (_BEGIN, _NEXT, _END)


@dataclass(frozen=True)
class TimedItem:
    """A word or alternatives, with times."""

    item: TranscriptItem
    begin_s: float
    middle_s: float  # middle of the word, or of the last alternative
    number: int  # line number, from 1


@dataclass
class _Alternatives:
    """Alternatives between <ALT_BEGIN> and <ALT_END>, while they are read."""

    number: int
    words: list[list[str]] = field(default_factory=lambda: [[]])
    begins: list[float] = field(default_factory=list)
    middles: list[float] = field(default_factory=list)

    def item(self, where: str) -> TimedItem:
        """Combine the alternatives into one item; AsrkdError if one before the last is empty."""
        *before, last = self.words
        if not all(before):
            raise AsrkdError(f"{where}: empty alternative before the last one; write {NO_WORD} for no word")
        if not self.begins:
            raise AsrkdError(f"{where}: alternatives without words; remove them")
        alternatives = (*map(tuple, before), tuple(last) or (NO_WORD,))
        middle = max(0.0, *self.middles)
        return TimedItem(Alternation(alternatives), self.begins[0], middle, self.number)


@dataclass
class _Channel:
    """A channel, while it is read."""

    items: list[TimedItem] = field(default_factory=list)
    opened: _Alternatives | None = None

    def read_tag(self, tag: str, where: str, number: int) -> None:
        """Begin or end alternatives, or begin the next of them."""
        if tag == _BEGIN and self.opened is None:
            self.opened = _Alternatives(number)
        elif tag == _BEGIN or self.opened is None:
            problem = "in alternatives, which cannot be nested" if self.opened else "without its <ALT_BEGIN>"
            raise AsrkdError(f"{where}: {tag.upper()} {problem}")
        elif tag == _NEXT:
            self.opened.words.append([])
        else:
            self.items.append(self.opened.item(where))
            self.opened = None

    def read_word(self, fields: Sequence[str], where: str, number: int) -> None:
        """Add a word to the channel, or to its open alternatives."""
        if small_letters(fields[4]).startswith("<alt"):
            raise AsrkdError(
                f"{where}: {fields[4]!r}: expected a word, or one of the tags {', '.join(_TAGS).upper()}"
            )
        begin, duration = (
            parse_time(fields[at], where, name) for at, name in ((2, "begin"), (3, "duration"))
        )
        word, middle = spelled(fields[4]), begin + duration / 2
        if self.opened is None:
            self.items.append(TimedItem(word, begin, middle, number))
        else:
            self.opened.words[-1].append(word)
            self.opened.begins.append(begin)
            self.opened.middles.append(middle)


def read_ctm(path: Path) -> dict[ChannelKey, list[TimedItem]]:
    """Read the words of each channel of each file, sorted by time.

    Raises:
        AsrkdError: no such file, or a malformed line.
    """
    channels: dict[ChannelKey, _Channel] = {}
    for number, line in read_nist_lines(path, CTM_COMMENTS):
        where = f"{path}:{number}"
        fields = re.split("[ \\t]+", line)
        if len(fields) < 5:
            raise AsrkdError(f"{where}: expected 'file channel begin duration word', found {line[:60]!r}")
        if len(fields[4].split()) != 1:
            raise AsrkdError(f"{where}: blank in the word {fields[4]!r}; expected one word a line")
        channel = channels.setdefault((small_letters(fields[0]), small_letters(fields[1])), _Channel())
        if (tag := small_letters(fields[4])) in _TAGS:
            channel.read_tag(tag, where, number)
        else:
            channel.read_word(fields, where, number)
    unclosed = [(channel.opened.number, key) for key, channel in channels.items() if channel.opened]
    if unclosed:
        number, recording = min(unclosed)
        raise AsrkdError(f"{path}:{number}: <ALT_BEGIN> of {'-'.join(recording)} without its <ALT_END>")
    return {
        recording: sorted(channel.items, key=lambda item: item.begin_s)
        for recording, channel in channels.items()
    }


def looks_like_ctm(lines: Sequence[str]) -> bool:
    """Whether every line has times in the columns of a ctm."""
    return bool(lines) and all(len(line.split()) >= 5 and _is_timed(line.split()) for line in lines)


def _is_timed(fields: Sequence[str]) -> bool:
    try:
        return small_letters(fields[4]) in _TAGS or all(parse_time(text, "", "") >= 0 for text in fields[2:4])
    except AsrkdError:
        return False
