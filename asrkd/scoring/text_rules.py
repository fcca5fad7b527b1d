"""Named rules for texts, with a version and a hash: what a normalizer is, and a unit of error rates.

The rules are data, and the hash is that of the data, so that scores by other rules of the same name are told
apart. A step that is done differently gets another word.
"""

from dataclasses import dataclass
from typing import TypeVar

from asrkd.core import files
from asrkd.core.errors import AsrkdError

Step = tuple[str, ...]  # what is done, and with what
Definitions = dict[str, tuple[int, tuple[Step, ...]]]  # by name: version and steps


@dataclass(frozen=True)
class TextRules:
    """Which rules: kept with a score or a store, and compared."""

    name: str
    version: int
    sha256: str  # of the rules

    def __str__(self) -> str:
        """``basic 1 (0123456789ab)``."""
        return f"{self.name} {self.version} ({self.sha256[:12]})"


AnyRules = TypeVar("AnyRules", bound=TextRules)


def find_rules(kind: type[AnyRules], name: str, definitions: Definitions, option: str) -> AnyRules:
    """The rules of a name as they are now.

    Args:
        kind: of rules.
        name: of the rules.
        definitions: of all rules of this kind.
        option: that names them, for errors: ``--unit``.

    Raises:
        AsrkdError: there are none of that name.
    """
    if name not in definitions:
        raise AsrkdError(f"{option} {name}: expected one of {', '.join(sorted(definitions))}")
    version, steps = definitions[name]
    return kind(name, version, files.sha256_of({"name": name, "steps": steps}))
