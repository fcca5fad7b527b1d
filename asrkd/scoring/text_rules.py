"""Named text rules with a version and a hash: the base of normalizers and of units of error rates.

The rules are data and the hash is that of the data, so that scores by different rules of the same name can be
told apart. When the implementation of a step changes, the step gets another name.
"""

from dataclasses import dataclass
from typing import TypeVar

from asrkd.core import files
from asrkd.core.errors import AsrkdError

RuleStep = tuple[str, ...]  # name of the step, and its arguments
Definitions = dict[str, tuple[int, tuple[RuleStep, ...]]]  # by name: version and steps


@dataclass(frozen=True)
class TextRules:
    """Name, version and hash of rules: recorded with a score or a store, and compared between them."""

    name: str
    version: int
    sha256: str  # hash of the rules

    def __str__(self) -> str:
        """Format as ``basic 1 (0123456789ab)``."""
        return f"{self.name} {self.version} ({self.sha256[:12]})"


AnyRules = TypeVar("AnyRules", bound=TextRules)


def find_rules(kind: type[AnyRules], name: str, definitions: Definitions, option: str) -> AnyRules:
    """Look up the current rules of a name.

    Args:
        kind: class of the rules.
        name: name of the rules.
        definitions: definitions of all rules of this kind, by name.
        option: the option that names them, for errors: ``--unit``.

    Raises:
        AsrkdError: there are no rules of that name.
    """
    if name not in definitions:
        raise AsrkdError(f"{option} {name}: expected one of {', '.join(sorted(definitions))}")
    version, steps = definitions[name]
    return kind(name, version, files.sha256_of({"name": name, "steps": steps}))
