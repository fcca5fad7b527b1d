"""Objectives: training losses, one module each.

A module of this package that defines ``KIND`` is an objective; it is
discovered here. A new one needs its module, its test, its row in
docs/guide/objectives.md and a config that names it, and no registration.
"""

import importlib
import pkgutil
from functools import cache
from typing import Any

from pydantic import SerializerFunctionWrapHandler, create_model, model_serializer, model_validator

from asrkd.core.config import Section
from asrkd.objectives.base import Kind, ObjectiveConfig


@cache
def kinds() -> dict[str, Kind]:
    """Return every objective by its name in configs."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return {module.KIND.name: module.KIND for module in modules if hasattr(module, "KIND")}


# Objectives that old dumps of configs name, the absent ones as null. A dump of today has these, and of
# younger ones the chosen one alone, so that a new objective does not change the dumps of other configs.
NAMED_IN_DUMPS = frozenset(
    {"attention", "codebook", "ctc", "embedding", "language_model", "representation", "softmax"}
)


class _Entry(Section):
    """Entry of a phase's objectives: exactly one name with its settings."""

    @model_serializer(mode="wrap")
    def _without_younger_names(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit the absent objectives that old dumps do not name."""
        return {name: each for name, each in dump(self).items() if each is not None or name in NAMED_IN_DUMPS}

    @model_validator(mode="before")
    @classmethod
    def _settings_may_be_absent(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {value: {}}
        if isinstance(value, dict):
            return {name: {} if settings is None else settings for name, settings in value.items()}
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> "_Entry":
        if len(self.model_fields_set) != 1:
            raise ValueError(f"expected one objective, found {sorted(self.model_fields_set) or 'none'}")
        return self

    @property
    def name(self) -> str:
        """Name of the objective."""
        return next(iter(self.model_fields_set))

    @property
    def settings(self) -> ObjectiveConfig:
        """Settings of the objective."""
        settings: ObjectiveConfig = getattr(self, self.name)
        return settings


_fields: dict[str, Any] = {name: (kind.config | None, None) for name, kind in kinds().items()}
ObjectiveEntry = create_model("ObjectiveEntry", __base__=_Entry, **_fields)
