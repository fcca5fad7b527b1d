"""Progress on stderr: a bar on a terminal, or a line every few seconds in a log or on a narrow terminal.

Both show done and total, the pace in multiples of real time for work on audio, and the
estimated time left.
"""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from asrkd.core.errors import one_line

LINE_EVERY_S = 5.0
FIRST_LINE_S = 1.0  # time until the first "at work" line of work that has finished nothing
POLL_EVERY_S = 0.2  # interval of checks whether that line is due
HEARTBEAT_EVERY_S = 60.0  # between two such lines
# Columns of a row beside the label and the counts: the bar, the rate with its unit or note, the time left.
BAR_ROOM, MIN_LABEL = 52, 8


class Meter:
    """Meter that counts finished units and shows them; made by :func:`meter`."""

    after_s = 0.0  # before it, nothing is shown

    def __init__(self, label: str, total: int, unit: str, done: int = 0) -> None:
        self.label, self.total, self.unit = one_line(label), total, unit
        self.done, self.audio_s, self.note = done, 0.0, ""
        self._resumed_at = done
        self.started_at = time.monotonic()

    def advance(
        self, count: int = 1, *, audio_s: float = 0.0, note: str | None = None, resumed: bool = False
    ) -> None:
        """Report progress.

        Args:
            count: number of units that were finished.
            audio_s: seconds of audio in them.
            note: text after the figures from now on; None leaves it unchanged.
            resumed: whether an earlier run finished the units, so that they do not count for the pace.
        """
        self.done += count
        if resumed:
            self._resumed_at += count
        self.audio_s += audio_s
        if note is not None:
            self.note = note
        if self.is_due():
            self._show()

    def is_due(self) -> bool:
        """Return whether the work has taken long enough to be shown."""
        return time.monotonic() - self.started_at >= self.after_s

    def rate(self) -> str:
        """Return the pace so far as multiples of real time, as text; empty if there is no audio."""
        elapsed_s = time.monotonic() - self.started_at
        if not self.audio_s or elapsed_s <= 0:
            return ""
        rate = self.audio_s / elapsed_s
        return f"{rate:.0f} x real time" if rate >= 10 else f"{rate:.2g} x real time"

    def remaining_s(self) -> float:
        """Return the seconds until the end at the pace so far."""
        finished = self.done - self._resumed_at
        elapsed_s = time.monotonic() - self.started_at
        return elapsed_s / finished * (self.total - self.done) if finished else float("inf")

    def begin(self) -> None:
        """Show that the work has started, if that takes no line in a log."""

    def _show(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Show the last state of the progress."""


class _Lines(Meter):
    _shown_at = -float("inf")
    _shown = ""

    def _show(self) -> None:
        if time.monotonic() - self._shown_at >= LINE_EVERY_S:
            self._print()

    def _print(self, heartbeat: str = "") -> None:
        self._shown_at = time.monotonic()
        eta = self.remaining_s()
        parts = [f"{self.label}: {self.done}/{self.total} {self.unit}", self.rate(), self.note, heartbeat]
        parts.append(f"ETA {eta:.0f} s" if 0 < eta < float("inf") else "")
        line = ", ".join(part for part in parts if part)
        if line != self._shown:
            print(line, file=sys.stderr, flush=True)
        self._shown = line

    def close(self) -> None:
        """Print the last state, unless it was printed already or the work was short."""
        if self.is_due():
            self._print()


class _HeartbeatLines(_Lines):
    """Lines from a thread that also come while no unit is finished, as a unit may be slow."""

    def __init__(self, label: str, total: int, unit: str, done: int = 0) -> None:
        super().__init__(label, total, unit, done)
        self._print_lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def _beat(self) -> None:
        while not self._over.wait(POLL_EVERY_S):
            now, silent_s = time.monotonic(), HEARTBEAT_EVERY_S if self._shown else FIRST_LINE_S
            if now - max(self._shown_at, self.started_at) >= silent_s:
                self._print(f"at work for {now - self.started_at:.0f} s")

    def _print(self, heartbeat: str = "") -> None:
        with self._print_lock:
            super()._print(heartbeat)

    def close(self) -> None:
        """End the thread, and print the last state unless it was printed already."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        super().close()


class _Bar(Meter):
    def __init__(self, label: str, total: int, unit: str, done: int = 0) -> None:
        super().__init__(label, total, unit, done)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        room = _label_room(self._bar.console, total)
        short = self.label if cell_len(self.label) <= room else f"{set_cell_size(self.label, room - 1)}…"
        self._task = self._bar.add_task(short, total=total, completed=done, detail=unit)

    def begin(self) -> None:
        """Show the bar, unless it is shown already."""
        if not self._bar.live.is_started:
            self._bar.start()

    def _show(self) -> None:
        self.begin()
        detail = ", ".join(part for part in (self.unit, self.rate(), self.note) if part)
        self._bar.update(self._task, completed=self.done, detail=detail)

    def close(self) -> None:
        """Leave the bar as it is and free the terminal."""
        if self._bar.live.is_started:
            self._bar.stop()


def _label_room(console: Console, total: int) -> int:
    """Return the columns for a bar's label: a row that is too long loses its end, which may be the counts."""
    return console.width - BAR_ROOM - len(f"{total}/{total}")


def _takes_bar(total: int) -> bool:
    """Return whether stderr is a terminal that can rewrite a row, and wide enough for a bar."""
    if not sys.stderr.isatty():
        return False
    console = Console(stderr=True)
    return not console.is_dumb_terminal and _label_room(console, total) >= MIN_LABEL


@contextmanager
def meter(
    label: str, total: int, unit: str, done: int = 0, *, after_s: float = 0.0, heartbeat: bool = False
) -> Iterator[Meter]:
    """Show the progress of the work within the block.

    Args:
        label: human-readable title of the work.
        total: number of units.
        unit: noun of the units, in the plural.
        done: number of units that an earlier run finished.
        after_s: seconds before which nothing is shown, for work that is usually short.
        heartbeat: whether a log also gets a line after a second without a finished unit, and then one a
            minute. A thread prints them, so the work must not fork.
    """
    lines = _HeartbeatLines if heartbeat else _Lines
    kind = _Bar if _takes_bar(total) else lines
    shown = kind(label, total, unit, done)
    shown.after_s = after_s
    try:
        if shown.is_due():
            shown.begin()
        yield shown
    finally:
        shown.close()


@contextmanager
def announced(text: str, after_s: float = 1.0) -> Iterator[None]:
    """Print ``text`` if the block takes longer than ``after_s``, as loading a large model does."""
    timer = threading.Timer(after_s, lambda: print(one_line(text), file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
