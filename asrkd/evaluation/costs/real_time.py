"""How long systems take for the same utterances, in turns, so that what slows the machine slows them all."""

from collections.abc import Mapping, Sequence
from statistics import median
from time import perf_counter

import torch
from torch import Tensor

from asrkd.core.parallel import one_thread
from asrkd.decoding.greedy import greedy_tokens
from asrkd.models.recognizer import LoadedModel


@torch.no_grad()
def recognize(model: LoadedModel, features: Tensor) -> str:
    """The words of an utterance of (T, F) features."""
    output = model.recognizer(features[None], torch.tensor([len(features)]))
    (tokens,) = greedy_tokens(model.recognizer, output)
    return model.tokens.decode(tokens)


REPEATS = 5


def computing_seconds(
    models: Mapping[str, LoadedModel], utterances: Sequence[Tensor], repeats: int = REPEATS
) -> dict[str, float]:
    """Seconds that each model takes for all utterances, the median of ``repeats`` rounds, on one thread.

    Each utterance is given to all models before the next one, and another
    begins each time. A round before the first is not counted.

    Args:
        models: on the CPU, by name.
        utterances: (T, F) features each, the same for all models.
        repeats: rounds that count, 1 or more.
    """
    names = list(models)
    rounds: dict[str, list[float]] = {name: [] for name in names}
    with one_thread():
        for number in range(repeats + 1):
            seconds = dict.fromkeys(names, 0.0)
            for place, features in enumerate(utterances):
                first = (number + place) % len(names)
                for name in names[first:] + names[:first]:
                    started_at = perf_counter()
                    recognize(models[name], features)
                    seconds[name] += perf_counter() - started_at
            if number:
                for name in names:
                    rounds[name].append(seconds[name])
    return {name: median(found) for name, found in rounds.items()}
