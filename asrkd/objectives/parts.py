"""The parts of a student that an objective cannot do without."""

from asrkd.errors import AsrkdError
from asrkd.models.decoder import Decoder
from asrkd.models.language_model import Student


def need_ctc(name: str, student: Student) -> None:
    """Raise AsrkdError, which names the objective, unless the student has a CTC head."""
    if not student.has_ctc:
        raise AsrkdError(f"objectives, {name}: the model has no CTC head; give it one with model.ctc: true")


def need_decoder(name: str, student: Student) -> Decoder:
    """The student's decoder; AsrkdError, which names the objective, if it has none."""
    if student.decoder is None:
        raise AsrkdError(
            f"objectives, {name}: the model has no attention decoder; give it one with model.decoder, "
            "or train it towards ctc"
        )
    return student.decoder
