"""Whether a quantiser is for a teacher: of the same weights, configured alike."""

from pathlib import Path
from typing import Any

from asrkd.errors import AsrkdError
from asrkd.models.conformer import Tap
from asrkd.teachers.teacher import Teacher


def check_quantizer(path: Path, made: dict[str, Any], teacher: Teacher) -> Tap:
    """The place that the quantiser at ``path`` is for.

    Args:
        path: of the quantiser, for the error.
        made: its contract.
        teacher: whose embeddings it is to encode.

    Raises:
        AsrkdError: it was trained on another teacher.
    """
    theirs, ours = made.get("teacher", {}), teacher.contract()["teacher"]
    for key in ours:
        if (key in theirs or key == "weights_sha256") and theirs.get(key) != ours[key]:
            raise AsrkdError(
                f"{path}: was trained on another teacher ({key} {str(theirs.get(key))[:12]}, "
                f"{teacher.name} has {ours[key][:12]}); make one with: asrkd distill quantizer"
            )
    if "layer" not in made:
        raise AsrkdError(f"{path}: does not say of which layer it is; make one with: asrkd distill quantizer")
    return teacher.tap(made["layer"], made.get("tap"))
