"""Varied keys of a sweep: ``--vary KEY=VALUE,VALUE`` with YAML values, and their names in folders."""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import yaml

from asrkd.core.config import parse_value
from asrkd.core.errors import AsrkdError
from asrkd.core.shell import command

_PLAIN = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]*")
_LONGEST = 60  # characters of a value in a name


@dataclass(frozen=True)
class Value:
    """A value of a varied key."""

    text: str  # as it was typed, YAML
    value: Any

    @property
    def label(self) -> str:
        """The value in a file name: itself if it is plain, else its words and a hash."""
        if isinstance(self.value, (bool, int, float)) or self.value is None:
            return json.dumps(self.value)
        if isinstance(self.value, str) and (number := number_of(self.value)) is not None:
            return json.dumps(number)  # YAML 1.1 takes 1e-3 for a string, a config for a number
        if isinstance(self.value, str) and self._is_plain():
            return self.value
        written = json.dumps(self.value, sort_keys=True)
        words = re.sub(r"[^A-Za-z0-9._+-]+", "-", written).strip("-")[:_LONGEST]
        return "-".join(filter(None, (words, sha256(written.encode()).hexdigest()[:6])))

    def _is_plain(self) -> bool:
        """Whether a string is no other value of YAML and needs no quotes in a shell."""
        is_short = len(self.value) <= _LONGEST and _PLAIN.fullmatch(self.value) is not None
        return is_short and isinstance(yaml.safe_load(self.value), str)


def number_of(value: Any) -> float | None:
    """Return a value as a finite number; None if it is something else, such as a truth value."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


@dataclass(frozen=True)
class Axis:
    """A varied key with its values, in their order on the command line."""

    key: str
    values: tuple[Value, ...]

    def override(self, value: Value) -> str:
        """Return the ``KEY=VALUE`` by which ``asrkd train --set`` takes a value."""
        return f"{self.key}={value.text}"


def parse_axes(vary: Sequence[str], overrides: Sequence[str]) -> list[Axis]:
    """Parse the values of ``--vary``.

    Args:
        vary: ``KEY=VALUE,VALUE`` of each option.
        overrides: ``KEY=VALUE`` of each ``--set``, which may not set what is varied.

    Raises:
        AsrkdError: not of this form, a value alone or twice, or a key that is set or varied twice.
    """
    if not vary:
        raise AsrkdError(
            "--vary is missing: expected KEY=VALUE,VALUE, as in --vary optim.lr=0.01,0.02; "
            "for a single run use asrkd train"
        )
    axes = [_axis(text) for text in vary]
    for number, axis in enumerate(axes):
        for other in axes[:number]:
            if _is_within(axis.key, other.key) or _is_within(other.key, axis.key):
                problem = "varied twice" if axis.key == other.key else f"part of {other.key}, varied too"
                raise AsrkdError(f"--vary {axis.key}: {problem}; give all values in one --vary")
        for override in overrides:
            if _is_within(override.partition("=")[0], axis.key):
                raise AsrkdError(f"--set {override}: --vary {axis.key} replaces it; remove one of them")
    return axes


def _is_within(key: str, outer: str) -> bool:
    return f"{key}.".startswith(f"{outer}.")


def _axis(text: str) -> Axis:
    key, equals, rest = text.partition("=")
    where = f"--vary {text}"
    if not equals or not key:
        raise AsrkdError(f"{where}: expected KEY=VALUE,VALUE, as in --vary optim.lr=0.01,0.02")
    values = [Value(part, parse_value(part, where)) for part in split_values(rest, where)]
    if len(values) == 1:
        remedy = command("--set", text)
        raise AsrkdError(f"{where}: expected two values or more; set a single one with {remedy}")
    for number, value in enumerate(values):
        if any(value.label == other.label for other in values[:number]):
            raise AsrkdError(f"{where}: duplicate value {value.text}; remove one")
    return Axis(key, tuple(values))


def split_values(text: str, where: str) -> list[str]:
    """Split at the commas between values, as YAML does in a list in brackets.

    Args:
        text: values, with commas between them.
        where: beginning of messages.

    Raises:
        AsrkdError: a value is empty, or not YAML.
    """
    try:
        items = yaml.compose(f"[{text}]", Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        raise AsrkdError(f"{where}: {text!r}: not YAML values with commas between them") from None
    assert isinstance(items, yaml.SequenceNode)
    if not text.strip() or text.rstrip().endswith(","):
        raise AsrkdError(f"{where}: empty value; expected VALUE,VALUE, with null for none")
    return [text[item.start_mark.index - 1 : item.end_mark.index - 1] for item in items.value]


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return the shortest ending of each key that is no other's and begins with a word: lr of optim.lr."""
    names = {}
    for key in keys:
        parts = key.split(".")
        starts = [n for n in range(len(parts) - 1, -1, -1) if not parts[n].isdigit()] or [0]
        endings = [".".join(parts[n:]) for n in starts]
        others = [f".{other}" for other in keys if other != key]
        names[key] = next(
            (end for end in endings if not any(other.endswith(f".{end}") for other in others)), key
        )
    return names
