"""The rules of scoring stm and ctm: alignments by sclite's options, and words as they are counted."""

from functools import partial

from asrkd.core.errors import AsrkdError
from asrkd.scoring.network_alignment import FEWEST_ERRORS, SCLITE, AlignmentCosts
from asrkd.scoring.normalizer import Normalizer, find_normalizer, normalize
from asrkd.scoring.score_corpus import Rules
from asrkd.scoring.units import WORD, find_unit, units
from asrkd.scoring.word_alignment import LEVENSHTEIN
from asrkd.scoring.word_network import Items, replace_words

# By the name of the alignment: sclite's options -D and -F, or the fewest errors.
COSTS: dict[str, AlignmentCosts] = {
    LEVENSHTEIN: FEWEST_ERRORS,
    "sclite": SCLITE,
    "sclite-D": AlignmentCosts(optional=True),
    "sclite-F": AlignmentCosts(fragments=True),
    "sclite-DF": AlignmentCosts(optional=True, fragments=True),
}
MARKS = frozenset("{}/@")  # of alternatives
USUAL_ALIGNMENT = USUAL_NORMALIZER = "sclite"  # what sclite does unless it is given options


def parse_nist_rules(alignment: str | None, normalizer: str | None, unit: str = "word") -> Rules:
    """The rules that --alignment, --normalizer and --unit name, sclite's where they name none.

    Raises:
        AsrkdError: there are none of that name.
    """
    if alignment is not None and alignment not in COSTS:
        raise AsrkdError(f"--alignment {alignment}: of stm and ctm expected one of {', '.join(COSTS)}")
    rules = Rules(
        alignment or USUAL_ALIGNMENT, find_normalizer(normalizer or USUAL_NORMALIZER), find_unit(unit)
    )
    costs = COSTS[rules.alignment]
    if rules.unit != WORD and (costs.optional or costs.fragments):
        raise AsrkdError(
            f"--unit {unit}: --alignment {alignment} is about whole words, optional ones and fragments; "
            "give --alignment sclite, or leave out --unit"
        )
    return rules


def counted_items(items: Items, rules: Rules) -> Items:
    """The items of a transcript with every word normalized and parted into units."""
    return replace_words(items, partial(_units, rules=rules))


def _units(word: str, rules: Rules) -> list[str]:
    """The units of a normalized word; one with a character that is a mark in a transcript stays whole."""
    words = normalized_words(word, rules.normalizer, COSTS[rules.alignment])
    if rules.unit == WORD:
        return words
    return [own for each in words for own in ([each] if set(each) & MARKS else units(each, rules.unit))]


def normalized_words(word: str, normalizer: Normalizer, costs: AlignmentCosts) -> list[str]:
    """The words of a normalized word; brackets and hyphens that are marks to ``costs`` stay."""
    if costs.is_optional(word):
        return [f"({part})" for part in normalized_words(costs.without_brackets(word), normalizer, costs)]
    words = normalize(word, normalizer).split()
    if costs.fragments and len(word) > 1 and words:
        if word.startswith("-") and not words[0].startswith("-"):
            words[0] = f"-{words[0]}"
        if word.endswith("-") and not words[-1].endswith("-"):
            words[-1] = f"{words[-1]}-"
    return words
