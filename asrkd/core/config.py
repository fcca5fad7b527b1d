"""Configs in YAML files: typed, frozen, with an error that suggests the nearest key for an unknown one.

A file may name another with ``base:`` (relative to itself) and hold only the
differences; lists are replaced whole. ``--set a.b=c`` overrides a value before
the schema is checked; ``a.0.b=c`` addresses an element of a list.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar, get_args

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from asrkd.core import files
from asrkd.core.errors import AsrkdError, did_you_mean, reason
from asrkd.core.schema import expected

# ValueError: 2024-13-01 is not a date. TypeError: a key that is a list.
_NOT_YAML = (yaml.YAMLError, ValueError, TypeError, RecursionError)

MOST_KEYS = 12  # of a section, that a message about an unknown one lists


class Section(BaseModel):
    """Frozen section of a config; unknown keys, infinities and NaN are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LaterKeys(Section):
    """Section some of whose keys are younger than the lineages and folders that hold its dumps."""

    later_keys: ClassVar[frozenset[str]]

    @model_serializer(mode="wrap")
    def _without_later_keys(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit the later keys that have their defaults, so that old and new dumps of one config are equal."""
        unused = {name: type(self).model_fields[name].default for name in self.later_keys}
        fields: dict[str, Any] = dump(self)
        return {name: value for name, value in fields.items() if name not in unused or value != unused[name]}


class OneOf(Section):
    """Section with exactly one key: the chosen kind, with the settings of that kind."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "OneOf":
        kinds = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(kinds) != 1:
            names = ", ".join(type(self).model_fields)
            raise ValueError(f"expected one of {names}, found {' and '.join(kinds) or 'none'}")
        return self

    @model_serializer(mode="wrap")
    def _without_other_kinds(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omit the kinds that are not chosen, so that a new kind does not change the dump of an old one."""
        return {name: value for name, value in dump(self).items() if value is not None}

    @property
    def chosen(self) -> Section:
        """Settings of the chosen kind."""
        values = [getattr(self, name) for name in type(self).model_fields]
        (settings,) = [value for value in values if value is not None]
        assert isinstance(settings, Section)
        return settings


Kind = TypeVar("Kind", bound=Section)


def load(kind: type[Kind], path: Path, overrides: Sequence[str] = ()) -> Kind:
    """Read ``path`` as a ``kind``, with ``overrides`` of the form ``a.b=c`` on top.

    Raises:
        AsrkdError: no such file, not YAML, an override without a place, an
            unknown key (the message suggests the nearest one) or a value of the
            wrong type or range.
    """
    return parse(kind, load_tree(path, overrides), str(path))


def load_tree(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read ``path`` with its base files and ``overrides``, as :func:`load` does before it checks the values.

    Raises:
        AsrkdError: no such file, not YAML, or an override without a place.
    """
    tree = _read_tree(path)
    for override in overrides:
        set_key(tree, override)
    return tree


def parse(kind: type[Kind], tree: Any, where: str) -> Kind:
    """Validate ``tree`` as a ``kind``; ``where`` is its file, for messages.

    Raises:
        AsrkdError: an unknown key (the message suggests the nearest one) or a value
            of the wrong type or range.
    """
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise AsrkdError(f"{where}: {_explain(kind, error)}") from None


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML loader with an error for a duplicate key; PyYAML silently takes the last value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping of ``node``; yaml.YAMLError at a duplicate key."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"duplicate key {key!r}", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _read_tree(path: Path, depth: int = 0) -> dict[str, Any]:
    _refuse_missing(path)
    try:
        tree = yaml.load(files.read_text(path), Loader=_UniqueKeyLoader)  # a SafeLoader
        json.dumps(tree, default=str, skipkeys=True)  # fails for a list within itself, by an anchor
    except _NOT_YAML as error:
        raise AsrkdError(f"{path}: not YAML: {reason(error)}") from None
    if not isinstance(tree, dict):
        raise AsrkdError(f"{path}: expected a mapping of keys to values, found {type(tree).__name__}")
    if "base" not in tree:
        return tree
    if depth == 8:
        raise AsrkdError(f"{path}: base files form a circle")
    base = _read_tree(path.parent / str(tree.pop("base")), depth + 1)
    return _merge(base, tree)


def _refuse_missing(path: Path) -> None:
    """Raise AsrkdError if no file has this name, but one of a similar name is in the folder."""
    if path.parent.is_dir() and not os.path.lexists(path):
        names = [other.name for other in path.parent.iterdir() if other.is_file()]
        if near := did_you_mean(path.name, names):
            raise AsrkdError(f"{path}: no such file{near}")


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def set_key(tree: dict[str, Any], override: str) -> None:
    """Set ``a.b=value`` of the command line in ``tree``; AsrkdError if there is no such place."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise AsrkdError(f"--set {override!r}: expected key.key=value")
    value = parse_value(text, f"--set {override!r}")
    *parents, last = key.split(".")
    node: Any = tree
    try:
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else _inner(node, part)
        node[int(last) if isinstance(node, list) else last] = value
    except (IndexError, ValueError, TypeError, AttributeError):
        size = _size(tree, parents)
        raise AsrkdError(f"--set {override!r}: there is no such place in the config{size}") from None


def parse_value(text: str, where: str) -> Any:
    """Parse the YAML value of an option; AsrkdError, which begins with ``where``, if it is not one.

    YAML has values that no key of a config takes and no JSON file can record: dates, bytes, sets.
    """
    try:
        value = yaml.safe_load(text)
    except _NOT_YAML:
        raise AsrkdError(f"{where}: {text!r} is not a YAML value") from None
    try:
        json.dumps(value, sort_keys=True)
    except (TypeError, ValueError, RecursionError):  # ValueError: a list within itself, by an anchor
        raise AsrkdError(
            f"{where}: {text!r}: expected text, a number, true, false, null, or lists and mappings of them; "
            "put quotes around text"
        ) from None
    return value


def _size(tree: Any, parents: Sequence[str]) -> str:
    """Describe the size of the first list on the way along ``parents``; empty if there is none."""
    for number, part in enumerate(parents):
        tree = tree.get(part) if isinstance(tree, dict) else None
        if isinstance(tree, list):
            entries = f"{len(tree)} {'entry' if len(tree) == 1 else 'entries'}"
            numbers = f", numbered 0 to {len(tree) - 1}" if len(tree) > 1 else ""
            return f": {'.'.join(parents[: number + 1])} has {entries}{numbers}"
    return ""


def _inner(node: dict[str, Any], key: str) -> Any:
    """Return the value of ``key`` in ``node``; a new empty section if it is absent or null."""
    if node.get(key) is None:
        node[key] = {}
    return node[key]


def _explain(kind: type[BaseModel], error: ValidationError) -> str:
    """Describe the first error, in one line; of a missing key an unknown one beside it, its misspelling."""
    errors = error.errors()
    misspelled = (each for each in errors if each["type"] == "extra_forbidden")
    if errors[0]["type"] == "missing":
        beside = (each for each in misspelled if each["loc"][:-1] == errors[0]["loc"][:-1])
        first = next(beside, errors[0])
    else:
        first = errors[0]
    where, _ = _walk(kind, first["loc"])
    place = ".".join(where) or "the file"
    if first["type"] != "extra_forbidden":
        return f"{place}: {expected(first['type'], first['msg'])}" + (
            f", found {first['input']!r}" if isinstance(first["input"], (str, int, float)) else ""
        )
    _, section = _walk(kind, first["loc"][:-1])
    known = [] if section is None else list(section.model_fields)
    near = did_you_mean(str(first["loc"][-1]), known, cutoff=0.5)
    listed = ", ".join(known[:MOST_KEYS]) + (", ..." if len(known) > MOST_KEYS else "")
    return f"{place}: unknown key{near or (f'; expected one of {listed}' if known else '')}"


def _walk(kind: Any, loc: Sequence[int | str]) -> tuple[list[str], type[BaseModel] | None]:
    """Return the human-readable place of ``loc`` inside ``kind``, and the section there."""
    place: list[str] = []
    for part in loc:
        members = {section.__name__: section for section in _sections(kind)}
        if part in members:  # pydantic names the members of a union
            kind = members[str(part)]
            continue
        place.append(str(part))
        section = next(iter(members.values()), None)
        field = section.model_fields.get(part) if section is not None and isinstance(part, str) else None
        kind = field.annotation if field is not None else kind
    return place, next(iter(_sections(kind)), None)


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """Return the config sections in a type annotation, outermost first."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for inner in get_args(annotation) for section in _sections(inner)]
