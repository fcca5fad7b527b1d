"""Opening a teacher by what it was called on the command line."""

from pathlib import Path

from asrkd.models.directory import load_model
from asrkd.teachers.asrkd_model import AsrkdTeacher
from asrkd.teachers.teacher import Teacher


def open_teacher(spec: Path | str, device: str = "cpu") -> Teacher:
    """The teacher called ``spec``; kept in memory until its weights change.

    Args:
        spec: a model folder of ``asrkd train``.
        device: 'cpu', 'cuda', 'cuda:0', ...

    Raises:
        AsrkdError: it is missing, unfinished, torn, or its parts do not fit together.
    """
    return AsrkdTeacher(load_model(Path(spec), device))
