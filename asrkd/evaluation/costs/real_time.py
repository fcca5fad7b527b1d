"""Computing time of systems on the same utterances, in turns, so that other load slows all of them alike."""

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
    """Recognize an utterance of (T, F) features by greedy search."""
    output = model.recognizer(features[None], torch.tensor([len(features)]))
    (tokens,) = greedy_tokens(model.recognizer, output)
    return model.tokens.decode(tokens)


REPEATS = 5


def computing_seconds(
    models: Mapping[str, LoadedModel], utterances: Sequence[Tensor], repeats: int = REPEATS
) -> dict[str, float]:
    """Measure the seconds of each model for all utterances: the median of ``repeats`` rounds, on one thread.

    Every utterance is recognized by all models before the next one, in rotating order. A warm-up round is not
    counted.

    Args:
        models: models on the CPU, by name.
        utterances: (T, F) features each.
        repeats: number of rounds, 1 or more.
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
    return {name: median(of_model) for name, of_model in rounds.items()}
