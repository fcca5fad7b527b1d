"""The costs of several models, measured side by side on some of the cuts of a manifest."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lhotse import MonoCut
from torch import Tensor

from asrkd.costs.costs import Costs, Protocol
from asrkd.costs.multiply_adds import MultiplyAdds, count_multiply_adds
from asrkd.costs.peak_memory import measure_memory
from asrkd.costs.real_time import REPEATS, computing_seconds
from asrkd.costs.recognising import recognise
from asrkd.cut_records import records
from asrkd.features.reading import load_features
from asrkd.manifests import read_cuts
from asrkd.models.directory import LoadedModel, load_model
from asrkd.models.inference import check_features

NUM_CUTS = 20  # enough for short and long ones, few enough for seconds


def measure_costs(models: Mapping[str, Path], manifest: Path) -> tuple[dict[str, Costs], Protocol]:
    """What it costs each model to recognise speech, on the CPU.

    Args:
        models: model folders by the name of the system.
        manifest: cuts with features; at most NUM_CUTS of them are recognised.

    Returns:
        The costs by name, and how they were measured.

    Raises:
        AsrkdError: a model or the manifest cannot be read, or they do not fit together.
    """
    cuts = read_cuts(manifest)
    loaded = {name: load_model(path) for name, path in models.items()}
    for model in loaded.values():
        check_features(model, cuts, str(manifest))
    chosen = spread_by_duration(cuts, NUM_CUTS)
    utterances = [load_features(cut) for cut in chosen]
    audio_seconds = sum(cut.duration for cut in chosen)
    seconds = computing_seconds(loaded, utterances)
    costs = {}
    for name, model in loaded.items():
        counted = _multiply_adds(model, utterances)
        memory = measure_memory(models[name], utterances)
        costs[name] = Costs(
            multiply_adds_per_second=counted.total / audio_seconds,
            uncounted=sorted(counted.uncounted),
            real_time_factor=seconds[name] / audio_seconds,
            peak_memory_bytes=memory.peak,
            idle_memory_bytes=memory.idle,
        )
    return costs, Protocol(str(manifest), len(chosen), audio_seconds, REPEATS, 1, 1, "CPU")


def spread_by_duration(cuts: Sequence[MonoCut], count: int) -> list[MonoCut]:
    """At most ``count`` cuts, from the shortest to the longest in even steps."""
    by_duration = sorted((record.duration, record.id, row) for row, record in enumerate(records(cuts)))
    last = len(by_duration) - 1
    places = range(last + 1) if last < count else [round(n * last / (count - 1)) for n in range(count)]
    return [cuts[by_duration[place][2]] for place in places]


def _multiply_adds(model: LoadedModel, utterances: Sequence[Tensor]) -> MultiplyAdds:
    return count_multiply_adds(lambda: [recognise(model, features) for features in utterances])
