"""`asrkd targets sizes`: bytes of stores, beside the payload of the largest."""

import shutil

import pytest
from typer.testing import CliRunner

from asrkd.cli.main import app
from asrkd.commands.target_sizes import target_sizes
from asrkd.core.errors import AsrkdError


def test_bytes_of_stores_beside_the_largest_payload(stores):
    table = target_sizes([stores / "codebook", stores / "nbest"])
    header, *rows = (line.split() for line in table.splitlines())
    assert header == ["targets", "bytes", "x", "smaller"]
    assert [row[0] for row in rows] == ["codebook", "nbest"]
    payloads = []
    for name, total, _ in rows:
        sizes = {path.name: path.stat().st_size for path in (stores / name).iterdir()}
        assert int(total) == sum(sizes.values())
        payloads.append(
            sum(size for name, size in sizes.items() if name.startswith("shard-") and ".index." not in name)
        )
    for _, total, ratio in rows:
        assert ratio == f"{max(payloads) / int(total):.2f}"
    assert CliRunner().invoke(app, ["targets", "sizes", str(stores / "codebook")]).stdout.splitlines() == [
        "targets             bytes  x smaller",
        f"codebook     {rows[0][1]:>12} {payloads[0] / int(rows[0][1]):>10.2f}",
    ]


def test_a_folder_that_is_no_finished_store_is_refused(stores, teacher, tmp_path):
    with pytest.raises(AsrkdError, match="not a target store; make one with: asrkd distill "):
        target_sizes([stores / "codebook", stores / "quantizer"])
    with pytest.raises(AsrkdError, match="not a target store"):
        target_sizes([teacher])
    with pytest.raises(AsrkdError, match="no such folder"):
        target_sizes([tmp_path / "missing"])
    shutil.copytree(stores / "nbest", tmp_path / "nbest")
    (tmp_path / "nbest/stamp.json").unlink()
    with pytest.raises(AsrkdError, match=r"unfinished \(no stamp.json\)"):
        target_sizes([tmp_path / "nbest"])


@pytest.mark.parametrize("name", ["nbest", "codebook"])
def test_a_store_with_a_torn_shard_has_no_size(stores, tmp_path, name):
    store = shutil.copytree(stores / name, tmp_path / name)
    payload = next(path for path in sorted(store.glob("shard-*")) if ".index." not in path.name)
    payload.write_bytes(b"")
    with pytest.raises(AsrkdError, match=f"{payload.name}: torn: 0 bytes, expected [0-9]+ by its index; "):
        target_sizes([store])
