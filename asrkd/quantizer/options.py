"""Options of a quantizer and of its training; together with the frames they determine its parameters."""

from dataclasses import dataclass

MAX_CODEBOOKS = 64  # with 256 entries each, the table of their products takes 1 GB


@dataclass(frozen=True)
class QuantizerOptions:
    """Options of a quantizer and of its training.

    Attributes:
        num_codebooks: N, bytes of a frame; 1 to 64.
        codebook_size: K; 2 to 256. Best if a square: otherwise some entries of the products are dropped.
        phase_one_steps: steps with 2 N codebooks of sqrt(K) entries, rounded up.
        phase_two_steps: steps with N codebooks of K entries.
        batch_frames: B, frames drawn for every step.
        learning_rate: learning rate of Adam in phase one, half of it in phase two; halved
            after every quarter of a phase.
        seed: seed of all random draws.
        held_out_share: share of the frames that is for the report and not for training; at most 2,000 frames.

    Raises:
        ValueError: a value is out of its range.
    """

    num_codebooks: int = 8
    codebook_size: int = 256
    phase_one_steps: int = 200
    phase_two_steps: int = 200
    batch_frames: int = 512
    learning_rate: float = 0.005
    seed: int = 1
    held_out_share: float = 0.05

    def __post_init__(self) -> None:
        if not 1 <= self.num_codebooks <= MAX_CODEBOOKS:
            raise ValueError(f"num_codebooks must be 1 to {MAX_CODEBOOKS}, got {self.num_codebooks}")
        if not 2 <= self.codebook_size <= 256:
            raise ValueError(f"codebook_size must be 2 to 256, got {self.codebook_size}")
        for name in ("phase_one_steps", "phase_two_steps", "batch_frames", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 < self.held_out_share < 1:
            raise ValueError(f"held_out_share must be between 0 and 1, got {self.held_out_share}")

    @property
    def steps(self) -> int:
        """Number of steps of both phases."""
        return self.phase_one_steps + self.phase_two_steps
