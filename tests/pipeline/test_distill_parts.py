"""Stores made by many: any parts, jobs, order and kills give the bytes of one process left alone."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asrkd.commands import distill, distill_request
from asrkd.commands.distill_request import DistillRequest
from asrkd.core.errors import AsrkdError
from asrkd.core.shared_work import ShardOf
from asrkd.core.stopping import StopRequest
from asrkd.data.cuts.manifests import read_cuts
from asrkd.decoding import SearchOptions
from asrkd.models.directory import load_model
from asrkd.models.encoder import Tap
from asrkd.models.inference import encode_cuts
from asrkd.targets.store.arrays import ArrayStore
from asrkd.targets.store.nbest import NbestStore
from tests import forked

OPTIONS = SearchOptions(beam=4, num_best=4)
KINDS = ("nbest", "codebook", "posterior", "hidden")


@pytest.fixture(scope="module")
def question(teacher, corpus, tmp_path_factory) -> DistillRequest:
    """Asks about the thirty training cuts, in eight shards."""
    out = tmp_path_factory.mktemp("parts") / "unused"
    return DistillRequest(teacher, (corpus / "cuts_train.jsonl.gz",), out, cuts_per_shard=4)


def ask(kind: str, question: DistillRequest, stores: Path) -> str:
    stop = StopRequest()
    if kind == "nbest":
        return distill.nbest(question, "prefix-beam", OPTIONS, stop)
    if kind == "codebook":
        return distill.codebook(question, stores / "quantizer", stop)
    if kind == "posterior":
        return distill.posterior(question, 3, "float32", stop)
    return distill.hidden(question, 1, "float16", stop)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def whole(question, stores, tmp_path_factory) -> Path:
    """A store of each kind, made by one process left alone."""
    folder = tmp_path_factory.mktemp("whole-parts")
    for kind in KINDS:
        ask(kind, replace(question, out=folder / kind), stores)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_parts_in_any_order_make_the_same_store(question, whole, stores, tmp_path, kind):
    out = tmp_path / kind
    order = [2, 3, 1]
    for number in order:
        said = ask(kind, replace(question, out=out, shard_of=ShardOf(number, 3)), stores)
        done = {2: 3, 3: 5, 1: 8}[number]
        if number != order[-1]:
            assert f"this part is done; {done} of 8 shards done" in said
            assert not (out / "stamp.json").exists()
    assert contents(out) == contents(whole / kind)
    assert "already complete" in ask(kind, replace(question, out=out, shard_of=ShardOf(1, 3)), stores)


def test_a_command_without_a_part_takes_all_that_is_missing(question, whole, stores, tmp_path):
    out = tmp_path / "nbest"
    ask("nbest", replace(question, out=out, shard_of=ShardOf(5, 5)), stores)
    ask("nbest", replace(question, out=out), stores)
    assert contents(out) == contents(whole / "nbest")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["payload", "index", "both", "truncated", "torn index"])
def test_lost_and_torn_shards_are_remade_with_the_same_bytes(question, whole, stores, tmp_path, kind, what):
    import shutil

    out = Path(shutil.copytree(whole / kind, tmp_path / kind))
    payload, index = (
        next(path for path in sorted(out.glob("shard-00003-*")) if (".index." in path.name) is wanted)
        for wanted in (False, True)
    )
    if what in ("payload", "both"):
        payload.unlink()
    if what in ("index", "both"):
        index.unlink()
    if what == "truncated":
        payload.write_bytes(payload.read_bytes()[:-1])
    if what == "torn index":
        index.write_bytes(index.read_bytes()[:30])
    assert "already complete" not in ask(kind, replace(question, out=out), stores)
    assert contents(out) == contents(whole / kind)


def test_a_shard_of_another_plan_blocks_completion(question, stores, tmp_path):
    out = tmp_path / "nbest"
    ask("nbest", replace(question, out=out, shard_of=ShardOf(1, 2)), stores)
    (out / "shard-00000-of-00009.jsonl").write_text("")
    with pytest.raises(AsrkdError, match=r"shard-00000-of-00009.jsonl: is not a shard of this store"):
        ask("nbest", replace(question, out=out), stores)
    assert not (out / "stamp.json").exists()


def test_another_machine_may_go_on_with_a_store_and_says_so(
    question, whole, stores, tmp_path, monkeypatch, capsys
):
    contract = distill_request.contract

    def elsewhere(*arguments):
        agreed = contract(*arguments)
        return agreed | {"computed_with": agreed["computed_with"] | {"device": "NVIDIA H200"}}

    out = tmp_path / "nbest"
    ask("nbest", replace(question, out=out, shard_of=ShardOf(1, 2)), stores)
    monkeypatch.setattr(distill_request, "contract", elsewhere)
    ask("nbest", replace(question, out=out), stores)
    said = f"{out}: computed_with.device was 'cpu', is now 'NVIDIA H200': its shards will differ"
    assert said in capsys.readouterr().err
    assert contents(out) == contents(whole / "nbest")
    assert "already complete" in ask("nbest", replace(question, out=out), stores)
    assert "computed_with" not in capsys.readouterr().err


RUN = """
import sys
from asrkd.cli import main
sys.argv = ["asrkd", *sys.argv[1:]]
main.run()
"""


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_jobs_with_kills_write_the_bytes_of_one_process(question, whole, tmp_path, jobs, monkeypatch):
    """Two processes at a time on one folder, one of which is killed, with parts at every seam."""
    monkeypatch.setenv("ASRKD_PART_EVERY_S", "0")
    rng, out = random.Random(jobs), tmp_path / "nbest"
    words = [
        "distill", "nbest", "--teacher", question.teacher, "--cuts", question.cuts[0], "--out", out,
        "--cuts-per-shard", "4", "--beam", "4", "--nbest", "4", "--jobs", jobs,
    ]  # fmt: skip
    command = [sys.executable, "-c", RUN, *map(str, words)]
    for round_ in range(2):
        if round_:  # as it was begun, with some of it made
            for name in ("stamp.json", "shard-00002-of-00008.jsonl", "shard-00005-of-00008.index.jsonl.gz"):
                (out / name).unlink()
        first = forked.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        second = forked.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not list(out.rglob("shard-*")) and first.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert second.wait(timeout=120) == 0
    left = {name: data for name, data in contents(out).items() if not name.endswith(".partial")}
    expected = contents(whole / "nbest")
    made, called = (json.loads(stored.pop("sources.json")) for stored in (left, expected))
    assert made.pop("command").startswith("asrkd distill nbest ") and called.pop("command") is None
    assert (left, made) == (expected, called)


def test_posteriors_are_the_best_tokens_and_the_rest(whole, teacher, corpus):
    store = ArrayStore(whole / "posterior", "posterior")
    model, cuts = load_model(teacher), list(read_cuts(corpus / "cuts_train.jsonl.gz"))
    for answer in encode_cuts(model, cuts[5:9]):
        kept = store.read_all(answer.cut.id)
        assert kept["values"].shape == (len(answer.log_probs), 4)
        torch.testing.assert_close(kept["values"].exp().sum(-1), torch.ones(len(answer.log_probs)))
        best = answer.log_probs.topk(3)
        torch.testing.assert_close(kept["values"][:, :3], best.values)
        picked = answer.log_probs.gather(1, kept["tokens"].long())
        torch.testing.assert_close(picked, best.values)


def test_hidden_states_are_the_layers_own_to_half_precision(whole, teacher, corpus):
    store = ArrayStore(whole / "hidden", "hidden")
    model, cuts = load_model(teacher), list(read_cuts(corpus / "cuts_train.jsonl.gz"))
    for answer in encode_cuts(model, cuts[:3], [Tap(1)]):
        found = store.read(answer.cut.id)
        assert found.dtype == torch.float16
        torch.testing.assert_close(found.float(), answer.tapped[Tap(1)], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("batch", [3, 16])
def test_outputs_do_not_depend_on_neighbors_in_the_batch(teacher, corpus, monkeypatch, batch):
    """NaN stands where a batch is padded."""
    from asrkd.data.features.reading import load_features
    from asrkd.decoding import EncoderOutputs, find_search

    model = load_model(teacher)
    cuts = read_cuts(corpus / "cuts_train.jsonl.gz")[:16]
    search = find_search("prefix-beam").run
    alone = list(encode_cuts(model, cuts, [Tap(1), Tap(2)]))
    for start in range(0, len(cuts), batch):
        group = cuts[start : start + batch]
        features = [load_features(cut) for cut in group]
        padded = torch.full((len(group), max(map(len, features)), features[0].shape[1]), torch.nan)
        for row, own in enumerate(features):
            padded[row, : len(own)] = own
        with torch.no_grad():
            output = model.recognizer(padded, torch.tensor([len(own) for own in features]), [Tap(1), Tap(2)])
        together = search(EncoderOutputs(output.num_frames, output.log_probs()), OPTIONS)
        for row, expected in enumerate(alone[start : start + batch]):
            count = int(output.num_frames[row])
            for tap in (Tap(1), Tap(2)):
                found = output.tapped[tap][row, :count]
                torch.testing.assert_close(found, expected.tapped[tap], rtol=0, atol=1e-5)
            (own,) = search(EncoderOutputs(torch.tensor([count]), expected.log_probs[None]), OPTIONS)
            assert [hypothesis.tokens for hypothesis in together[row]] == [h.tokens for h in own]


@pytest.fixture
def opened() -> Iterator[set[str]]:
    """The names of the files that the process opens during the test."""
    names, watching = set(), [True]

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open" and isinstance(arguments[0], (str, Path)):
            names.add(Path(arguments[0]).name)

    sys.addaudithook(note)  # for good; it does nothing when the test is over
    yield names
    watching.clear()


def test_a_store_is_read_without_loading_its_payloads(whole, opened):
    """Opening looks at the indexes; reading a cut opens the shard it is in, and no other."""
    store = ArrayStore(whole / "codebook", "codebook")
    assert "shard-00003-of-00008.index.jsonl.gz" in opened
    assert not [name for name in opened if name.endswith(".safetensors")]
    store.read("train-013")
    read = [name for name in opened if name.endswith(".safetensors")]
    assert read == ["shard-00003-of-00008.safetensors"]
    assert len(NbestStore(whole / "nbest").read("train-013").texts) >= 1
