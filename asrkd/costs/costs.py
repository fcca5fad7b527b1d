"""The costs of a system, and how they were measured."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Costs:
    """What recognising costs; features are there already, the search is greedy."""

    multiply_adds_per_second: float  # of audio
    uncounted: list[str]  # operators that may multiply and are not counted: if any, the number is too low
    real_time_factor: float  # computing time over duration of the audio: below 1 is faster than speech
    peak_memory_bytes: int  # resident, of a process that does nothing else
    idle_memory_bytes: int  # of the same process before the model was loaded


@dataclass(frozen=True)
class Protocol:
    """How the costs of all systems were measured, side by side in one run."""

    cuts: str  # the manifest
    num_cuts: int  # of them that were recognised, evenly spaced by duration
    audio_seconds: float  # of these
    repeats: int  # of the timing; the median counts
    threads: int
    batch_size: int
    device: str

    def text(self) -> str:
        """A sentence for people."""
        return (
            f"Costs: {self.num_cuts} of the cuts of {self.cuts}, evenly spaced by duration "
            f"({self.audio_seconds:.0f} s of audio), from features to words by greedy search, {self.threads} "
            f"thread, batch {self.batch_size}, {self.device}; x real time: median of {self.repeats} rounds, "
            "systems taking turns; peak: of a process of its own, Python and torch included."
        )
