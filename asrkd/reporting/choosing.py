"""Which utterances are worth a look, where there is no room for all."""

import hashlib
from collections.abc import Mapping, Sequence

from asrkd.reporting.systems import System


def errors_by_utterance(systems: Sequence[System]) -> dict[str, list[int]]:
    """The errors of each system, in their order, by utterance id."""
    counted: dict[str, list[int]] = {one.id: [] for one in systems[0].score.utterances}
    for system in systems:
        for one in system.score.utterances:
            counted[one.id].append(one.counts.errors)
    return counted


def instructive(errors: Mapping[str, Sequence[int]]) -> list[str]:
    """Ids in the order in which they are worth a look.

    Those first in which the systems differ most; of these, those with most
    errors; then by id.
    """
    return sorted(errors, key=lambda i: (min(errors[i]) - max(errors[i]), -sum(errors[i]), i))


def shuffled(ids: Sequence[str]) -> list[str]:
    """Ids in an order that has to do with nothing, and is always the same: that of a hash of theirs."""
    return sorted(ids, key=lambda i: hashlib.sha256(i.encode("utf-8")).hexdigest())


def half_and_half(errors: Mapping[str, Sequence[int]]) -> list[str]:
    """All ids, the most instructive and a random sample in turn: any first part is half of each."""
    turns = zip(instructive(errors), shuffled(list(errors)), strict=True)
    return list(dict.fromkeys(utt_id for pair in turns for utt_id in pair))
