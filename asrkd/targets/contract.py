"""What a store's answers are and whose: written first, checked before anything reads them.

Two runs with equal contracts write equal bytes on equal devices, whatever
the number of jobs. It holds no times and no paths.
"""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import torch
from lhotse import MonoCut

from asrkd import __version__
from asrkd.cut_records import cuts_digest
from asrkd.models.directory import LoadedModel
from asrkd.targets.frame_count import CONFORMER_RULE

FORMAT = 2  # 2: an index beside each shard


def contract(
    kind: str, model: LoadedModel, cuts: Sequence[MonoCut], details: dict[str, Any]
) -> dict[str, Any]:
    """The contract of a store (or quantiser).

    Args:
        kind: 'nbest', 'codebook', 'quantizer', ...
        model: the teacher.
        cuts: all that it is asked about, in order.
        details: what is particular to the kind.
    """
    device = next(model.recogniser.parameters()).device
    return {
        "format": FORMAT,
        "kind": kind,
        "teacher": {"weights_sha256": model.weights_sha256, "tokens": model.tokens.identity()},
        "features": model.architecture.features.model_dump(mode="json"),
        "frame_shift": model.recogniser.frame_shift,
        "first_frame_offset": 0.0,  # seconds from the first feature frame's centre to the first target's
        "length_rule": CONFORMER_RULE,
        "cuts": {"count": len(cuts), "digest": cuts_digest(cuts)},
        "computed_with": {
            "asrkd": __version__,
            "torch": torch.__version__,
            "lhotse": version("lhotse"),
            "device": "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device),
            "precision": "fp32",
        },
        **details,
    }
