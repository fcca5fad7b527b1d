"""`asrkd prepare subset`: manifests of some cuts and of some transcripts, line by line as lhotse has them."""

import gzip
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from lhotse import CutSet, SupervisionSegment
from lhotse.supervision import AlignmentItem
from typer.testing import CliRunner

from asrkd.cli.main import app
from asrkd.commands.prepare_subset import SubsetRequest, prepare_subset
from asrkd.core.errors import AsrkdError
from asrkd.data.cuts.manifests import read_cuts, write_cuts
from tests.conftest import make_cuts


@pytest.fixture
def folder(tmp_path) -> Path:
    """Twenty cuts with aligned transcripts, one of them without any, and the manifest of seven of them."""
    cuts = make_cuts(tmp_path, "train", 20)
    for cut in cuts:
        words = {"word": [AlignmentItem(cut.supervisions[0].text, 0.0, 0.1)]}
        cut.supervisions = [replace(cut.supervisions[0], alignment=words)]
    cuts[3].supervisions = [SupervisionSegment("none", "none", 0.0, cuts[3].duration)]
    write_cuts(tmp_path / "cuts_train.jsonl.gz", cuts)
    write_cuts(tmp_path / "cuts_small.jsonl.gz", cuts[:7])
    return tmp_path


def lines(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def test_one_transcript_in_five_stays_as_lhotse_writes_it(folder):
    out = folder / "cuts_fifth.jsonl.gz"
    text = prepare_subset(SubsetRequest(folder / "cuts_train.jsonl.gz", out, "1/5"))

    def without_text(cut):
        if zlib.crc32(cut.id.encode()) % 5:
            for supervision in cut.supervisions:
                supervision.text = supervision.alignment = None
        return cut

    expected = CutSet.from_jsonl(folder / "cuts_train.jsonl.gz").map(without_text).to_eager()
    expected.to_file(folder / "expected.jsonl.gz")
    assert lines(out) == lines(folder / "expected.jsonl.gz")
    transcribed = sum(cut.supervisions[0].text is not None for cut in expected)
    hours = sum(cut.duration for cut in expected) / 3600
    assert text == f"{out}: 20 cuts, {hours:.3f} h, {transcribed} transcribed"
    assert 0 < transcribed < 10


def test_cuts_of_another_manifest_are_left_out(folder):
    out, small = folder / "cuts_others.jsonl.gz", folder / "cuts_small.jsonl.gz"
    text = prepare_subset(SubsetRequest(folder / "cuts_train.jsonl.gz", out, None, small))
    assert text.startswith(f"{out}: 13 cuts, ") and text.endswith(" h, 13 transcribed")
    assert lines(small) + lines(out) == lines(folder / "cuts_train.jsonl.gz")
    both = folder / "both.jsonl.gz"
    prepare_subset(SubsetRequest(folder / "cuts_train.jsonl.gz", both, "1/2", small))
    assert [cut.id for cut in read_cuts(both).records] == [cut.id for cut in read_cuts(out).records]
    assert lines(both) != lines(out)


def test_copies_of_other_speeds_go_with_their_utterance(folder):
    manifest, fifth, rest = (folder / f"cuts_{name}.jsonl.gz" for name in ("speeds", "fifth", "rest"))
    cuts = make_cuts(folder, "train", 20)
    copies = [replace(cut, id=f"{cut.id}_sp{speed}") for cut in cuts for speed in ("0.9", "1.1")]
    write_cuts(manifest, cuts + copies)
    prepare_subset(SubsetRequest(manifest, fifth, "1/5"))
    kept = {record.id for record in read_cuts(fifth).records if record.texts != (None,)}
    plain = {cut_id for cut_id in kept if "_sp" not in cut_id}
    assert len(plain) > 0
    assert kept == {cut_id + copy for cut_id in plain for copy in ("", "_sp0.9", "_sp1.1")}
    prepare_subset(SubsetRequest(manifest, rest, None, folder / "cuts_small.jsonl.gz"))
    small = {record.id for record in read_cuts(folder / "cuts_small.jsonl.gz").records}
    assert len(read_cuts(rest)) == 3 * 13
    assert {record.id.partition("_sp")[0] for record in read_cuts(rest).records}.isdisjoint(small)


@pytest.fixture
def joined(tmp_path) -> Path:
    """Manifest of strings of two of nine words by each of two speakers, with copies at speed 0.9."""
    cuts = make_cuts(tmp_path, "train", 32)
    for number, cut in enumerate(cuts):
        speaker = "ab"[number % 2]
        word = number // 2 % 8
        cut.custom = {"parts": [f"{speaker}{word}", f"{speaker}{word + 1}"]}
        cut.supervisions = [replace(cut.supervisions[0], speaker=speaker)]
    write_cuts(tmp_path / "cuts.jsonl.gz", [*cuts, *(replace(cut, id=f"{cut.id}_sp0.9") for cut in cuts)])
    return tmp_path / "cuts.jsonl.gz"


def words_of(path: Path) -> set[str]:
    return {word for cut in CutSet.from_jsonl(path) for word in cut.custom["parts"]}


def test_strings_held_out_share_no_word_with_those_left(joined):
    held_out, rest = joined.with_name("cuts_heldout.jsonl.gz"), joined.with_name("cuts_rest.jsonl.gz")
    text = prepare_subset(SubsetRequest(joined, held_out, hold_out=4))
    # Both strings of the words 0 and 1, or of 7 and 8, of each speaker; those of the next words are lost.
    ids = {cut.id for cut in CutSet.from_jsonl(held_out)}
    assert words_of(held_out) in (
        {f"{s}{n}" for s, n in zip("aabb", end, strict=True)} for end in ("0101", "7878", "0178", "7801")
    )
    assert len(ids) == 4 and not any("_sp" in cut_id for cut_id in ids)
    assert text.endswith(" h, 4 transcribed; 8 other cuts share a recording with these, 48 do not")
    text = prepare_subset(SubsetRequest(joined, rest, without=held_out, by="recording"))
    assert text.startswith(f"{rest}: 48 cuts, ")
    assert text.endswith(f"; 8 other cuts left out for sharing a recording with {held_out}")
    assert words_of(held_out).isdisjoint(words_of(rest))
    assert sum("_sp" in cut.id for cut in CutSet.from_jsonl(rest)) == 24
    by_utterance = joined.with_name("by_utterance.jsonl.gz")
    assert prepare_subset(SubsetRequest(joined, by_utterance, None, held_out, "utterance")).startswith(
        f"{by_utterance}: 56 cuts, "
    )
    again = prepare_subset(SubsetRequest(joined, held_out, hold_out=4))
    assert again.startswith(f"{held_out}: already complete, 4 cuts, ")


def test_cuts_to_hold_out_come_from_those_that_are_left(joined):
    first, second = joined.with_name("first.jsonl.gz"), joined.with_name("second.jsonl.gz")
    prepare_subset(SubsetRequest(joined, first, hold_out=4))
    prepare_subset(SubsetRequest(joined, second, None, first, "recording", 4))
    assert words_of(first).isdisjoint(words_of(second))


def test_segments_of_a_recording_are_held_out_together(folder):
    cuts = make_cuts(folder, "segments", 12)
    for number, cut in enumerate(cuts):
        cut.recording = replace(cut.recording, id=f"call{number // 3}")
    write_cuts(folder / "cuts_calls.jsonl.gz", cuts)
    out = folder / "out.jsonl.gz"
    text = prepare_subset(SubsetRequest(folder / "cuts_calls.jsonl.gz", out, hold_out=4))
    assert text.endswith("; 0 other cuts share a recording with these, 6 do not")
    assert len({cut.recording_id for cut in CutSet.from_jsonl(out)}) == 2


def test_a_finished_subset_is_left_alone_and_another_is_refused(folder):
    out = folder / "cuts_fifth.jsonl.gz"
    request = SubsetRequest(folder / "cuts_train.jsonl.gz", out, "1/5")
    first = prepare_subset(request)
    before = out.read_bytes(), out.stat().st_mtime_ns
    assert prepare_subset(request) == first.replace(f"{out}: ", f"{out}: already complete, ")
    with pytest.raises(AsrkdError, match="exists with other contents; give another name"):
        prepare_subset(replace(request, transcripts="1/2"))
    assert before == (out.read_bytes(), out.stat().st_mtime_ns)
    assert not list(folder.glob("*.partial"))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "expected --transcripts, --without or --hold-out: asrkd prepare subset "),
        ({"manifest": None, "transcripts": "1/5"}, "name a cuts manifest"),
        ({"transcripts": "0.2"}, "--transcripts 0.2: expected 1/N"),
        ({"transcripts": "1/1"}, "--transcripts 1/1: expected 1/N"),
        ({"transcripts": "1/5", "out": "cuts_train.jsonl.gz"}, "is read too; give another name"),
        ({"transcripts": "1/5", "out": "other/cuts.jsonl.gz"}, "relative to its folder"),
        ({"without": "cuts_train.jsonl.gz"}, "holds every cut of "),
        ({"without": "dev.jsonl.gz"}, "holds no cut of "),
        ({"without": "missing.jsonl.gz"}, "missing.jsonl.gz: no such file"),
        (
            {"without": "dev.jsonl.gz", "by": "recording"},
            "no cut of .*cuts_train.jsonl.gz shares a recording",
        ),
        ({"without": "cuts_train.jsonl.gz", "by": "recording"}, "every cut of .* shares a recording"),
        ({"without": "dev.jsonl.gz", "by": "speaker"}, "--by speaker: expected utterance or recording"),
        ({"hold_out": 3, "by": "recording"}, "--by: has no effect without --without"),
        ({"hold_out": 0}, "--hold-out 0: expected a number of cuts, 1 or more"),
        (
            {"manifest": "dev.jsonl.gz", "hold_out": 2},
            "--hold-out 2: .*dev.jsonl.gz has 2 cuts at speed 1; hold out fewer",
        ),
        ({"hold_out": 4}, "cuts_train.jsonl.gz: cut 'train-003' has no speaker"),
        (
            {"manifest": "dev.jsonl.gz", "hold_out": 1},
            "every cut of .*dev.jsonl.gz shares .* these 2, so that none is",
        ),
    ],
)
def test_a_wrong_request_is_refused_and_writes_nothing(folder, options, complaint):
    dev = make_cuts(folder, "dev", 2)
    dev[1].recording = dev[0].recording
    write_cuts(folder / "dev.jsonl.gz", dev)
    names = {"manifest": "cuts_train.jsonl.gz", "out": "out.jsonl.gz"} | options
    files = ("manifest", "out", "without")
    paths = {key: folder / name if name and key in files else name for key, name in names.items()}
    before = sorted(folder.rglob("*"))
    with pytest.raises(AsrkdError, match=complaint):
        prepare_subset(SubsetRequest(**paths))
    assert sorted(folder.rglob("*")) == before


def test_options_of_a_corpus_and_of_a_subset_do_not_mix(folder):
    train, out = folder / "cuts_train.jsonl.gz", folder / "out.jsonl.gz"
    subset = ["prepare", "subset", str(train), "--out", str(out), "--transcripts", "1/5"]
    for option, value in (("--minutes", "3"), ("--jobs", "2"), ("--launcher", "local")):
        with pytest.raises(AsrkdError, match=f"{option}: no effect with subset; remove it"):
            CliRunner().invoke(app, [*subset, option, value], catch_exceptions=False)
    with pytest.raises(AsrkdError, match="--without: is for subset"):
        digits = ["prepare", "digits", "--out", str(folder / "digits"), "--without", str(train)]
        CliRunner().invoke(app, digits, catch_exceptions=False)
    assert CliRunner().invoke(app, subset).stdout.startswith(f"{out}: 20 cuts, ")
