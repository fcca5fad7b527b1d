"""Measurement of the costs of models, side by side on some of the cuts of a manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lhotse import MonoCut
from torch import Tensor

from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.cuts.records import records
from asrkd.data.features.reading import load_features
from asrkd.evaluation.costs.multiply_adds import MultiplyAdds, count_multiply_adds
from asrkd.evaluation.costs.peak_memory import measure_memory
from asrkd.evaluation.costs.real_time import REPEATS, computing_seconds, recognize
from asrkd.models.directory import load_model
from asrkd.models.inference import check_features
from asrkd.models.recognizer import LoadedModel


@dataclass(frozen=True)
class Costs:
    """Costs of recognition from features by greedy search."""

    multiply_adds_per_second: float  # per second of audio
    uncounted: list[str]  # operators that may multiply but are not counted; if any, the count is too low
    real_time_factor: float  # computing time divided by duration of the audio
    peak_memory_bytes: int  # resident memory of a process that does nothing else
    idle_memory_bytes: int  # memory of the same process before it loads the model


@dataclass(frozen=True)
class Protocol:
    """Conditions of the measurement, which all systems share."""

    cuts: str  # the manifest
    num_cuts: int  # number of cuts that were recognized, evenly spaced by duration
    audio_seconds: float  # duration of these utterances
    repeats: int  # rounds of timing, of which the median counts
    threads: int
    batch_size: int
    device: str

    def text(self) -> str:
        """Describe the measurement in a sentence."""
        return (
            f"Costs: {self.num_cuts} of the cuts of {self.cuts}, evenly spaced by duration "
            f"({self.audio_seconds:.0f} s of audio), from features to words by greedy search, {self.threads} "
            f"thread, batch {self.batch_size}, {self.device}; x real time: median of {self.repeats} rounds, "
            "systems in turns; peak: resident memory of a separate process, with Python and torch."
        )


NUM_CUTS = 20  # enough for short and long cuts, in seconds of computing


def measure_costs(models: Mapping[str, Path], manifest: Path) -> tuple[dict[str, Costs], Protocol]:
    """Measure the costs of recognition with each model on the CPU.

    Args:
        models: model folders by name of the system.
        manifest: cuts with features; at most NUM_CUTS of them are recognized.

    Returns:
        The costs by name, and the conditions of the measurement.

    Raises:
        AsrkdError: a model or the manifest cannot be read, or the cuts do not fit a model.
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
    """Choose at most ``count`` cuts, evenly spaced by rank of duration from shortest to longest."""
    by_duration = sorted((record.duration, record.id, row) for row, record in enumerate(records(cuts)))
    last = len(by_duration) - 1
    places = range(last + 1) if last < count else [round(n * last / (count - 1)) for n in range(count)]
    return [cuts[by_duration[place][2]] for place in places]


def _multiply_adds(model: LoadedModel, utterances: Sequence[Tensor]) -> MultiplyAdds:
    return count_multiply_adds(lambda: [recognize(model, features) for features in utterances])
