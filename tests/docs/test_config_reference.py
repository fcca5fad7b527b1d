"""The reference of configs: every key has a type and a default that YAML reads."""

import re

import yaml

from docs._hooks.config_reference import markdown


def test_every_value_and_default_is_written_out():
    rows = [re.split(r"(?<!\\)\|", line)[1:5] for line in markdown().splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    for key, kind, default, _ in rows:
        assert not re.search(r"(^| )(or|,) *(or|,|$)", kind.strip()), key
        text = default.strip()
        if text.startswith("`"):
            assert "(" not in text, key
            yaml.safe_load(text.strip("`"))


def test_kinds_of_nested_values_are_named():
    text = markdown()
    assert "| `subsampling` | `1` or `2` or `4` or `8` | `4` |" in text
    assert "| `blocks` | list of [BlockConfig](#BlockConfig) | `[{channels: 64, kernel_size: 11}, " in text
