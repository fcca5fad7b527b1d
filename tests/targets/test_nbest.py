"""Stores of N-best lists: tokens, scores apart, errors by kind; stores of before are read on."""

import json

import pytest
from lhotse import MonoCut, Recording

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.targets.nbest import Nbest, StoredHypothesis, WordErrors, as_record, from_record
from asrkd.targets.store.nbest import NbestStore
from tests.nbest_lists import nbest, write_nbest_store

PARTS = {"ctc": -1.25, "attention": -0.5, "lm": -7.0, "length": 3}


def cut() -> MonoCut:
    return MonoCut("c", 0, 1.0, 0, recording=Recording("r", [], 8000, 8000, 1.0))


def test_tokens_partial_scores_and_errors_survive_a_round_trip(tmp_path):
    first = StoredHypothesis("NO YES", -0.1234567890123456, (3, 1, 2), PARTS, WordErrors(3, (1, 0, 2)), -0.7)
    second = StoredHypothesis("", -9.5, (), {"lm": -1.0}, WordErrors(2, (0, 2, 0)))
    stored = Nbest((first, second), 2)
    store = NbestStore(write_nbest_store(tmp_path, [cut()], [stored]))
    assert store.read("c") == stored
    (line,) = (tmp_path / "shard-00000-of-00001.jsonl").read_text().splitlines()
    assert json.loads(line)["hypotheses"][0] == {
        "text": "NO YES", "log_prob": -0.1234567890123456, "score": -0.7, "ctc": -1.25, "attention": -0.5,
        "lm": -7.0,
        "length": 3, "errors": 3, "sub": 1, "del": 0, "ins": 2, "tokens": [3, 1, 2],
    }  # fmt: skip


def test_a_line_of_the_first_format_is_read_without_new_fields():
    old = {
        "id": "c", "digest": "d", "num_words": 2,
        "hypotheses": [{"text": "NO", "log_prob": -1.0, "errors": 1}],
    }  # fmt: skip
    found = from_record(old)
    assert (found.texts, found.log_probs, found.errors, found.wers) == (["NO"], [-1.0], [1], [0.5])
    assert (found.hypotheses[0].tokens, found.hypotheses[0].errors.by_kind) == (None, None)
    assert as_record("c", "d", found) == old


def test_an_old_store_without_tokens_names_its_command(tmp_path):
    folder = write_nbest_store(tmp_path, [cut()], [nbest(["NO"], [-1.0])])
    NbestStore(folder).require_tokens("a test")
    store = NbestStore(folder)
    store.record = 1
    with pytest.raises(AsrkdError, match=r"a test needs the hypotheses' tokens.*rm -r .*asrkd distill nbest"):
        store.require_tokens("a test")


def test_a_store_of_a_later_asrkd_is_refused(tmp_path):
    folder = write_nbest_store(tmp_path, [cut()], [nbest(["NO"], [-1.0])])
    contract = files.read_json(folder / "contract.json") | {"record": 3}
    index = folder / "shard-00000-of-00001.index.jsonl.gz"
    files.write_json(folder / "contract.json", contract)
    rows = [row for _, row in files.read_jsonl(index)]
    rows[0]["contract"] = files.sha256(folder / "contract.json")
    files.write_jsonl(index, rows)
    with pytest.raises(AsrkdError, match="have format 3, this asrkd reads up to 2; update it"):
        NbestStore(folder)


def test_the_wer_of_a_hypothesis_is_of_its_reference():
    assert nbest(["A", "B"], [-1.0, -2.0], [1, 3], 4).wers == [0.25, 0.75]
    assert nbest(["A B C"], [-1.0], [3], 2).wers == [1.5]  # insertions: above 1
    assert nbest(["", "A B"], [-1.0, -2.0], [0, 2], 0).wers == [0.0, 2.0]  # nothing was said
    assert nbest(["A"], [-1.0]).wers is None
