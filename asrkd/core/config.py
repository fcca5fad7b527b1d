"""Experiments as YAML files: typed, frozen, and an unknown key is an error that helps.

A file may name another with ``base:`` (relative to itself) and say only what
is different; lists are replaced whole. ``--set a.b=c`` goes through the same
schema afterwards, ``a.0.b=c`` reaches into a list.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

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
from asrkd.core.errors import AsrkdError, reason

# ValueError: 2024-13-01 is no date. TypeError: a key that is a list.
_NOT_YAML = (yaml.YAMLError, ValueError, TypeError, RecursionError)


class Section(BaseModel):
    """A frozen part of a config; keys that it does not know are refused, and so are infinities and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OneOf(Section):
    """A section of which exactly one key is given: the kind of something, with that kind's settings."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "OneOf":
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            names = ", ".join(type(self).model_fields)
            raise ValueError(f"expected one of {names}, found {' and '.join(given) or 'none'}")
        return self

    @model_serializer(mode="wrap")
    def _as_given(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the kinds that it is not, so that a new kind changes no description of an old one."""
        return {name: value for name, value in dump(self).items() if value is not None}

    @property
    def chosen(self) -> Section:
        """The settings of the kind that is given."""
        own = [getattr(self, name) for name in type(self).model_fields]
        (found,) = [settings for settings in own if settings is not None]
        assert isinstance(found, Section)
        return found


Kind = TypeVar("Kind", bound=Section)


def load(kind: type[Kind], path: Path, overrides: Sequence[str] = ()) -> Kind:
    """Read ``path`` as a ``kind``, with ``overrides`` of the form ``a.b=c`` on top.

    Raises:
        AsrkdError: no such file, not YAML, an override that fits nowhere, an
            unknown key (the nearest known one is named) or a value of the wrong
            type or range.
    """
    tree = _read_tree(path)
    for override in overrides:
        set_key(tree, override)
    return parse(kind, tree, str(path))


def parse(kind: type[Kind], tree: Any, where: str) -> Kind:
    """Check ``tree`` against ``kind``; ``where`` is its file, for the message.

    Raises:
        AsrkdError: an unknown key (the nearest known one is named) or a value of
            the wrong type or range.
    """
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise AsrkdError(f"{where}: {_explain(kind, error)}") from None


class _OneOfEachKey(yaml.SafeLoader):
    """YAML in which a key that comes twice is an error; PyYAML takes the last value in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of ``node``; yaml.YAMLError if a key repeats."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} comes twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _read_tree(path: Path, depth: int = 0) -> dict[str, Any]:
    try:
        tree = yaml.load(files.read_text(path), Loader=_OneOfEachKey)  # a SafeLoader
    except _NOT_YAML as error:
        raise AsrkdError(f"{path}: not YAML: {reason(error)}") from None
    if not isinstance(tree, dict):
        raise AsrkdError(f"{path}: expected keys and values, found {type(tree).__name__}")
    if "base" not in tree:
        return tree
    if depth == 8:
        raise AsrkdError(f"{path}: base files go in a circle")
    base = _read_tree(path.parent / str(tree.pop("base")), depth + 1)
    return _merge(base, tree)


def _merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def set_key(tree: dict[str, Any], override: str) -> None:
    """Put ``a.b=value`` of the command line into ``tree``; AsrkdError if there is no such place."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise AsrkdError(f"--set {override!r}: expected key.key=value")
    try:
        value = yaml.safe_load(text)
    except _NOT_YAML:
        raise AsrkdError(f"--set {override!r}: {text!r} is not a YAML value") from None
    *parents, last = key.split(".")
    node: Any = tree
    try:
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else _inner(node, part)
        node[int(last) if isinstance(node, list) else last] = value
    except (IndexError, ValueError, TypeError, AttributeError):
        raise AsrkdError(f"--set {override!r}: there is no such place in the config") from None


def _inner(node: dict[str, Any], key: str) -> Any:
    """What ``node`` has under ``key``; an empty section if that is absent or null."""
    if node.get(key) is None:
        node[key] = {}
    return node[key]


def _explain(kind: type[BaseModel], error: ValidationError) -> str:
    """The first thing that is wrong, in a line."""
    first = error.errors()[0]
    where, _ = _walk(kind, first["loc"])
    place = ".".join(where) or "the file"
    if first["type"] != "extra_forbidden":
        return f"{place}: {first['msg']}" + (
            f", found {first['input']!r}" if isinstance(first["input"], (str, int, float)) else ""
        )
    _, section = _walk(kind, first["loc"][:-1])
    known = [] if section is None else list(section.model_fields)
    near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.0)
    return f"{place}: unknown key" + (f"; did you mean {near[0]!r}?" if near else "")


def _walk(kind: Any, loc: Sequence[int | str]) -> tuple[list[str], type[BaseModel] | None]:
    """The place ``loc`` inside ``kind`` as a person would name it, and the section that is there."""
    place: list[str] = []
    for part in loc:
        members = {section.__name__: section for section in _sections(kind)}
        if part in members:  # of a union, which pydantic names
            kind = members[str(part)]
            continue
        place.append(str(part))
        section = next(iter(members.values()), None)
        field = section.model_fields.get(part) if section is not None and isinstance(part, str) else None
        kind = field.annotation if field is not None else kind
    return place, next(iter(_sections(kind)), None)


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """Every config section mentioned in a type annotation, outermost first."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for inner in get_args(annotation) for section in _sections(inner)]
