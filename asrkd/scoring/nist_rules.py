"""Scoring rules for stm and ctm: alignments by sclite's options, and the units that are counted."""

from functools import partial

from asrkd.core.errors import AsrkdError
from asrkd.scoring.network_alignment import FEWEST_ERRORS, SCLITE, AlignmentCosts
from asrkd.scoring.normalizer import Normalizer, find_normalizer, normalize
from asrkd.scoring.score_corpus import Rules
from asrkd.scoring.units import WORD, find_unit, units
from asrkd.scoring.word_alignment import LEVENSHTEIN
from asrkd.scoring.word_network import Items, replace_words

# Costs by name of the alignment: sclite with its options -D and -F, or the fewest errors.
COSTS: dict[str, AlignmentCosts] = {
    LEVENSHTEIN: FEWEST_ERRORS,
    "sclite": SCLITE,
    "sclite-D": AlignmentCosts(optional=True),
    "sclite-F": AlignmentCosts(fragments=True),
    "sclite-DF": AlignmentCosts(optional=True, fragments=True),
}
MARKS = frozenset("{}/@")  # characters that mark alternatives
DEFAULT_ALIGNMENT = DEFAULT_NORMALIZER = "sclite"  # as sclite without options


def parse_nist_rules(alignment: str | None, normalizer: str | None, unit: str = "word") -> Rules:
    """Look up the rules of --alignment, --normalizer and --unit; the defaults are those of sclite.

    Raises:
        AsrkdError: there are no rules of that name, or they do not go together.
    """
    if alignment is not None and alignment not in COSTS:
        raise AsrkdError(f"--alignment {alignment}: for stm and ctm, expected one of {', '.join(COSTS)}")
    rules = Rules(
        alignment or DEFAULT_ALIGNMENT, find_normalizer(normalizer or DEFAULT_NORMALIZER), find_unit(unit)
    )
    costs = COSTS[rules.alignment]
    if rules.unit != WORD and (costs.optional or costs.fragments):
        raise AsrkdError(
            f"--unit {unit}: --alignment {alignment} has optional words or fragments, which are whole words; "
            "use --alignment sclite, or leave out --unit"
        )
    return rules


def counted_items(items: Items, rules: Rules) -> Items:
    """Normalize every word of a transcript and cut it into units."""
    return replace_words(items, partial(_units, rules=rules))


def _units(word: str, rules: Rules) -> list[str]:
    """Normalize a word and cut it into units; a word that contains a mark of a transcript stays whole."""
    words = normalized_words(word, rules.normalizer, COSTS[rules.alignment])
    if rules.unit == WORD:
        return words
    return [part for each in words for part in ([each] if set(each) & MARKS else units(each, rules.unit))]


def normalized_words(word: str, normalizer: Normalizer, costs: AlignmentCosts) -> list[str]:
    """Normalize a word, which may give several; brackets and hyphens that ``costs`` reads as marks stay."""
    if costs.is_optional(word):
        return [f"({part})" for part in normalized_words(costs.without_brackets(word), normalizer, costs)]
    words = normalize(word, normalizer).split()
    if costs.fragments and len(word) > 1 and words:
        if word.startswith("-") and not words[0].startswith("-"):
            words[0] = f"-{words[0]}"
        if word.endswith("-") and not words[-1].endswith("-"):
            words[-1] = f"{words[-1]}-"
    return words
