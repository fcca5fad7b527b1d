"""Alignments of transcripts with alternatives, by slots that all systems share.

The chosen alternatives depend on the hypothesis, so the reference words of two systems differ. They share the
slots of the transcript (:func:`asrkd.scoring.word_network.slots`), some of which a path fills.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from asrkd.scoring.edits import DELETION, HIT, INSERTION, SUBSTITUTION, levenshtein_edits
from asrkd.scoring.network_alignment import ADDED, LEFT_OUT, AlignmentCosts, AlignmentStep, align_networks
from asrkd.scoring.word_alignment import WordPair
from asrkd.scoring.word_network import Items, Network, build_network, parse_transcript, slots, written

EMPTY = "-"  # edit of a slot that the path leaves empty


@dataclass(frozen=True)
class AlignedNetwork:
    """Reference and hypothesis with their alternatives, and the edits of the chosen path.

    ``edits`` has one letter for each slot, either a letter of :mod:`asrkd.scoring.edits`, :data:`EMPTY` or
    :data:`~asrkd.scoring.network_alignment.LEFT_OUT`, and one letter between slots for each insertion or
    ``ADDED``.
    """

    reference: str
    hypothesis: str
    edits: str

    def pairs(self, hypothesis: list[str]) -> list[WordPair]:
        """Pair the words by slot, with one pair for each error.

        A slot with alternatives is written ``um/uh/@``, on both sides if the hypothesis is correct.

        Args:
            hypothesis: the words of the chosen path.
        """
        words = iter(hypothesis)
        names = iter(["/".join(choices) for choices in slots(self._items())])
        pairs: list[WordPair] = []
        for edit in self.edits:
            if edit == INSERTION:
                pairs.append((None, next(words)))
            elif edit != ADDED:
                name = next(names)
                word = next(words) if edit in (HIT, SUBSTITUTION) else None
                pairs.append((name, word if edit in (SUBSTITUTION, DELETION) else name))
        return pairs

    def item_edits(self) -> str:
        """Return the edits (:mod:`asrkd.scoring.edits`) of the items; an alternation is one item.

        Several errors in one pair of braces become insertions followed by one substitution.
        """
        edits, rest = "", self.edits.replace(ADDED, "").replace(EMPTY, HIT).replace(LEFT_OUT, HIT)
        for item in self._items():
            width = len(slots((item,)))
            if not width:
                continue
            size = len(rest) - len(rest.lstrip(INSERTION))
            edits, rest = edits + rest[:size], rest[size:]
            end = _end_of(rest, width)
            errors = end - rest[:end].count(HIT)
            edits += INSERTION * (errors - 1) + (SUBSTITUTION if errors else HIT) if width > 1 else rest[:end]
            rest = rest[end:]
        return edits + rest

    def is_of(self, hypothesis: list[str]) -> bool:
        """Whether ``edits`` fits the slots and the words of the hypothesis."""
        of_words = [edit for edit in self.edits if edit in (HIT, SUBSTITUTION, INSERTION)]
        of_slots = [edit for edit in self.edits if edit in (HIT, SUBSTITUTION, DELETION, EMPTY, LEFT_OUT)]
        known = {HIT, SUBSTITUTION, DELETION, INSERTION, EMPTY, LEFT_OUT, ADDED}
        sizes = len(hypothesis), len(slots(self._items()))
        return set(self.edits) <= known and (len(of_words), len(of_slots)) == sizes

    def _items(self) -> Items:
        return parse_transcript(self.reference, "utterances.jsonl")


def _end_of(edits: str, width: int) -> int:
    """Return the position after the edits of the first ``width`` slots."""
    places = (place for place, edit in enumerate(edits, start=1) if edit != INSERTION)
    return next(place for number, place in enumerate(places, start=1) if number == width)


@dataclass(frozen=True)
class AlignedPath:
    """The aligned words of a path, and their edits."""

    # Correct words are those of the hypothesis; optional words only if they were recognized.
    reference: list[str]
    hypothesis: list[str]
    edits: str  # edits of these words
    network: AlignedNetwork


def align_items(
    reference: Items, hypothesis: Items, costs: AlignmentCosts, *, fewest_errors: bool = False
) -> AlignedPath:
    """Align two transcripts with alternatives.

    Args:
        reference: items of the reference.
        hypothesis: items of the hypothesis.
        costs: costs that the path minimizes.
        fewest_errors: whether to align the words of that path again by Levenshtein, as for plain texts.
    """
    networks = build_network(reference), build_network(hypothesis)
    steps = align_networks(*networks, costs)
    if fewest_errors:
        steps = _realign(steps, *networks)
    return _path(reference, hypothesis, steps, networks)


def plain_path(reference: Items, hypothesis: Items, edits: str) -> AlignedPath:
    """Wrap the edits of two transcripts without alternatives, which were aligned as texts."""
    words = [[str(item) for item in items] for items in (reference, hypothesis)]
    return AlignedPath(
        words[0], words[1], edits, AlignedNetwork(written(reference), written(hypothesis), edits)
    )


def _realign(steps: list[AlignmentStep], reference: Network, hypothesis: Network) -> list[AlignmentStep]:
    first, second = [step[0] for step in steps if step[0]], [step[1] for step in steps if step[1]]
    edits = levenshtein_edits(
        [reference.words[arc] for arc in first], [hypothesis.words[arc] for arc in second]
    )
    reference_arcs, hypothesis_arcs = iter(first), iter(second)
    return [
        (
            0 if edit == INSERTION else next(reference_arcs),
            0 if edit == DELETION else next(hypothesis_arcs),
            edit,
        )
        for edit in edits
    ]


def _path(
    reference: Items, hypothesis: Items, steps: list[AlignmentStep], networks: tuple[Network, Network]
) -> AlignedPath:
    first_words, second_words = networks[0].words, networks[1].words
    kept = [step for step in steps if step[2] not in (LEFT_OUT, ADDED)]
    network = AlignedNetwork(
        written(reference),
        written(hypothesis),
        "".join(_slot_edits(steps, networks[0], len(slots(reference)))),
    )
    return AlignedPath(
        reference=[
            second_words[second] if edit == HIT else first_words[first]
            for first, second, edit in kept
            if first
        ],
        hypothesis=[second_words[second] for _, second, _ in kept if second],
        edits="".join(edit for _, _, edit in kept),
        network=network,
    )


def _slot_edits(steps: list[AlignmentStep], reference: Network, num_slots: int) -> Iterator[str]:
    """Yield the letters of :attr:`AlignedNetwork.edits`."""
    slot = 0
    for first, _, edit in steps:
        if first:
            yield EMPTY * (reference.slots[first] - slot)
            slot = reference.slots[first] + 1
        yield edit
    yield EMPTY * (num_slots - slot)
