"""Dry runs of ``asrkd distill``: what a command would write and how long it would take, from a few cuts.

Nothing is written but files in a temporary folder of the system, which is removed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

BUDGET_S = 10.0  # of measuring, start and warm-up left out


@dataclass(frozen=True)
class DryRun:
    """Request of a dry run.

    Attributes:
        started_at: time.monotonic() when the command began, as its start is a part of the time.
        tasks: number of jobs of ``--launcher``; the figures are those of one. 0: no launcher.
        side_by_side: processes that run on this machine at once; 0: as many as the command has.
    """

    started_at: float
    tasks: int = 0
    side_by_side: int = 0


def size_text(num_bytes: float) -> str:
    """Return a number of bytes with four digits and a unit of a power of 1000: '1.239 MB'."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if num_bytes < 999.95:
            return f"{num_bytes:.4g} {unit}" if unit != "bytes" else f"{num_bytes:.0f} bytes"
        num_bytes /= 1000
    return f"{num_bytes:.4g} TB"


def time_text(seconds: float) -> str:
    """Return a time in its two largest units: '8.3 s', '5 min 12 s', '3 h 20 min', '2 d 4 h'."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, smaller, size in (("min", "s", 60), ("h", "min", 3600), ("d", "h", 86400)):
        if whole < {"min": 3600, "h": 86400}.get(unit, whole + 1):
            part = whole % size * 60 // size if unit != "d" else whole % size * 24 // size
            return f"{whole // size} {unit} {part} {smaller}"
    raise AssertionError


def listed(shares: Mapping[str, str]) -> str:
    """Join names and their figures: 'payload 1.2 MB, index 30 kB'."""
    return ", ".join(f"{name} {figure}" for name, figure in shares.items())


def block(head: str, rows: Sequence[tuple[str, str]]) -> str:
    """Return the block that a dry run prints: a line, and rows of a name and its text below it."""
    return "\n".join([head, *_rows(rows)])


def _rows(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    width = max(len(name) for name, _ in rows)
    yield from (f"  {name:<{width}}  {text}".rstrip() for name, text in rows)
