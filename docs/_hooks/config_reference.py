"""The keys of a config as Markdown, from the pydantic models; the comment beside a field says what it is."""

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterator
from typing import Any, Literal, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined


def markdown() -> str:
    """A table for each section of a config, the sections in the order in which they are met."""
    from asrkd.objectives import kinds
    from asrkd.training.config import TrainConfig

    sections = list(dict.fromkeys(_sections(TrainConfig)))
    objectives = {kind.config: name for name, kind in kinds().items()}
    return "\n\n".join(_section(section, objectives.get(section)) for section in sections)


def _sections(section: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A section and every one that its fields mention."""
    yield section
    for field in section.model_fields.values():
        for inner in _mentioned(field.annotation):
            yield from _sections(inner)


def _mentioned(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for inner in get_args(annotation) for section in _mentioned(inner)]


def _section(section: type[BaseModel], objective: str | None) -> str:
    title = f"Objective `{objective}`" if objective else f"`{section.__name__}`"
    lines = [f"## {title} {{#{section.__name__}}}", ""]
    if section.__doc__ and section.__name__ != "ObjectiveEntry":
        lines += [inspect.getdoc(section) or "", ""]
    if section.__name__ == "ObjectiveEntry":
        lines += ["Exactly one of these keys, or its name alone: `objectives: [ctc]`.", ""]
    lines += ["| key | value | default | |", "|---|---|---|---|"]
    notes = _comments(section)
    for name, field in section.model_fields.items():
        row = (f"`{name}`", _value(field), _default(field), notes.get(name, ""))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    return "\n".join(lines)


def _value(field: FieldInfo) -> str:
    """The type of a field, with links to sections, and its limits."""
    text = _type(field.annotation)
    limits = []
    for limit in field.metadata:
        signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "at least"}
        limits += [f"{sign} {getattr(limit, key):g}" for key, sign in signs.items() if hasattr(limit, key)]
    return text + (f", {', '.join(limits)}" if limits else "")


def _type(annotation: Any) -> str:
    if annotation is type(None):
        return "null"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__})"
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "Path": "path"}
    if isinstance(annotation, type) and not get_args(annotation):
        return names.get(annotation.__name__, annotation.__name__)
    origin, inner = getattr(annotation, "__origin__", None), get_args(annotation)
    if hasattr(annotation, "__metadata__"):  # Annotated
        return _type(inner[0])
    if origin is list or inner[1:] == (...,):
        return f"list of {_type(inner[0])}"
    if origin is tuple:
        return ", ".join(_type(part) for part in inner)
    if origin is dict:
        return f"names: {_type(inner[1])}"
    if origin is Literal:
        return " or ".join(f"`{part}`" for part in inner)
    return " or ".join(_type(part) for part in inner)


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return f"`{_flow(value)}`" if value.model_fields_set else "its defaults"
    if isinstance(value, tuple):
        return f"`{_flow(value)}`"
    if value is None or isinstance(value, bool):
        return {None: "`null`", True: "`true`", False: "`false`"}[value]
    return f"`{value}`"


def _flow(value: Any) -> str:
    """A value as YAML in one line."""
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_unset=True)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(part)}" for key, part in value.items()) + "}"
    return f"[{', '.join(map(_flow, value))}]" if isinstance(value, (list, tuple)) else str(value)


def _comments(section: type[BaseModel]) -> dict[str, str]:
    """The comment behind each field, those of inherited fields too."""
    notes: dict[str, str] = {}
    for kind in reversed(section.__mro__):
        if not issubclass(kind, BaseModel) or not kind.__module__.startswith("asrkd."):
            continue
        try:
            source = inspect.getsource(kind)
        except (OSError, TypeError):  # made by create_model
            continue
        notes |= _comments_in(inspect.cleandoc(source) if source.startswith(" ") else source)
    return notes


def _comments_in(source: str) -> dict[str, str]:
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (body,) = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)
    return {
        node.target.id: re.sub(r"(type: ignore\S*|noqa\S*)\s*", "", comments[node.end_lineno or 0])
        for node in body.body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.end_lineno in comments
    }
