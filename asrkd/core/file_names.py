"""File names for ids and users' names, which may be long, hold any character, or differ by case alone.

Most file systems allow 255 bytes for a name, and some ignore case; a slash or
two dots lead to another folder. A manifest holds the ids, so an id that is not
a valid file name is replaced by its hash.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import sha256

MAX_BYTES = 150  # length of a name; leaves room for suffixes, and for the ending of a partial file

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def hashed_names(ids: Iterable[str], suffix: str) -> Mapping[str, str]:
    """Choose a hashed name for each id that is not a valid file name; all other ids are valid names.

    Args:
        ids: ids of all files in a folder, each once.
        suffix: suffix of the files. An id that ends in it is hashed, as it may be another id's file name.

    Returns:
        Names by id, of the ids that are long, hold more than letters, digits, '.', '_' and '-' of ASCII, or
        differ from another by case alone. No name equals an id that is not hashed, whatever the case.
    """
    listed = list(ids)
    count = Counter(map(str.lower, listed))
    return {each: _hashed(each) for each in listed if count[each.lower()] > 1 or not _is_plain(each, suffix)}


def _is_plain(name: str, suffix: str) -> bool:
    return bool(_PLAIN.fullmatch(name)) and len(name) <= MAX_BYTES and not name.lower().endswith(suffix)


def _hashed(name: str) -> str:
    """Return 128 bits of the id's hash, and '=', which is in no plain id."""
    return sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32] + "=id"


def shortened(name: str, max_bytes: int = MAX_BYTES) -> str:
    """Return a name of at most ``max_bytes``: itself, or its beginning and a hash of the whole."""
    encoded = name.encode("utf-8", "surrogateescape")
    if len(encoded) <= max_bytes:
        return name
    end = f"-{sha256(encoded).hexdigest()[:8]}"
    return encoded[: max_bytes - len(end)].decode("utf-8", "ignore") + end
