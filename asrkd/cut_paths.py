"""Paths inside cuts: relative to the manifest's folder, so that it can be moved; absolute ones stay."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from lhotse import MonoCut


def resolve(cut: MonoCut, folder: Path) -> MonoCut:
    """The same cut, its relative paths taken from ``folder``."""
    changes: dict[str, Any] = {}
    if cut.features is not None:
        changes["features"] = cut.features.with_path_prefix(folder)
    if cut.recording is not None:
        changes["recording"] = cut.recording.with_path_prefix(folder)
    return replace(cut, **changes)
