"""Filters for N-best hypotheses, with statistics of the hypotheses that each removes.

For audio with and without transcripts: the teacher's confidence, words and
tokens per second, repetitions (loops), and, with a transcript, the word
error rate (a hard threshold, as Distill-Whisper's). All limits are set in a
config; there are no defaults. Where a store counts in characters or mixed units
(``asrkd distill nbest --unit``), words are such units here too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from asrkd.scoring.units import WORD, Unit, units
from asrkd.targets.nbest import Nbest
from asrkd.targets.sources.nbest_weights import posteriors
from asrkd.targets.sources.settings import Bounds, FilterSettings

MAX_EXAMPLES = 3  # removed hypotheses that are shown for each rule

# Function of (list, rank, seconds of audio): the reason to remove the hypothesis of that rank, or None.
Check = Callable[[Nbest, int, float], str | None]


@dataclass
class Removed:
    """Statistics of the hypotheses that a rule removed."""

    rule: str
    num_hypotheses: int = 0
    num_cuts: int = 0  # cuts that lost hypotheses to the rule
    cuts_left_out: int = 0  # cuts that lost their last hypotheses to the rule
    seconds_left_out: float = 0.0
    examples: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return a human-readable line."""
        return (
            f"{self.rule} removed {self.num_hypotheses} hypotheses of {self.num_cuts} cuts, all of "
            f"{self.cuts_left_out} cuts ({self.seconds_left_out / 3600:.3f} h)"
            + (f", e.g. {'; '.join(self.examples)}" if self.examples else "")
        )


class ListFilter:
    """Rules of a config, in a fixed order, with statistics of the hypotheses that each removed."""

    def __init__(self, settings: FilterSettings, unit: Unit = WORD) -> None:
        """Build the rules that are set, with the unit of the store."""
        self._rules = dict(_rules(settings, unit))
        self.removed = {name: Removed(name) for name in self._rules}

    def __call__(self, cut_id: str, nbest: Nbest, seconds: float) -> Nbest:
        """Filter a cut's list; the result may be empty."""
        ranks = list(range(len(nbest.hypotheses)))
        for name, check in self._rules.items():
            reasons = {rank: why for rank in ranks if (why := check(nbest, rank, seconds)) is not None}
            ranks = [rank for rank in ranks if rank not in reasons]
            if reasons:
                self._count(name, seconds if not ranks else None, _examples(cut_id, nbest, reasons))
        return Nbest(tuple(nbest.hypotheses[rank] for rank in ranks), nbest.num_words)

    def lines(self) -> list[str]:
        """Return a line for each rule, with the statistics of removed hypotheses."""
        return [removed.text() for removed in self.removed.values()]

    def _count(self, name: str, lost: float | None, examples: Sequence[str]) -> None:
        """Count the hypotheses that a rule removed; ``lost``: seconds of a cut that has none left."""
        removed = self.removed[name]
        removed.num_hypotheses += len(examples)
        removed.num_cuts += 1
        removed.cuts_left_out += lost is not None
        removed.seconds_left_out += lost or 0.0
        if len(removed.examples) < MAX_EXAMPLES:
            removed.examples.append(examples[0])


def most_repeats(words: Sequence[str]) -> int:
    """Return the longest run of repetitions of some words: 1 without repetition, 0 without words."""
    most = min(len(words), 1)
    for size in range(1, len(words) // 2 + 1):
        run = 0
        for place in range(len(words) - size):
            run = run + 1 if words[place] == words[place + size] else 0
            most = max(most, run // size + 1)
    return most


def _examples(cut_id: str, nbest: Nbest, reasons: dict[int, str]) -> list[str]:
    return [f"{cut_id} {nbest.texts[rank][:60]!r} ({why})" for rank, why in reasons.items()]


def _rules(settings: FilterSettings, unit: Unit) -> Iterator[tuple[str, Check]]:
    """Yield name and check of each rule that is set."""
    if (least := settings.min_confidence) is not None:
        yield f"min_confidence {least:g}", lambda nbest, _, __: _unsure(nbest, least)
    if (share := settings.min_posterior) is not None:
        yield f"min_posterior {share:g}", lambda nbest, _, __: _disputed(nbest, share)
    if (words := settings.words_per_second) is not None:
        count = partial(_num_units, unit=unit)
        yield f"words_per_second {list(words)}", _pace(unit.nouns, words, count)
    if (tokens := settings.tokens_per_second) is not None:
        yield f"tokens_per_second {list(tokens)}", _pace("tokens", tokens, _num_tokens)
    if (most := settings.max_repeats) is not None:
        yield f"max_repeats {most}", lambda nbest, rank, _: _loops(units(nbest.texts[rank], unit), most)
    if (wer := settings.max_wer) is not None:
        yield f"max_wer {wer:g}", lambda nbest, rank, _: _errs(nbest, rank, wer, unit)


def _unsure(nbest: Nbest, least: float) -> str | None:
    confidence = nbest.log_probs[0] / max(_num_tokens(nbest, 0), 1)
    return f"{confidence:.3f} nats a token" if confidence < least else None


def _disputed(nbest: Nbest, least: float) -> str | None:
    share = posteriors(nbest.log_probs)[0]
    return f"{share:.1%} of its list" if share < least else None


def _pace(what: str, bounds: Bounds, count: Callable[[Nbest, int], int]) -> Check:
    def check(nbest: Nbest, rank: int, seconds: float) -> str | None:
        pace = count(nbest, rank) / seconds
        return None if bounds[0] <= pace <= bounds[1] else f"{pace:.2f} {what} a second"

    return check


def _loops(words: Sequence[str], most: int) -> str | None:
    repeats = most_repeats(words)
    return f"{repeats} times in a row" if repeats > most else None


def _errs(nbest: Nbest, rank: int, most: float, unit: Unit) -> str | None:
    wers = nbest.wers
    return f"{unit.rate} {wers[rank]:.1%}" if wers is not None and wers[rank] > most else None


def _num_units(nbest: Nbest, rank: int, unit: Unit) -> int:
    return len(units(nbest.texts[rank], unit))


def _num_tokens(nbest: Nbest, rank: int) -> int:
    return len(nbest.hypotheses[rank].tokens or ())
