"""Mutations of JSON and YAML at a random place of the tree, so that what is left still parses."""

import json
from random import Random
from typing import Any

import yaml

from tests.fuzz.mutations import mutate_text
from tests.fuzz.odd_values import odd_json, raw, unmarked

MOST_BYTES = 200_000  # of a file whose tree is changed
Place = tuple[Any, Any]  # (container, key or index)


def mutate_json(data: bytes, rng: Random) -> bytes:
    """Change one place of a JSON document; its text where it does not parse, and now and then."""
    if rng.random() < 0.1 or len(data) > MOST_BYTES:
        return mutate_text(data, rng)
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_text(data, rng)
    return _dumped(mutate_tree(tree, rng), indent=2)


def mutate_json_lines(data: bytes, rng: Random) -> bytes:
    """Change one place in one line of JSON lines, the lines themselves, or the text."""
    lines = data.split(b"\n")
    full = [number for number, line in enumerate(lines) if line.strip()]
    if not full or len(data) > MOST_BYTES or rng.random() < 0.2:
        return mutate_text(data, rng)
    number = rng.choice(full)
    try:
        tree = json.loads(lines[number])
    except (ValueError, RecursionError):
        return mutate_text(data, rng)
    lines[number] = _dumped(mutate_tree(tree, rng))
    return b"\n".join(lines)


def mutate_yaml(data: bytes, rng: Random) -> bytes:
    """Change one place of a YAML document, or play one of YAML's own tricks."""
    what = rng.random()
    if what < 0.15 or b"&" in data or len(data) > MOST_BYTES:  # aliases, written out, are without end
        return mutate_text(data, rng)
    if what < 0.3:
        return _yaml_trick(data.decode("utf-8", "replace"), rng).encode("utf-8", "surrogatepass")
    try:
        tree = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError):
        return mutate_text(data, rng)
    return _dumped(mutate_tree(tree, rng), indent=1)  # JSON is YAML


def mutate_tree(tree: Any, rng: Random) -> Any:
    """The tree with one place changed: the value, its key, or where it stands."""
    places = _places(tree)
    if not places or rng.random() < 0.03:
        return odd_json(rng)
    container, key = rng.choice(places)
    what = rng.random()
    if what < 0.5:
        container[key] = odd_json(rng)
    elif what < 0.62:
        del container[key]
    elif what < 0.7 and isinstance(container, dict):
        container[rng.choice((key.upper(), f"{key}x", key[:-1], "", "type", "a.b"))] = container.pop(key)
    elif what < 0.78:
        other, there = rng.choice(places)
        container[key] = other.get(there) if isinstance(other, dict) else other[there % len(other)]
    elif what < 0.88:
        container[key] = rng.choice((lambda v: [v], lambda v: {"a": v}, lambda v: [v, v], str, _listed))(
            container[key]
        )
    elif isinstance(container[key], (int, float)) and not isinstance(container[key], bool):
        container[key] = rng.choice(
            (-container[key], container[key] * 1000, container[key] + 1, raw("1e400"))
        )
    else:
        container[key] = type(container[key])()
    return tree


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, (dict, str)) else [value]


def _places(tree: Any) -> list[Place]:
    """Every (container, key) of a tree, outermost first."""
    found: list[Place] = []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        found.append((tree, key))
        found += _places(value)
    return found


def _dumped(tree: Any, indent: int | None = None) -> bytes:
    try:
        text = json.dumps(tree, ensure_ascii=False, indent=indent)
    except ValueError:  # a place was put inside of itself
        text = "[]"
    return unmarked(text).encode("utf-8", "surrogatepass")


def _yaml_trick(text: str, rng: Random) -> str:
    """YAML with anchors, tags, merge keys, dates, deep nesting and the like."""
    lines = text.split("\n")
    row = rng.randrange(len(lines))
    key = lines[row].split(":")[0]
    odd = (
        "!!python/object/apply:os.system [x]", "!!binary x", "!!float nan", ".nan", ".inf",
        "2024-13-01", "12:30:45",
        "2024-01-01", "0o17", "0x1F", "&a [*a]", "*nowhere", "&a {<<: *a}", "!!set {a}",
        "? [a]", "|\n  x", "@x", "`x",
        "%x", "{a: 1, a: 2}",
        "[" * 200 + "]" * 200, "[" * 20000, "{a: " * 200 + "}" * 200, "!!int x", "!x y", "no",
        "~", "1e400", "1_0", "'", '"\\ud800"', '"\\x00"', "!!timestamp x", "? ? ?", "- - - -",
    )  # fmt: skip
    what = rng.randrange(4)
    if what == 0:
        return "\n".join(
            [*lines, rng.choice(("---", "...", "%YAML 9.9", "%TAG ! x", "\t", "<<: {seed: 2}", "? a"))]
        )
    if what == 1:
        bomb = ["a: &a [x, x, x, x, x, x, x, x, x]"]
        bomb += [f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]" for n in range(6)]
        return "\n".join([*bomb, *lines])
    if what == 2:
        lines[row] = "\t" + lines[row]
    else:
        lines[row] = f"{key}: {rng.choice(odd)}"
    return "\n".join(lines)
