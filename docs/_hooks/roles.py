"""Griffe extension: docstrings' ``:func:`~asrkd.x.y``` becomes ``y``, as code."""

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|mod|meth|data|attr):`(~?)([\w.]+)`")


class Roles(griffe.Extension):
    """Write the roles of reStructuredText as Markdown."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object."""
        if obj.docstring is not None:
            obj.docstring.value = ROLE.sub(_code, obj.docstring.value)


def _code(role: "re.Match[str]") -> str:
    short = role[2].rsplit(".", 1)[-1] if role[1] else role[2]
    return f"`{short}`"
