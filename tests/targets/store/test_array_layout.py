"""Rows of arrays where they lie in the file, against what safetensors itself reads."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from asrkd.targets.store.arrays import read_layouts

DTYPES = ("uint8", "int16", "int32", "int64", "float16", "bfloat16", "float32")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    values = torch.randint(0, 200, (11, 3, 2), generator=torch.Generator().manual_seed(1))
    arrays = {name: values.to(getattr(torch, name)) for name in DTYPES} | {"flat": torch.arange(5)}
    save_file(arrays, str(tmp_path / "x.safetensors"), metadata={"some": "words"})
    return tmp_path / "x.safetensors"


@pytest.mark.parametrize(("first", "count"), [(0, 11), (0, 1), (4, 5), (10, 1), (3, 0)])
def test_rows_of_every_type_are_those_that_safetensors_reads(path, first, count):
    whole, layouts = load_file(str(path)), read_layouts(path)
    assert layouts.keys() == whole.keys()
    with path.open("rb") as stream:
        for name in DTYPES:
            found = layouts[name].read(stream, first, count)
            assert found.dtype == whole[name].dtype
            assert torch.equal(found, whole[name][first : first + count])
        assert layouts["flat"].read(stream, 2, 2).tolist() == [2, 3]


def test_a_truncated_file_is_an_error_and_no_crash(path):
    layouts = read_layouts(path)
    path.write_bytes(path.read_bytes()[:-40])
    with path.open("rb") as stream, pytest.raises(ValueError, match="shorter than its header says"):
        for layout in layouts.values():
            layout.read(stream, 0, 5)


@pytest.mark.parametrize("damage", [b"", b"\xff" * 40, b"\x02\0\0\0\0\0\0\0[]", b"\x02\0\0\0\0\0\0\0{"])
def test_what_is_no_safetensors_file_is_an_error(path, damage):
    path.write_bytes(damage)
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        read_layouts(path)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("shape", [], "shape is .*, list should have at least 1 item"),
        ("shape", [11, "3", 2], "shape.1 is '3', expected an integer"),
        ("shape", [10**12, 3, 2], "shorter than its header says"),
        ("data_offsets", None, "data_offsets is None, expected a list"),
        ("data_offsets", [2**62, 2**62], "shorter than its header says"),
        ("dtype", "F64", "dtype is 'F64', expected 'U8'"),
    ],
)
def test_a_header_of_wrong_fields_is_an_error_that_says_which(path, name, value, complaint):
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["uint8"][name] = value
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    with pytest.raises(ValueError, match=complaint):
        read_layouts(path)


def test_rows_that_are_not_there_are_not_read(path):
    with path.open("rb") as stream, pytest.raises(ValueError, match="rows 10 to 12 of 11"):
        read_layouts(path)["uint8"].read(stream, 10, 2)
