"""Folders of exports: what they hold, and how sherpa-onnx is called on it (``sherpa.json``)."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from asrkd.core import files
from asrkd.core.artifacts import SHERPA_CALL
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command


@dataclass(frozen=True)
class ExportedModel:
    """Export of a model: class and constructor of sherpa-onnx's Python API, with its arguments."""

    path: Path
    kind: str  # 'offline-ctc', 'offline-transducer', 'streaming-ctc', 'streaming-transducer'
    recognizer: str  # 'OfflineRecognizer' or 'OnlineRecognizer'
    constructor: str
    files: dict[str, str]  # file names in the folder by argument
    arguments: dict[str, Any]  # further arguments: sampling rate, number of features
    sampling_rate: int  # Hz
    tail_frames: int  # feature frames of silence to append to a stream; 0: offline
    frame_shift: float  # seconds between feature frames
    model_sha256: str  # of the weights
    num_parameters: int
    chunk_frames: int | None = None  # encoder frames of a chunk; None: offline
    left_chunks: int | None = None

    def sha256(self) -> str:
        """Return the hash of the files."""
        return files.sha256_of({name: files.sha256(self.path / name) for name in self.files.values()})

    @property
    def tail_samples(self) -> int:
        """Samples of silence to append to a stream."""
        return round(self.tail_frames * self.frame_shift * self.sampling_rate)

    def save(self) -> None:
        """Write ``sherpa.json``."""
        described = asdict(self)
        described.pop("path")
        files.write_json(self.path / SHERPA_CALL, described)

    @classmethod
    def load(cls, path: Path) -> "ExportedModel":
        """Read the folder of an export; AsrkdError if it is none."""
        try:
            described = files.read_json(path / SHERPA_CALL)
            return cls(path=path, **described)
        except (AsrkdError, TypeError):
            raise AsrkdError(
                f"{path}: not an export, as it has no whole {SHERPA_CALL}; make one: "
                + command("asrkd", "export", "MODEL", "--out", str(path))
            ) from None
