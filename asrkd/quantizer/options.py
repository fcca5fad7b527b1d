"""What decides a quantiser, beside the frames it is trained on."""

from dataclasses import dataclass


@dataclass(frozen=True)
class QuantizerOptions:
    """What decides a quantiser, beside the frames.

    Attributes:
        num_codebooks: N, bytes of a frame; a power of two.
        codebook_size: K; 4, 16, 64 or 256, so that it is a product of equals.
        phase_one_steps: with 2 N codebooks of sqrt(K) entries.
        phase_two_steps: with N codebooks of K entries.
        batch_frames: B, drawn anew for every step.
        learning_rate: of Adam in phase one, half of it in phase two; halved after every
            quarter of a phase.
        seed: of everything that is drawn.
        held_out_share: of the frames, not trained on but measured on; at most 2,000 frames.
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
        if self.num_codebooks < 1 or self.num_codebooks & (self.num_codebooks - 1):
            raise ValueError(f"num_codebooks must be a power of two, got {self.num_codebooks}")
        if self.codebook_size not in (4, 16, 64, 256):
            raise ValueError(f"codebook_size must be 4, 16, 64 or 256, got {self.codebook_size}")
        for name in ("phase_one_steps", "phase_two_steps", "batch_frames", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 < self.held_out_share < 1:
            raise ValueError(f"held_out_share must be between 0 and 1, got {self.held_out_share}")

    @property
    def steps(self) -> int:
        """Of both phases, for a progress meter."""
        return self.phase_one_steps + self.phase_two_steps
