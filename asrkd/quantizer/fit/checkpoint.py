"""The checkpoint of a training: one safetensors file, whole or absent, replaced every half a minute."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from asrkd.core import files

EVERY_S = 30.0
MOST_TIME = 0.05  # of all, that writing may take: the statistics of 64 codebooks are 2 GB
MOST_S = 50.0  # between two writings, whatever they take: a kill costs less than a minute


@dataclass
class QuantizerCheckpoint:
    """Where a training keeps its state, and when it did so last.

    Attributes:
        path: of the file.
        every_s: seconds between two writings, up to MOST_S if they take long; 0 for after every step.
    """

    path: Path
    every_s: float = EVERY_S
    _due_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._due_at = time.monotonic() + self.every_s

    @property
    def is_due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() >= self._due_at

    def save(self, state: dict[str, Tensor]) -> None:
        """Put ``state``, tensors of any shapes (...) by name, in the place of what was kept before."""
        started_at = time.monotonic()
        with files.create_aside(self.path) as partial:
            save_file(state, str(partial))
        took_s = time.monotonic() - started_at
        self._due_at = started_at + max(
            self.every_s, min(took_s / MOST_TIME, MOST_S) if self.every_s else 0.0
        )

    def load(self) -> dict[str, Tensor] | None:
        """What was kept, tensors (...) by name; None if there is nothing, or a disk has broken the file."""
        try:
            return load_file(str(self.path)) if self.path.is_file() else None
        except (SafetensorError, ValueError, OSError):
            return None
