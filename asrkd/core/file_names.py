"""File names made of ids and names that people gave: of any length, with any characters, equal but for case.

Most file systems take 255 bytes for a name and some ignore case; a slash or
two dots lead elsewhere. A manifest keeps the ids, so a name that cannot
stand for its id by itself may be a hash of it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import sha256

MOST_BYTES = (
    150  # of a name that is kept; suffixes, and what a writer appends until a file is whole, fit as well
)

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def hashed_names(ids: Iterable[str], suffix: str) -> Mapping[str, str]:
    """Choose a name for each id that cannot be one itself; all other ids are names as they are.

    Args:
        ids: all that lie side by side, each once.
        suffix: that the names are given by who writes the files; an id that ends in it could be another's.

    Returns:
        Names by id, of the ids that are long, hold more than letters, digits, '.', '_' and '-' of ASCII, or
        differ from another by case alone. None equals an id that is kept, whatever the case.
    """
    some = list(ids)
    alike = Counter(map(str.lower, some))
    return {own: _hashed(own) for own in some if alike[own.lower()] > 1 or not _is_plain(own, suffix)}


def _is_plain(own: str, suffix: str) -> bool:
    return bool(_PLAIN.fullmatch(own)) and len(own) <= MOST_BYTES and not own.lower().endswith(suffix)


def _hashed(own: str) -> str:
    """128 bits of the id; '=' is in no id that is kept."""
    return sha256(own.encode("utf-8", "surrogatepass")).hexdigest()[:32] + "=id"


def shortened(name: str, most_bytes: int = MOST_BYTES) -> str:
    """A name as it is if it has few bytes, else its beginning and a hash of all of it."""
    encoded = name.encode("utf-8", "surrogateescape")
    if len(encoded) <= most_bytes:
        return name
    end = f"-{sha256(encoded).hexdigest()[:8]}"
    return encoded[: most_bytes - len(end)].decode("utf-8", "ignore") + end
