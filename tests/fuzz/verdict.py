"""What counts as a failure on a mutated input: all but a right result or one line that helps."""

import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.invocation import Hang, Outcome

STATUSES = (0, 1, 2, 3, 75)
_PREFIX = "asrkd: "
# What a refusal must name: a file of the input or beside it, an option, or a cut or utterance.
_PLACE = re.compile(r"(case|shared)/|--[a-z]|\b(cut|utterance|recording|supervision) '?\S", re.ASCII)
# Or a path that the input itself names and that is not there.
_OWN_PATH = re.compile(r".{1,300}: (no such (file|folder|model folder)|is a (file|folder))")
# lilcom prints of an archive that it cannot read, past Python and without a line's end.
_LILCOM = re.compile(r"lilcom: [^\n]*?(?:\n|(?=asrkd: ))")
# So does libmpg123, of frames that it skips.
_MPG123 = re.compile(r"^(Note|Warning): |^\[src/libmpg123", re.MULTILINE)
_PROGRESS = re.compile(r"^(\S+ )?[^:]{1,80}: [\d,]+/[\d,]+ |^warning: ")
_NOT_FINITE = re.compile(r"(?<![\w/.'\"-])-?(nan|inf|infinity)(?![\w/.'\"-])", re.IGNORECASE)


@dataclass(frozen=True)
class Failure:
    """What is wrong with how a command ended."""

    kind: str  # 'traceback', 'status', 'lines', ...
    detail: str
    signature: str  # equal for inputs that probably fail for one cause


def judge(outcome: Outcome) -> Failure | None:
    """What is wrong with an outcome; None if it is as it should be."""
    if isinstance(outcome.error, Hang):
        return Failure("hang", _trace(outcome.error), f"hang in {_place(outcome.error)}")
    if outcome.error is not None:
        name = type(outcome.error).__name__
        return Failure("traceback", _trace(outcome.error), f"{name} in {_place(outcome.error)}")
    if outcome.status not in STATUSES:
        return _failure("status", f"exit {outcome.status}", outcome)
    stray = _stray(outcome)
    if stray:
        return _failure("stray output", stray, outcome)
    if outcome.status == 0:
        odd = _NOT_FINITE.search(outcome.stdout)
        return _failure("not finite", f"printed {odd[0]!r}", outcome) if odd else None
    if outcome.status == 2 and outcome.stderr.startswith("Usage: "):
        return None
    return _judge_refusal(outcome)


def wrong_result(outcome: Outcome, problem: str) -> Failure:
    """The failure of a command that succeeded, but made something wrong."""
    return _failure("wrong result", problem, outcome)


def blocked(outcome: Outcome, again: Outcome) -> Failure:
    """The failure of a refused command that left something behind, so that the right input is refused too."""
    said = again.stderr.strip() or repr(again.error)
    return Failure(
        "left behind",
        f"{outcome.stderr}then, on a good input: {said}",
        f"blocked after: {_plain(outcome.stderr.strip())}",
    )


def _judge_refusal(outcome: Outcome) -> Failure | None:
    printed = _LILCOM.sub("", outcome.stderr)
    lines = [line for line in printed.split("\n") if line and not _PROGRESS.match(line)]
    lines = [line for line in lines if not _MPG123.match(line)]
    told = [line for line in lines if line.startswith(_PREFIX)]
    if not told:
        return _failure("lines", "ended without a message", outcome)
    is_list = outcome.argv[0] == "check"  # which lists what is wrong, a line each
    if len(lines) > len(told) or lines[-1] != told[-1]:
        return _failure("lines", f"{len(lines)} lines: {outcome.stderr!r}", outcome)
    for line in told if is_list else told[-1:]:  # what comes before are notices
        if len(line) > 10_100:
            return _failure("lines", f"a line of {len(line)} characters: {line[:300]}", outcome)
        if _control(line):
            return _failure("lines", f"control characters in {line!r}", outcome)
        said = line.removeprefix(_PREFIX)
        if not _PLACE.search(said) and not _OWN_PATH.match(said):
            return _failure("place", f"names no place: {line}", outcome)
    return None


def _control(line: str) -> bool:
    """Whether a line would move the cursor of a terminal, or end where some programs see an end."""
    return any(
        ord(character) < 32 or 127 <= ord(character) < 160 or character in "\u2028\u2029"
        for character in line
    )


def _stray(outcome: Outcome) -> str | None:
    for text in (outcome.stdout, outcome.stderr):
        if "Traceback (most recent call last)" in text:
            return f"a traceback was printed: {text[-600:]}"
    for line in outcome.stderr.split("\n"):
        if re.search(r"\b\w+Warning: ", line):
            return f"a library's words: {line[:300]}"
    return None


def _failure(kind: str, detail: str, outcome: Outcome) -> Failure:
    said = outcome.stderr.strip().split("\n")[-1]
    return Failure(kind, f"{detail}; exit {outcome.status}: {said[:500]}", f"{kind}: {_plain(detail)}")


def _plain(text: str) -> str:
    """A message without what differs from input to input."""
    text = re.sub(r"(case|shared)/[^\s:;,]*", "PATH", text)
    text = re.sub(r"'(\\.|[^'])*'|\"(\\.|[^\"])*\"", "'...'", text)
    return re.sub(r"\d[\d.e+-]*", "N", text)[:160]


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))[-6000:]


def _place(error: BaseException) -> str:
    """The innermost function of asrkd that an exception came through, and where it was raised."""
    frames: Sequence[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/asrkd/" in frame.filename]
    last = frames[-1] if frames else None
    inner = f"{_file(own[-1])}:{own[-1].name}" if own else "nothing of asrkd"
    return inner if last is None or (own and own[-1] is last) else f"{inner} (from {_file(last)}:{last.name})"


def _file(frame: traceback.FrameSummary) -> str:
    return "/".join(Path(frame.filename).parts[-2:])
