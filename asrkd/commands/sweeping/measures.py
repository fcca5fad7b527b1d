"""Quality of settings on the dev set: error rate, or perplexity of language models, as mean over seeds.

The lowest error rate at the last validation is the best; then the lowest loss; then the order of the grid.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

WER, PERPLEXITY = "wer", "perplexity"


@dataclass(frozen=True)
class Quality:
    """Quality of a setting at a validation: means over its seeds."""

    measure: str  # WER, a fraction, or PERPLEXITY
    value: float | None  # None: not finite, or not measured
    std: float | None  # sample standard deviation over seeds; None of one seed
    loss: float | None  # nats per token
    by_set: Mapping[str, float]  # WER of each dev set, if there are several

    @property
    def order(self) -> tuple[float, float]:
        """Sorting key, best first."""
        infinite = math.inf
        return (
            infinite if self.value is None else self.value,
            infinite if self.loss is None else self.loss,
        )


def quality(records: Sequence[Mapping[str, Any]]) -> Quality:
    """Average validation records of a setting's seeds; an empty record counts as not measured."""
    measure = PERPLEXITY if any(PERPLEXITY in record for record in records) else WER
    values = [record.get(measure) for record in records]
    names = [name for name in records[0] if name.startswith(f"{WER}_")] if records else []
    by_set = {name.removeprefix(f"{WER}_"): _mean([record.get(name) for record in records]) for name in names}
    value, spread = _mean(values), [value for value in values if value is not None]
    return Quality(
        measure,
        value,
        stdev(spread) if value is not None and len(spread) > 1 else None,
        _mean([record.get("loss") for record in records]),
        {name: rate for name, rate in by_set.items() if rate is not None},
    )


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return mean(numbers) if numbers and len(numbers) == len(values) else None
