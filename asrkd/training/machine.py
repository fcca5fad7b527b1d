"""What a run is carried out on; it decides the pace, not what is learned."""

from dataclasses import dataclass

import torch

from asrkd.training.precision import Precision
from asrkd.training.processes import Processes


@dataclass(frozen=True)
class Machine:
    """The machine and the manner of a run, in one of its processes."""

    device: torch.device
    precision: Precision
    workers: int = 0  # loader processes beside each trainer
    checkpoint_every_s: float = 600.0  # at most so much is lost to a kill; validations save too
    processes: Processes = Processes()
