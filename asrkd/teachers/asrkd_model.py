"""Teachers trained by ``asrkd train``: recognizers that read stored features and have tokens.

Their embeddings come from the tapped layers of the encoder, at its frame rate.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from lhotse import MonoCut

from asrkd.models.encoder import Tap
from asrkd.models.frame_timing import front_end_rule
from asrkd.models.inference import check_features, encode_cuts
from asrkd.models.recognizer import LoadedModel
from asrkd.teachers.teacher import Embedded, Teacher


class AsrkdTeacher(Teacher):
    """A model folder of ``asrkd train``."""

    def __init__(self, model: LoadedModel) -> None:
        """Wrap ``model``, on the device that it is on."""
        self.model = model
        self.name = str(model.path)
        self.num_layers = len(model.recognizer.encoder.layers)
        self.frame_shift = model.recognizer.frame_shift
        self.weights_sha256 = model.weights_sha256
        self.device = next(model.recognizer.parameters()).device

    def places(self, layer: int) -> Collection[str]:
        """Return the places of the encoder's ``layer``; see :meth:`asrkd.models.encoder.Encoder.places`."""
        return self.model.recognizer.encoder.places(layer)

    def layer_dim(self, tap: Tap) -> int:
        """Return D, the size of the values at ``tap``."""
        return self.model.recognizer.encoder.layer_dim(tap)

    def check_cuts(self, cuts: Sequence[MonoCut], where: str) -> None:
        """Raise AsrkdError unless ``cuts``, of manifest ``where``, have the features that the model reads."""
        check_features(self.model, cuts, where)

    def embeddings(self, cuts: Sequence[MonoCut], taps: Collection[Tap]) -> Iterator[Embedded]:
        """Compute the (T, D) values of the tapped layers for each cut, in order."""
        for outputs in encode_cuts(self.model, cuts, taps):
            yield Embedded(outputs.cut, outputs.tapped)

    def contract(self) -> dict[str, Any]:
        """Return the hashes of weights and tokens, the features, and the frame timing."""
        model = self.model
        return {
            "teacher": {"weights_sha256": model.weights_sha256, "tokens": model.tokens.identity()},
            "features": model.architecture.features.model_dump(mode="json"),
            "frame_shift": self.frame_shift,
            "first_frame_offset": 0.0,  # seconds from the first feature frame's center to the first target's
            "length_rule": front_end_rule(model.recognizer.encoder.subsampling),
        }

    def recognizer(self, kind: str) -> LoadedModel:
        """Return the model itself, which can decode."""
        return self.model
