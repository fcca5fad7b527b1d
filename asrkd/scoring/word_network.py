"""Word networks: transcripts with alternatives in the notation of NIST's stm and trn.

``i've { um / uh / @ } been { { good / fine } boys / there }``: one alternative of each pair of braces is
chosen; ``@`` is no word. Sources: the description of stm in SCTK's ``doc/infmts.htm``, and sclite 2.10 where
it leaves details open:

- ``/`` separates alternatives anywhere within braces, with or without blanks; outside it is a letter;
- words end at any blank of Unicode, here and elsewhere in asrkd (sclite's end at those of ASCII);
- in a word of a reference, ``;`` and everything after it, ``\\`` and a final ``*`` are dropped.

Empty alternatives, which sclite ignores, and braces inside a word, which crash it, are errors here.

A network is a list of arcs, each with a word and the arcs that it may follow.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from asrkd.core.errors import AsrkdError

NO_WORD = "@"
MAX_DEPTH = 20  # largest depth of braces in braces

_OUTSIDE, _INSIDE = re.compile(r"[^\s{}]+"), re.compile(r"[^\s{}/]+")  # words outside and inside of braces


@dataclass(frozen=True)
class Alternation:
    """Alternatives in a pair of braces."""

    alternatives: tuple["Items", ...]


TranscriptItem = str | Alternation  # a word, or NO_WORD; or alternatives
Items = tuple[TranscriptItem, ...]


@dataclass(frozen=True)
class Network:
    """Arcs in topological order. Arc 0 has no word and begins every path."""

    words: list[str]
    slots: list[int]  # index of each arc's slot among the slots of the items; -1: none
    # Arcs that each arc may follow, in the order of the text: of equally cheap ones sclite takes the first.
    before: list[list[int]]
    ends: list[int]  # last arcs of paths, in the order of the text


def parse_transcript(text: str, where: str, spell: Callable[[str], str] = str) -> Items:
    """Parse a transcript.

    Args:
        text: words and braces.
        where: file and line, for errors.
        spell: function that maps a written word to the scored word.

    Raises:
        AsrkdError: braces that do not match, are part of a word or nested too deeply; an empty alternative.
    """
    return _Parser(text, where, spell).parse()


def spelled_in_reference(word: str) -> str:
    """Return a word of a reference as sclite reads it."""
    return spelled(re.sub(r"\\(.?)|;.*", lambda match: match[1] or "", word))


def spelled(word: str) -> str:
    """Return a word of a hypothesis as sclite reads it: without a final ``*``."""
    return word[:-1] if len(word) > 1 and word.endswith("*") else word


class _Parser:
    """Recursive-descent parser of a transcript."""

    def __init__(self, text: str, where: str, spell: Callable[[str], str]) -> None:
        self.text, self.where, self.spell, self.at = text, where, spell, 0

    def parse(self) -> Items:
        items = self._items(0)
        if self.at < len(self.text):
            raise self._error("a } without its {")
        return items

    def _items(self, depth: int) -> Items:
        """Parse items up to the end of the text, of an alternative or of an alternation."""
        items: list[TranscriptItem] = []
        while self._skip_blanks() not in (("", "}", "/") if depth else ("", "}")):
            if self.text[self.at] == "{":
                items.append(self._alternation(depth + 1))
            else:
                items.append(self._word(_INSIDE if depth else _OUTSIDE))
        return tuple(items)

    def _alternation(self, depth: int) -> Alternation:
        if depth > MAX_DEPTH:
            raise self._error(f"braces more than {MAX_DEPTH} deep")
        alternatives = []
        mark = "/"
        while mark == "/":
            self.at += 1
            alternatives.append(self._items(depth))
            mark = self._skip_blanks()
            if not mark:
                raise self._error("a { without its }")
            if not alternatives[-1]:
                raise self._error(f"an empty alternative; write {NO_WORD} where there may be no word")
        self.at += 1
        return Alternation(tuple(alternatives))

    def _word(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        assert match is not None  # neither blank nor brace
        self.at = match.end()
        if self.text[self.at : self.at + 1] == "{" or (
            pattern is _OUTSIDE and self.text[self.at : self.at + 1] == "}"
        ):
            raise self._error(f"a brace in the word {match[0]!r}; put blanks around {{ and }}")
        word = self.spell(match[0])
        if not word:
            raise self._error(f"the word {match[0]!r} is empty in sclite, which drops everything from ; on")
        return word

    def _skip_blanks(self) -> str:
        """Skip blanks and return the next character; empty at the end."""
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def _error(self, problem: str) -> AsrkdError:
        return AsrkdError(f"{self.where}: {problem}; expected words and {{ one / another / {NO_WORD} }}")


def written(items: Items) -> str:
    """Format items as text with single blanks between words and marks; equal items give equal texts."""
    return " ".join(_formatted(items))


def _formatted(items: Items) -> Iterator[str]:
    for item in items:
        if isinstance(item, str):
            yield item
        else:
            yield "{ " + " / ".join(map(written, item.alternatives)) + " }"


def replace_words(items: Items, replace: Callable[[str], Sequence[str]]) -> Items:
    """Replace each word by some words; an alternative left without words becomes :data:`NO_WORD`."""
    replaced: list[TranscriptItem] = []
    for item in items:
        if isinstance(item, Alternation):
            alternatives = (replace_words(way, replace) or (NO_WORD,) for way in item.alternatives)
            replaced.append(Alternation(tuple(alternatives)))
        else:
            replaced += [item] if item == NO_WORD else replace(item)
    return tuple(replaced)


def slots(items: Items) -> list[list[str]]:
    """Return the slots of the items: positions of at most one word of a path, each with its possible words.

    In an alternative with fewer words than another, some slots stay empty; these have :data:`NO_WORD` as
    well.
    """
    choices: list[list[str]] = []
    for item in items:
        if isinstance(item, Alternation):
            choices += _merged([slots(way) for way in item.alternatives])
        elif item != NO_WORD:
            choices.append([item])
    return choices


def _merged(alternatives: Sequence[list[list[str]]]) -> list[list[str]]:
    width = max(map(len, alternatives))
    padded = [way + [[NO_WORD]] * (width - len(way)) for way in alternatives]
    return [list(dict.fromkeys(sum(choices, []))) for choices in zip(*padded, strict=True)]


def build_network(items: Items) -> Network:
    """Build the word network of the items."""
    return _Builder().build(items)


class _Builder:
    """Builder of a network: arcs (word, slot, first node), and the arcs into each node in text order."""

    def __init__(self) -> None:
        self.incoming: list[list[int]] = [[]]
        self.arcs: list[tuple[str, int, int]] = []

    def build(self, items: Items) -> Network:
        first = self._node()
        self._arc(NO_WORD, -1, 0, first)
        last = self._sequence(items, first, None, 0)
        return Network(
            words=[word for word, _, _ in self.arcs],
            slots=[slot for _, slot, _ in self.arcs],
            before=[self.incoming[node] for _, _, node in self.arcs],
            ends=self.incoming[last],
        )

    def _node(self) -> int:
        self.incoming.append([])
        return len(self.incoming) - 1

    def _arc(self, word: str, slot: int, node: int, to: int) -> None:
        self.incoming[to].append(len(self.arcs))
        self.arcs.append((word, slot, node))

    def _sequence(self, items: Items, node: int, end: int | None, slot: int) -> int:
        """Add arcs for the items from ``node`` to ``end``, or to a new node; returns the last node."""
        for place, item in enumerate(items):
            to = end if end is not None and place == len(items) - 1 else self._node()
            if isinstance(item, str):
                self._arc(item, -1 if item == NO_WORD else slot, node, to)
            else:
                for way in item.alternatives:
                    self._sequence(way, node, to, slot)
            slot += len(slots((item,)))
            node = to
        return node
