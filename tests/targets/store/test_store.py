"""Target stores: what is written is read by cut id, equal inputs are equal bytes, damage is named."""

import gzip
import hashlib
import json
import shutil
import signal
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lhotse import AudioSource, MonoCut, Recording
from safetensors.torch import load_file
from torch import Tensor

from asrkd.core import files, output_folder
from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.records import cut_digest
from asrkd.targets.nbest import Nbest
from asrkd.targets.store import shards
from asrkd.targets.store.arrays import ArrayStore, write_array_shard
from asrkd.targets.store.nbest import NbestStore
from asrkd.targets.store.shards import shard_name
from tests import forked
from tests.nbest_lists import nbest, write_nbest_shard


def make_cuts(count: int) -> list[MonoCut]:
    cuts = []
    for number in range(count):
        recording = Recording(f"r{number}", [AudioSource("file", [0], "a.wav")], 8000, 8000 + number, 1.0)
        cuts.append(MonoCut(f"cut-{number}", 0, 1.0, 0, recording=recording))
    return cuts


def make_arrays(lengths: list[int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(256, (n, 4), generator=generator, dtype=torch.uint8) for n in lengths]


def make_nbest(number: int) -> Nbest:
    texts = [f"YES {number}", "", "JA \u2028 NEIN"][: 1 + number % 3]
    log_probs = [-0.1 - number / 3, -7.25, -1e-17][: len(texts)]
    return nbest(texts, log_probs, [0, 1, 2][: len(texts)], 2) if number % 2 else nbest(texts, log_probs)


def write_contract(out: Path, kind: str) -> str:
    files.write_json(out / "contract.json", {"kind": kind})
    return files.sha256(out / "contract.json")


def write_store(out: Path, suffix: str, count: int = 5, kind: str | None = None) -> list[MonoCut]:
    """A complete store of ``count`` cuts in shards of two."""
    cuts, arrays = make_cuts(count), make_arrays(list(range(1, count + 1)))
    total = -(-count // 2)
    kind = kind or {".jsonl": "nbest", ".safetensors": "codebook"}[suffix]
    contract = write_contract(out, kind)
    for number in range(total):
        part = slice(2 * number, 2 * number + 2)
        path = out / shard_name(number, total, suffix)
        if suffix == ".jsonl":
            write_nbest_shard(path, contract, cuts[part], [make_nbest(n) for n in range(count)][part])
        else:
            write_array_shard(path, contract, cuts[part], [{"values": a} for a in arrays[part]])
    output_folder.stamp(out, {"num_shards": total, "num_cuts": count})
    return cuts


def open_store(out: Path, suffix: str) -> ArrayStore | NbestStore:
    return NbestStore(out) if suffix == ".jsonl" else ArrayStore(out, "codebook")


both = pytest.mark.parametrize("suffix", [".jsonl", ".safetensors"])


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=6).flatmap(
        lambda n: st.tuples(st.just(n), st.permutations(range(len(n))))
    )
)
def test_arrays_come_back_by_cut_id_in_any_order(tmp_path_factory, case):
    lengths, order = case
    out = tmp_path_factory.mktemp("store")
    cuts, arrays = make_cuts(len(lengths)), make_arrays(lengths)
    contract = write_contract(out, "codebook")
    values = [{"values": array} for array in arrays]
    write_array_shard(out / shard_name(0, 1, ".safetensors"), contract, cuts, values)
    output_folder.stamp(out, {"num_shards": 1})
    store = ArrayStore(out, "codebook")
    for number in order:
        found = store.read(cuts[number].id)
        assert found.dtype == torch.uint8
        assert torch.equal(found, arrays[number])


def test_nbest_lists_come_back_by_cut_id_in_any_order(tmp_path):
    cuts = write_store(tmp_path, ".jsonl")
    store = NbestStore(tmp_path)
    for number in (3, 0, 4, 4, 2, 1):
        assert store.read(cuts[number].id) == make_nbest(number)


def test_the_payload_is_one_tensor_with_an_index_of_rows(tmp_path):
    cuts = write_store(tmp_path, ".safetensors")
    shard = tmp_path / "shard-00001-of-00003.safetensors"
    data = shard.read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    assert header["values"]["shape"] == [3 + 4, 4]
    assert header["values"]["dtype"] == "U8"
    with gzip.open(tmp_path / "shard-00001-of-00003.index.jsonl.gz", "rt") as stream:
        payload, *rows = map(json.loads, stream)
    assert payload == {
        "num_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "contract": hashlib.sha256((tmp_path / "contract.json").read_bytes()).hexdigest(),
    }
    third, fourth = data[-28:-16], data[-16:]  # 3 and 4 frames of 4 bytes
    assert rows == [
        {"id": "cut-2", "offset": 0, "length": 3, "digest": cut_digest(cuts[2])[:32],
         "crc32": zlib.crc32(third)},
        {"id": "cut-3", "offset": 3, "length": 4, "digest": cut_digest(cuts[3])[:32],
         "crc32": zlib.crc32(fourth)},
    ]  # fmt: skip
    assert torch.equal(load_file(str(shard))["values"][3:], ArrayStore(tmp_path, "codebook").read("cut-3"))


def test_a_person_can_read_an_nbest_list(tmp_path):
    cuts = write_store(tmp_path, ".jsonl")
    lines = (tmp_path / "shard-00000-of-00003.jsonl").read_text().split("\n")
    assert json.loads(lines[1]) == {
        "id": "cut-1",
        "digest": cut_digest(cuts[1]),
        "num_words": 2,
        "hypotheses": [
            {
                "text": "YES 1", "log_prob": -0.1 - 1 / 3, "length": 5, "errors": 0,
                "sub": 0, "del": 0, "ins": 0, "tokens": [89, 69, 83, 32, 49],
            },
            {
                "text": "", "log_prob": -7.25, "length": 0, "errors": 1,
                "sub": 1, "del": 0, "ins": 0, "tokens": [],
            },
        ],
    }  # fmt: skip
    assert '"text": "YES 1"' in lines[1]


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_store import write_store
for suffix in (".jsonl", ".safetensors"):
    write_store(Path(sys.argv[2]) / suffix[1:], suffix)
"""


def test_equal_inputs_are_equal_bytes_in_any_process(tmp_path):
    for suffix in (".jsonl", ".safetensors"):
        write_store(tmp_path / "a" / suffix[1:], suffix)
        write_store(tmp_path / "b" / suffix[1:], suffix)
    command = [sys.executable, "-c", WRITER, str(Path(__file__).parent), str(tmp_path / "c")]
    subprocess.run(command, check=True)
    contents = [
        {
            str(path.relative_to(tmp_path / name)): path.read_bytes()
            for path in sorted((tmp_path / name).rglob("shard-*"))
        }
        for name in "abc"
    ]
    assert len(contents[0]) == 12
    assert contents[0] == contents[1] == contents[2]


@both
def test_a_missing_shard_is_named_with_the_command(tmp_path, suffix):
    write_store(tmp_path, suffix)
    (tmp_path / f"shard-00001-of-00003{suffix}").unlink()
    with pytest.raises(
        AsrkdError, match=rf"shard-00001-of-00003\{suffix}: missing; make it again with: asrkd distill"
    ) as error:
        open_store(tmp_path, suffix)
    assert "\n" not in str(error.value)


@both
@pytest.mark.parametrize("keep", [0, 20, 60, -1])
def test_a_torn_shard_is_named_with_the_command(tmp_path, suffix, keep):
    write_store(tmp_path, suffix)
    shard = tmp_path / f"shard-00002-of-00003{suffix}"
    data = shard.read_bytes()
    shard.write_bytes(data[:keep])
    found = len(data[:keep])
    with pytest.raises(AsrkdError) as error:
        open_store(tmp_path, suffix)
    index = tmp_path / "shard-00002-of-00003.index.jsonl.gz"
    assert str(error.value).startswith(f"{shard}: torn: {found} bytes, expected {len(data)} by its index; ")
    assert f"remove it: rm {shard} {index} && asrkd distill" in str(error.value)


@both
@pytest.mark.parametrize("keep", [0, 20, -1])
def test_a_torn_index_is_named_with_the_command(tmp_path, suffix, keep):
    write_store(tmp_path, suffix)
    index = tmp_path / "shard-00002-of-00003.index.jsonl.gz"
    index.write_bytes(index.read_bytes()[:keep])
    with pytest.raises(AsrkdError, match=r"shard-00002-of-00003\.index\.jsonl\.gz") as error:
        open_store(tmp_path, suffix)
    assert "\n" not in str(error.value)


def outcome(store: ArrayStore | NbestStore, cut_id: str) -> tuple[str | None, object]:
    """(complaint, what was read), one of them None."""
    try:
        return None, store.read(cut_id)
    except AsrkdError as error:
        return str(error), None


@both
def test_no_flipped_bit_of_a_payload_ever_becomes_a_target(tmp_path, suffix):
    cuts = write_store(tmp_path, suffix)
    store = open_store(tmp_path, suffix)
    before = {cut.id: store.read(cut.id) for cut in cuts}
    shard = tmp_path / f"shard-00001-of-00003{suffix}"
    whole = shard.read_bytes()
    start = len(whole) - 28 if suffix == ".safetensors" else 0  # after the header
    for place in range(start, len(whole)):
        shard.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        refused = 0
        for cut in cuts:
            complaint, found = outcome(store, cut.id)
            if complaint is None:
                assert str(found) == str(before[cut.id])
            else:
                assert f"the targets of cut {cut.id} are damaged; remove it: rm {shard}" in complaint
                refused += 1
        assert refused == 1


@both
def test_a_shard_of_another_store_is_refused_by_its_first_cut(tmp_path, suffix):
    write_store(tmp_path / "one", suffix)
    write_store(tmp_path / "two", suffix)
    other = files.read_json(tmp_path / "two/contract.json") | {"teacher": "another"}
    files.write_json(tmp_path / "two/contract.json", other)
    with pytest.raises(AsrkdError, match=r"00000-of.*made under another contract.*its first cut: cut-0"):
        open_store(tmp_path / "two", suffix)


@both
def test_a_cut_that_is_in_two_shards_is_named(tmp_path, suffix):
    write_store(tmp_path, suffix)
    for what in (suffix, ".index.jsonl.gz"):
        shutil.copy(tmp_path / f"shard-00000-of-00003{what}", tmp_path / f"shard-00001-of-00003{what}")
    with pytest.raises(
        AsrkdError, match=r"shard-00001-of-00003.*: duplicate cut id 'cut-0' \(first in shard 0"
    ):
        open_store(tmp_path, suffix)


@both
def test_a_missing_cut_is_named_with_the_command(tmp_path, suffix):
    cuts = write_store(tmp_path, suffix)
    store = open_store(tmp_path, suffix)
    store.verify(cuts)
    store.verify(cuts[:2])  # targets of cuts that are not asked for are fine
    stranger = replace(cuts[0], id="stranger")
    with pytest.raises(
        AsrkdError,
        match=r"no targets for cut stranger; .*asrkd distill (nbest|codebook) --teacher \.\.\. --cuts",
    ):
        store.verify([*cuts, stranger])
    with pytest.raises(AsrkdError, match="no targets for cut stranger"):
        store.read("stranger")


@both
def test_targets_of_other_audio_are_refused_by_cut(tmp_path, suffix):
    cuts = write_store(tmp_path, suffix)
    louder = replace(cuts[3].perturb_volume(2), id="cut-3")
    with pytest.raises(AsrkdError) as error:
        open_store(tmp_path, suffix).verify([cuts[0], louder])
    message = str(error.value)
    assert message.startswith(f"{tmp_path}: the targets of cut cut-3 were made of other audio")
    assert cut_digest(cuts[3])[:12] in message
    assert cut_digest(louder)[:12] in message
    assert "asrkd distill" in message
    assert "\n" not in message


def test_a_store_of_another_kind_is_refused_first(tmp_path):
    write_store(tmp_path / "nbest", ".jsonl")
    write_store(tmp_path / "codebook", ".safetensors")
    with pytest.raises(
        AsrkdError, match=r"holds 'nbest' targets, expected 'codebook'.*asrkd distill codebook"
    ):
        ArrayStore(tmp_path / "nbest", "codebook")
    with pytest.raises(AsrkdError, match=r"holds 'codebook' targets, expected 'nbest'.*asrkd distill nbest"):
        NbestStore(tmp_path / "codebook")


def test_an_absent_store_and_an_unfinished_one_name_the_command(tmp_path):
    with pytest.raises(AsrkdError, match="nowhere: no such folder; make it with: asrkd distill nbest"):
        NbestStore(tmp_path / "nowhere")
    write_store(tmp_path, ".jsonl")
    (tmp_path / "stamp.json").unlink()
    with pytest.raises(AsrkdError, match="unfinished .*finish it with: asrkd distill nbest"):
        NbestStore(tmp_path)


def test_a_writer_that_raises_leaves_no_shard(tmp_path):
    path = tmp_path / "shard-00000-of-00001.jsonl"
    with pytest.raises(ValueError, match="zip|shorter|longer"):
        write_nbest_shard(path, "", make_cuts(2), [make_nbest(0)])
    with pytest.raises(ValueError, match="zip|shorter|longer"):
        write_array_shard(path, "", make_cuts(2), [{"values": array} for array in make_arrays([1])])
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_shard_leave_it_whole(tmp_path):
    """The second begins and ends while the first is writing; both write the same."""
    cuts = write_store(tmp_path / "alone", ".safetensors")
    arrays = [{"values": array} for array in make_arrays([1, 2])]
    contract = write_contract(tmp_path / "both", "codebook")
    path = tmp_path / "both" / shard_name(0, 3, ".safetensors")
    whole = (tmp_path / "alone" / path.name).read_bytes()

    def write_as_another_does(partial: Path) -> None:
        write_array_shard(path, contract, cuts[:2], arrays)
        partial.write_bytes(whole)

    index = list(shards.read_index(tmp_path / "alone" / path.name))
    shards.write_shard(path, contract, write_as_another_does, index)
    alone, both = (
        {file.name: file.read_bytes() for file in (tmp_path / name).glob("shard-00000-*")}
        for name in ("alone", "both")
    )
    assert alone == both


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import asrkd.targets.store.arrays as store
from test_store import write_store
whole = store.save_file
def save_and_die(tensors, path, **rest):
    whole(tensors, path, **rest)
    os.kill(os.getpid(), signal.SIGKILL)
store.save_file = save_and_die
write_store(Path(sys.argv[2]), ".safetensors")
"""


def test_a_killed_writer_leaves_no_shard_and_can_be_rerun(tmp_path):
    command = [sys.executable, "-c", KILLED_WRITER, str(Path(__file__).parent), str(tmp_path)]
    assert forked.run(command).returncode == -signal.SIGKILL
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".partial"]
    cuts = write_store(tmp_path, ".safetensors")
    ArrayStore(tmp_path, "codebook").verify(cuts)


def change_index(shard: Path, row: int, **fields: object) -> None:
    """Put fields into a row of the index beside a payload; row 0 is about the payload."""
    path = shards.index_path(shard)
    rows = [own for _, own in files.read_jsonl(path)]
    rows[row] |= fields
    files.write_jsonl(path, rows)


@both
@pytest.mark.parametrize(
    ("row", "field", "value", "complaint"),
    [
        (0, "num_bytes", "12", "num_bytes is '12', expected an integer"),
        (1, "offset", -1, "offset is -1, expected a number greater than or equal to 0"),
        (1, "length", 2**64, "length is 18446744073709551616, expected a number less"),
        (2, "crc32", 1.5, "crc32 is 1.5, expected an integer"),
        (2, "digest", "no digits", "digest is 'no digits', string should match"),
        (2, "id", None, "id is None, expected a string"),
    ],
)
def test_an_index_of_wrong_types_is_named_by_line(tmp_path, suffix, row, field, value, complaint):
    write_store(tmp_path, suffix)
    change_index(tmp_path / shard_name(1, 3, suffix), row, **{field: value})
    where = rf"shard-00001-of-00003.index.jsonl.gz:{row + 1}: broken \({complaint}"
    with pytest.raises(AsrkdError, match=f"{where}.*remove it: rm .* && asrkd distill"):
        open_store(tmp_path, suffix)


@both
@pytest.mark.parametrize("total", ["3", -1, 2.5, None, 10**15, [3]])
def test_a_stamp_whose_number_of_shards_is_none_is_told(tmp_path, suffix, total):
    write_store(tmp_path, suffix)
    output_folder.stamp(tmp_path, {"num_shards": total, "num_cuts": 5})
    with pytest.raises(AsrkdError, match=r"stamp.json: not a stamp of this command \(num_shards is"):
        open_store(tmp_path, suffix)


@both
@pytest.mark.parametrize(
    ("field", "value"),
    [("cuts", 3), ("search", []), ("frame_shift", "0.04"), ("length_rule", {"divisor": 0}), ("layer", -1)],
)
def test_a_contract_of_wrong_types_is_told_by_its_field(tmp_path, suffix, field, value):
    write_store(tmp_path, suffix)
    contract = files.read_json(tmp_path / "contract.json") | {field: value}
    files.write_json(tmp_path / "contract.json", contract)
    digest = files.sha256(tmp_path / "contract.json")
    for number in range(3):
        change_index(tmp_path / shard_name(number, 3, suffix), 0, contract=digest)
    with pytest.raises(AsrkdError, match=f"contract.json: not as asrkd writes it: {field}"):
        open_store(tmp_path, suffix)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda record: record["hypotheses"][0].update(log_prob="x"), "hypotheses.0.log_prob is 'x'"),
        (lambda record: record["hypotheses"][0].update(log_prob=float("nan")), "log_prob is nan, expected"),
        (lambda record: record["hypotheses"][0].update(tokens=[1, -2]), "hypotheses.0.tokens.1 is -2"),
        (lambda record: record["hypotheses"][1].pop("errors"), "errors of all hypotheses, or none"),
        (lambda record: record["hypotheses"][1].pop("del"), "are not the sum of sub, del and ins"),
        (lambda record: record.update(num_words=None), "errors of all hypotheses, or none"),
        (lambda record: record.update(hypotheses={}), "hypotheses is {}, expected a list"),
    ],
)
def test_a_list_that_was_written_wrong_is_told_by_its_cut(tmp_path, change, complaint):
    write_store(tmp_path, ".jsonl")
    shard = tmp_path / shard_name(0, 3, ".jsonl")
    first, second = shard.read_text(encoding="utf-8").splitlines(keepends=True)[:2]
    record = json.loads(second)
    change(record)
    line = (json.dumps(record) + "\n").encode()
    shard.write_bytes(first.encode() + line)
    change_index(shard, 2, length=len(line), crc32=zlib.crc32(line))
    data = shard.read_bytes()
    change_index(shard, 0, num_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    store = open_store(tmp_path, ".jsonl")
    assert store.read("cut-0")
    with pytest.raises(AsrkdError, match=f"the list of cut cut-1 cannot be read .*{complaint}"):
        store.read("cut-1")


def test_arrays_of_another_name_are_told_by_their_shard(tmp_path):
    cuts = make_cuts(1)
    contract = write_contract(tmp_path, "codebook")
    write_array_shard(
        tmp_path / shard_name(0, 1, ".safetensors"), contract, cuts, [{"valuex": make_arrays([3])[0]}]
    )
    output_folder.stamp(tmp_path, {"num_shards": 1, "num_cuts": 1})
    with pytest.raises(AsrkdError, match="shard-00000-of-00001.safetensors: holds no array 'values'"):
        ArrayStore(tmp_path, "codebook").read("cut-0")
