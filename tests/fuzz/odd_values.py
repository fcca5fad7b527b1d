"""Odd values: numbers that parse and are none, text that breaks readers, names that break shells."""

from random import Random
from typing import Any

NUMBERS = (
    "nan", "inf", "-inf", "NaN", "Infinity", "1e400", "-1e400", "0", "-0.0", "-1", "1e-320",
    "1e300", "1e15",
    "2147483648", "9223372036854775808", "-9223372036854775809", "9" * 40, "9" * 5000, "0x10",
    "1_000", "1,5",
    "1.5.2", "٣", "½", "+1", " 1", "1e", ".", "", "true", "None", "0.1", "100000", "0.0000001",
)  # fmt: skip

TEXTS = (
    "", " ", "\t", "\u00a0", "\u2003", "\u3000", "\ufeff", "\x00", "\x07", "\x0b", "\x0c",
    "\x1b[31m", "\x7f",
    "\x85", "\u2028", "\u2029", "\r", "\u200b", "\u200d", "\u202e", "\u2066", "e\u0301",
    "\u0301", "I\u0307",
    "ß", "ﬀ", "ς", "今天 天气", "ไทย", "😀", "\U00010ffff"[:1], "\U000e0001", "<unk>", "<blk>",
    "<eps>", "<s>",
    "<sos/eos>", "<space>", "#0", "▁", "▁NO", "(NO)", "{ NO / YES }", "@", ";;", "*", "NO-",
    "-NO", "\\", "\\n",
    "%s", "{0}", "$(touch x)", "`x`", "'", '"', "[bold]", "null", "~", "-", "--", "..",
    "../..", "/", "/dev/null",
    "file:///etc/passwd", "http://localhost/x.wav", "cat a.wav |", "a.ark:12", "x" * 300, "NO " * 20000,
)  # fmt: skip

FILE_NAMES = (
    "with blank", " leading", "trailing ", "it's", 'quo"te', "-dash", "--out", "new\nline",
    "tab\tname", "ünï",
    "今天", "a$(x)", "a;b", "a&b", "a*b", "[red]", "%d", "{x}", "#a", "~", "a\\b", "\u202egpj",
    "x" * 200, "a:1",
    "a|", "CON", "a.b.c", ".hidden", "e\u0301",
)  # fmt: skip

_RAW = "@@raw:"  # marks text that becomes a bare token of JSON


def odd_json(rng: Random) -> Any:
    """A value of a wrong type, or of the right one and odd; see :func:`unmarked` for bare tokens."""
    return rng.choice(_ODD_JSON)(rng)


def raw(token: str) -> str:
    """A string that :func:`unmarked` turns into the bare ``token``."""
    return f"{_RAW}{token}@@"


def unmarked(text: str) -> str:
    """JSON text with the marks of :func:`raw` taken off."""
    while (start := text.find(f'"{_RAW}')) >= 0:
        end = text.find('@@"', start + len(_RAW) + 1)
        if end < 0:
            break
        text = text[:start] + text[start + len(_RAW) + 1 : end] + text[end + 3 :]
    return text


_BARE = (
    "NaN", "Infinity", "-Infinity", "1e400", "-0", "-0.0", "1e-320", "9" * 30, "9" * 5000, "-1", "0", "1.5",
    "2147483648", "18446744073709551616", "1e15", "true", "false", "null", "[]", "{}", "[[]]", '[{"a": 1}]',
    "[" * 1000 + "]" * 1000, "[" * 100000 + "]" * 100000, '{"a":' * 3000 + "1" + "}" * 3000,
    '"\\ud800"', '"\\udc00NO"', '"\\u0000"', '{"id": "a", "id": "b"}',
)  # fmt: skip

_ODD_JSON = (
    lambda rng: raw(rng.choice(_BARE)),
    lambda rng: raw(rng.choice(_BARE)),
    lambda rng: rng.choice(TEXTS),
    lambda rng: rng.choice(NUMBERS),
    lambda rng: rng.choice((0, 1, -1, 2, 255, 256, 3.7, True, None)),
    lambda rng: [rng.choice((0, "a", None, 1.5))] * rng.randrange(4),
    lambda rng: {rng.choice(("type", "id", "a", "")): rng.choice((0, "a", None))},
)
