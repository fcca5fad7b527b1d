"""The stage as a whole: what it leaves behind, on good corpora and on bad ones."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet, Fbank, FbankConfig, Recording

from asrkd.commands import prepare as stage
from asrkd.commands.prepare import PrepareOptions, PrepareReport, prepare
from asrkd.core.errors import AsrkdError, QuarantineError, StoppedInTime
from asrkd.core.shared_work import ShardOf, Workers
from asrkd.core.stopping import StopRequest
from asrkd.data.corpora import digits, tsv
from asrkd.data.corpora.recordings import make_cut
from asrkd.data.corpora.utterances import CorpusUtterance
from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.cuts.packed import PackedCuts
from asrkd.data.features import shards
from asrkd.data.features.fbank import FeatureOptions
from asrkd.data.tokens import Tokens, train_char

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
RATE = 8000
TEXTS = ["ONE TWO", "TWO", "THREE ONE", "FOUR", "ONE", "TWO TWO"]


def write_corpus(folder: Path, rows: dict[str, dict[str, str]] | None = None) -> Path:
    """Six utterances of two speakers, four of them ``train``; ``rows`` adds or changes some."""
    (folder / "audio").mkdir(parents=True)
    table = {
        f"u{index}": {
            "audio": f"audio/u{index}.flac",
            "text": text,
            "speaker": "ann" if index < 4 else "bob",
            "split": "train" if index < 4 else "dev",
        }
        for index, text in enumerate(TEXTS)
    }
    rng = np.random.default_rng(5)
    for row in table.values():
        soundfile.write(folder / row["audio"], 0.1 * rng.standard_normal(int(rng.integers(3000, 6000))), RATE)
    for utt_id, changes in (rows or {}).items():
        table[utt_id] = {**table.get(utt_id, table["u0"]), **changes}
    lines = ["utt_id\taudio\ttext\tspeaker\tsplit"]
    lines += [
        "\t".join([key, *(row[c] for c in ("audio", "text", "speaker", "split"))])
        for key, row in table.items()
    ]
    (folder / "transcripts.tsv").write_text("\n".join(lines) + "\n")
    return folder


def run(
    source: Path | None, out: Path, *, kind: str = "tsv", jobs: int = 1, **options: object
) -> PrepareReport:
    chosen = PrepareOptions(**{"cuts_per_shard": 2, **options})
    return prepare(kind, source, out, chosen, workers=Workers(jobs), stop=StopRequest())


def contents(out: Path) -> dict[str, bytes]:
    found = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): path.read_bytes() for path in found}


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "corpus")


def test_everything_a_trainer_needs_is_there(tmp_path, corpus):
    report = run(corpus, tmp_path / "out")
    cuts = read_cuts(tmp_path / "out/cuts_train.jsonl.gz")
    assert [(cut.id, cut.supervisions[0].text) for cut in cuts] == [(f"u{i}", TEXTS[i]) for i in range(4)]
    assert [cut.id for cut in read_cuts(tmp_path / "out/cuts_dev.jsonl.gz")] == ["u4", "u5"]
    extractor = Fbank(FbankConfig(sampling_rate=RATE, snip_edges=False))
    for cut in cuts:
        np.testing.assert_allclose(cut.load_features(), extractor.extract(cut.load_audio(), RATE), atol=2**-5)
    tokens = Tokens.load(tmp_path / "out")
    assert "".join(tokens.symbols[1:]) == " EFHNORTUW"  # of train alone, sorted by hand
    seconds = sum(soundfile.info(path).duration for path in (corpus / "audio").glob("u[0-3].flac"))
    assert report.splits["train"].hours == pytest.approx(seconds / 3600, abs=1e-6)
    assert (report.splits["train"].num_cuts, report.num_tokens) == (4, tokens.size)
    assert (tmp_path / "out/quarantine.jsonl").read_text() == ""


def test_the_number_of_jobs_changes_no_byte(tmp_path, corpus):
    options = {"speeds": (0.9, 1.1), "tokens": "bpe", "vocab_size": 20}
    for jobs in (1, 2):
        run(corpus, tmp_path / f"out{jobs}", jobs=jobs, **options)
    one, two = contents(tmp_path / "out1"), contents(tmp_path / "out2")
    assert list(one) == list(two)
    assert one == two
    assert "features/train/shard-00001-of-00002.lca" in one
    with gzip.open(tmp_path / "out1/cuts_train.jsonl.gz") as stream:
        assert [json.loads(line)["id"] for line in stream][:3] == ["u0", "u0_sp0.9", "u0_sp1.1"]


def with_parts(corpus: Path, parts: dict[str, str]) -> None:
    """Add a column ``parts`` to the table of a corpus."""
    table = corpus / "transcripts.tsv"
    header, *rows = table.read_text().splitlines()
    rows = [f"{row}\t{parts.get(row.split(chr(9))[0], '')}" for row in rows]
    table.write_text("\n".join([f"{header}\tparts", *rows]) + "\n")


def test_parts_stay_with_cuts_and_their_copies_and_change_nothing_else(tmp_path, corpus):
    run(corpus, tmp_path / "plain", speeds=(0.9,))
    with_parts(corpus, {})
    assert run(corpus, tmp_path / "plain", speeds=(0.9,)).already_complete
    run(corpus, tmp_path / "empty", speeds=(0.9,))
    assert contents(tmp_path / "empty").keys() == contents(tmp_path / "plain").keys()
    for name, content in contents(tmp_path / "plain").items():
        assert name == "command.json" or (tmp_path / "empty" / name).read_bytes() == content

    table = corpus / "transcripts.tsv"
    table.write_text(table.read_text().replace("train\t\n", "train\tx,y,x\n", 1))
    with pytest.raises(AsrkdError, match="transcripts.tsv, or its audio, has changed"):
        run(corpus, tmp_path / "plain", speeds=(0.9,))
    run(corpus, tmp_path / "out", speeds=(0.9,))
    cuts = CutSet.from_jsonl(tmp_path / "out/cuts_train.jsonl.gz")
    assert [cut.parts for cut in cuts.subset(cut_ids=["u0", "u0_sp0.9"])] == [["x", "y", "x"]] * 2
    assert [cut.has_custom("parts") for cut in cuts] == [True, True] + [False] * 6
    cuts.to_eager().to_file(tmp_path / "again.jsonl.gz")
    assert CutSet.from_jsonl(tmp_path / "again.jsonl.gz")["u0"].parts == ["x", "y", "x"]
    run(tmp_path / "out/cuts_train.jsonl.gz", tmp_path / "again", kind="cuts")
    assert read_cuts(tmp_path / "again/cuts_train.jsonl.gz")[0].parts == ["x", "y", "x"]


@pytest.mark.parametrize("suffix", ["lca", "jsonl.gz"])
def test_a_missing_shard_is_computed_again_to_the_same_bytes(tmp_path, corpus, suffix):
    out = tmp_path / "out"
    run(corpus, out, speeds=(0.9,))
    before = contents(out)
    (out / f"features/train/shard-00000-of-00002.{suffix}").unlink()
    (out / "stamp.json").unlink()
    untouched = out / "features/train/shard-00001-of-00002.lca"
    stamp_ns = untouched.stat().st_mtime_ns
    assert not run(corpus, out, speeds=(0.9,)).already_complete
    assert contents(out) == before
    assert untouched.stat().st_mtime_ns == stamp_ns


def test_what_is_complete_is_not_touched(tmp_path, corpus, monkeypatch):
    first = run(corpus, tmp_path / "out")
    monkeypatch.setattr(shards, "compute_shard", lambda shard: pytest.fail("computed again"))
    monkeypatch.setattr(stage, "read_splits", lambda *_: pytest.fail("opened the audio again"))
    again = run(corpus, tmp_path / "out")
    assert again.already_complete
    assert str(again) == f"{tmp_path / 'out'}: already complete\n{first}"


def test_a_stop_keeps_shards_and_the_same_command_resumes(tmp_path, corpus):
    first_shard = tmp_path / "out/features/train/shard-00000-of-00002.jsonl.gz"

    class StopAfterOneShard(StopRequest):
        def reason(self):
            return "SIGTERM" if first_shard.exists() else None

    options = PrepareOptions(cuts_per_shard=2)
    message = "SIGTERM: .*train: 2 of [0-9]+ cuts are done; run the same command"
    with pytest.raises(StoppedInTime, match=message):
        prepare("tsv", corpus, tmp_path / "out", options, workers=Workers(1), stop=StopAfterOneShard())
    assert not (tmp_path / "out/cuts_train.jsonl.gz").exists()
    run(corpus, tmp_path / "out")
    run(corpus, tmp_path / "straight")
    assert contents(tmp_path / "out") == contents(tmp_path / "straight")


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_parts_in_any_order_make_the_same_folder(tmp_path, corpus, order):
    run(corpus, tmp_path / "straight")
    for number in order:
        workers = Workers(1, ShardOf(number, 2))
        options = PrepareOptions(cuts_per_shard=2)
        report = prepare("tsv", corpus, tmp_path / "out", options, workers=workers, stop=StopRequest())
        assert bool(report.unfinished) == (number == order[0])
        assert (tmp_path / "out/stamp.json").exists() == (number == order[1])
    assert contents(tmp_path / "out") == contents(tmp_path / "straight")


def test_parts_share_the_blocks_of_the_synthetic_corpus(tmp_path):
    from asrkd.data.corpora.digits import DigitsOptions

    sizes = DigitsOptions(minutes=0.5, dev_minutes=0.1, test_minutes=0.1, num_speakers=2)
    options = PrepareOptions(digits=sizes, cuts_per_shard=4)
    prepare("digits", None, tmp_path / "straight", options, workers=Workers(), stop=StopRequest())
    first, second = (
        prepare(
            "digits", None, tmp_path / "out", options, workers=Workers(1, ShardOf(n, 2)), stop=StopRequest()
        )
        for n in (1, 2)
    )
    assert "this part is done" in str(first)
    assert second.splits
    assert contents(tmp_path / "out") == contents(tmp_path / "straight")


def test_moving_the_output_keeps_it_readable(tmp_path, corpus):
    run(corpus, tmp_path / "out")
    before = [cut.load_features() for cut in read_cuts(tmp_path / "out/cuts_train.jsonl.gz")]
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "out", tmp_path / "elsewhere/data")
    moved = read_cuts(tmp_path / "elsewhere/data/cuts_train.jsonl.gz")
    for cut, features in zip(moved, before, strict=True):
        np.testing.assert_array_equal(cut.load_features(), features)
        assert cut.load_audio().shape == (1, cut.num_samples)


def test_the_manifests_name_no_other_place_than_the_audio(tmp_path, corpus, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(Path("corpus"), Path("out"))
    with gzip.open("out/cuts_train.jsonl.gz") as stream:
        first = json.loads(stream.readline())
    assert first["features"]["storage_path"] == "features/train/shard-00000-of-00002.lca"
    assert first["recording"]["sources"][0]["source"] == str(tmp_path / "corpus/audio/u0.flac")


def test_another_request_or_another_corpus_is_refused(tmp_path, corpus):
    run(corpus, tmp_path / "out")
    with pytest.raises(AsrkdError, match=r"out: created with other settings: speeds"):
        run(corpus, tmp_path / "out", speeds=(0.9,))
    (corpus / "transcripts.tsv").write_text((corpus / "transcripts.tsv").read_text().replace("FOUR", "FIVE"))
    with pytest.raises(
        AsrkdError, match=r"out: created with other settings: /.*/transcripts.tsv, or its audio, has changed"
    ):
        run(corpus, tmp_path / "out")


def test_a_strangers_folder_is_refused(tmp_path, corpus):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").touch()
    with pytest.raises(AsrkdError, match="holds 'thesis.tex' but no prepare.json"):
        run(corpus, tmp_path / "out")


def bad_file(path: Path, kind: str) -> None:
    good = np.full(4000, 0.1)
    if kind == "truncated":
        soundfile.write(path, np.random.default_rng(1).uniform(-1, 1, 20000), RATE)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == "nan":
        good[7] = np.nan
        soundfile.write(path, good, RATE, subtype="FLOAT", format="WAV")
    elif kind == "other rate":
        soundfile.write(path, good, 16000)
    elif kind == "empty":
        soundfile.write(path, good[:0], RATE, format="WAV")
    elif kind == "garbage":
        path.write_bytes(b"not audio" * 100)
    elif kind == "missing":
        path.unlink()


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("truncated", "are declared|lost sync"),
        ("nan", "not numbers"),
        ("other rate", "sampling rate 16000 Hz, most have 8000 Hz"),
        ("empty", "holds no samples"),
        ("garbage", "unreadable"),
        ("missing", "no such file"),
    ],
)
def test_bad_audio_is_quarantined_with_its_cause(tmp_path, corpus, kind, cause):
    bad_file(corpus / "audio/u2.flac", kind)
    with pytest.raises(QuarantineError, match=f"1 of 6 items is bad.*u2 .*({cause})") as caught:
        run(corpus, tmp_path / "out", speeds=(0.9,))
    assert caught.value.exit_status == 3
    (row,) = map(json.loads, (tmp_path / "out/quarantine.jsonl").read_text().splitlines())
    assert (row["id"], row["split"], row["path"]) == ("u2", "train", str(corpus / "audio/u2.flac"))
    assert not list((tmp_path / "out").glob("cuts_*"))
    assert not (tmp_path / "out/stamp.json").exists()
    report = run(corpus, tmp_path / "out", speeds=(0.9,), max_bad=0.2)  # goes on where it was refused
    assert (report.splits["train"].num_cuts, report.splits["train"].num_quarantined) == (6, 1)
    assert len((tmp_path / "out/quarantine.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "cause"),
    [("", "empty transcript"), ("--", "no letter or digit"), ("A\x07", "control character")],
)
def test_bad_transcripts_are_quarantined_with_their_cause(tmp_path, text, cause):
    corpus = write_corpus(tmp_path / "corpus", {"u1": {"text": text}})
    with pytest.raises(QuarantineError, match=f"1 of 6 items is bad.*u1 .*{cause}"):
        run(corpus, tmp_path / "out")
    assert run(corpus, tmp_path / "out", max_bad=0.5).splits["train"].num_quarantined == 1


def test_all_items_are_examined_and_the_first_is_named(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", {"u1": {"text": "?"}, "u3": {"audio": "audio/no.wav"}})
    bad_file(corpus / "audio/u5.flac", "truncated")
    with pytest.raises(QuarantineError, match="3 of 6 items are bad"):
        run(corpus, tmp_path / "out")
    rows = map(json.loads, (tmp_path / "out/quarantine.jsonl").read_text().splitlines())
    assert {row["id"] for row in rows} == {"u1", "u3", "u5"}


def test_nothing_but_bad_items_is_refused_whatever_is_allowed(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", {f"u{index}": {"text": ""} for index in range(6)})
    with pytest.raises(QuarantineError, match="6 of 6 items are bad"):
        run(corpus, tmp_path / "out", max_bad=1.0)


def test_a_misnamed_column_of_transcripts_is_named_before_any_write(tmp_path, corpus):
    table = corpus / "transcripts.tsv"
    table.write_text(table.read_text().replace("\ttext\t", "\ttranscript\t", 1))
    with pytest.raises(
        AsrkdError, match=r"has no column text \(its columns: utt_id, audio, transcript, "
    ) as error:
        run(corpus, tmp_path / "out", max_bad=1)
    assert "empty transcript" not in str(error.value)
    assert not (tmp_path / "out").exists()
    assert run(corpus, tmp_path / "out", untranscribed=True).num_tokens is None


def test_untranscribed_audio_needs_no_text_and_makes_no_tokens(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", {f"u{index}": {"text": ""} for index in range(6)})
    report = run(corpus, tmp_path / "out", untranscribed=True)
    assert (report.splits["train"].num_cuts, report.num_tokens) == (4, None)
    assert "tokens: none" in str(report)
    assert not (tmp_path / "out/tokens.txt").exists()


def test_without_a_train_split_the_lack_of_tokens_is_explained(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", {f"u{index}": {"split": "dev"} for index in range(6)})
    report = run(corpus, tmp_path / "out")
    assert "tokens: none, as they come from the transcripts of train, and there is only dev" in str(report)


def test_a_duplicate_id_is_refused_before_any_write(tmp_path, corpus):
    with (corpus / "transcripts.tsv").open("a") as stream:
        stream.write("u0\taudio/u0.flac\tONE\tann\tdev\n")
    with pytest.raises(AsrkdError, match="tsv:8: duplicate utterance id 'u0', first at .*tsv:2"):
        run(corpus, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_speakers_in_two_splits_are_a_warning(tmp_path):
    report = run(write_corpus(tmp_path / "corpus", {"u5": {"speaker": "ann"}}), tmp_path / "out")
    assert "warning: 1 speaker of dev is also in train: ann" in str(report).splitlines()


def test_another_sampling_rate_is_made_of_every_file(tmp_path, corpus):
    bad_file(corpus / "audio/u2.flac", "other rate")
    run(corpus, tmp_path / "out", features=FeatureOptions(num_mel_bins=40, sampling_rate=4000))
    for cut in read_cuts(tmp_path / "out/cuts_train.jsonl.gz"):
        assert (cut.sampling_rate, cut.features.sampling_rate) == (4000, 4000)
        assert cut.load_features().shape == (cut.num_frames, 40)
        assert cut.load_audio().shape == (1, cut.num_samples)


def test_given_tokens_are_used_and_must_spell_the_transcripts(tmp_path, corpus):
    train_char([*TEXTS, "XYZ"]).save(tmp_path / "given")
    run(corpus, tmp_path / "out", token_source=tmp_path / "given")
    assert (tmp_path / "out/tokens.txt").read_bytes() == (tmp_path / "given/tokens.txt").read_bytes()
    train_char(["ONE TWO THREE"]).save(tmp_path / "few")
    with pytest.raises(QuarantineError, match="1 of 6 items is bad.*u3 .*no token spells 'F'"):
        run(corpus, tmp_path / "out2", token_source=tmp_path / "few")


def test_symbols_that_only_dev_has_are_a_warning(tmp_path):
    report = run(write_corpus(tmp_path / "corpus", {"u5": {"text": "ZERO"}}), tmp_path / "out")
    assert "1 transcript of dev cannot be spelled: no token spells 'Z'" in str(report)


def test_a_perturbed_corpus_is_not_perturbed_again(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", {"u0_sp0.9": {}})
    with pytest.raises(AsrkdError, match="--speeds 0.9: cut 'u0_sp0.9' exists already"):
        run(corpus, tmp_path / "out", speeds=(0.9,))


def test_its_own_manifests_can_be_prepared_again(tmp_path, corpus):
    run(corpus, tmp_path / "out")
    run(tmp_path / "out", tmp_path / "again", kind="cuts")
    for split in ("train", "dev"):
        ours, theirs = (read_cuts(tmp_path / out / f"cuts_{split}.jsonl.gz") for out in ("again", "out"))
        for one, other in zip(ours, theirs, strict=True):
            assert (one.id, one.audio_sha256) == (other.id, other.audio_sha256)
            np.testing.assert_array_equal(one.load_features(), other.load_features())


def test_an_edited_manifest_is_another_corpus(tmp_path, corpus):
    run(corpus, tmp_path / "out")
    run(tmp_path / "out", tmp_path / "again", kind="cuts")
    manifest = tmp_path / "out/cuts_dev.jsonl.gz"
    manifest.write_bytes(gzip.compress(gzip.decompress(manifest.read_bytes()).replace(b"TWO TWO", b"TWO")))
    with pytest.raises(
        AsrkdError, match=r"again: created with other settings: a manifest of .*/out has changed"
    ):
        run(tmp_path / "out", tmp_path / "again", kind="cuts")


def test_the_demo_corpus_lies_inside_and_moves_along(tmp_path, monkeypatch):
    def make(out, options, *, jobs, stop):
        (out / "audio").mkdir()
        soundfile.write(out / "audio/d.wav", np.full(4000, 0.1), RATE)
        recording = Recording.from_file(out / "audio/d.wav", recording_id="d")
        recording.sources[0].source = "audio/d.wav"
        cut = make_cut(CorpusUtterance("d", Path("audio/d.wav"), "train", "", "ONE"), recording)
        return {"train": PackedCuts([cut])}

    monkeypatch.setattr(digits, "make", make)
    run(None, tmp_path / "out", kind="digits", digits=digits.DigitsOptions(minutes=0.1, sampling_rate=RATE))
    record = json.loads((tmp_path / "out/prepare.json").read_text())
    assert record["digits"]["sampling_rate"] == RATE
    (tmp_path / "out").rename(tmp_path / "moved")
    (cut,) = read_cuts(tmp_path / "moved/cuts_train.jsonl.gz")
    assert cut.recording.sources[0].source == str(tmp_path / "moved/audio/d.wav")
    assert cut.load_features().shape == (50, 80)


@pytest.mark.parametrize(
    ("kind", "source", "complaint"),
    [
        ("voxforge", "x", "'voxforge': unknown corpus, expected one of librispeech, tsv, .*, subset$"),
        ("tvs", "x", r"subset; did you mean 'tsv'\?$"),
        ("tsv", None, "tsv: the source is missing; give its folder"),
        ("tsv", "absent", "absent: no such file or folder"),
        ("digits", "x", "x: digits is synthetic and has no source"),
    ],
)
def test_a_corpus_that_cannot_be_meant_is_refused(tmp_path, kind, source, complaint):
    with pytest.raises(AsrkdError, match=complaint):
        run(Path(source) if source else None, tmp_path / "out", kind=kind)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"speeds": (1.0,)}, "--speeds 1: expected factors"),
        ({"speeds": (0.9, 0.9)}, "duplicate speed"),
        ({"tokens": "phones"}, "--tokens 'phones': expected char or bpe"),
        ({"max_bad": 5.0}, "--max-bad 5: expected a share"),
        ({"cuts_per_shard": 0}, "--cuts-per-shard 0: expected 1 or more"),
    ],
)
def test_impossible_options_are_refused_by_their_flag(options, complaint):
    with pytest.raises(AsrkdError, match=complaint):
        PrepareOptions(**options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("tsv", "fsdd-connected", {"train": 800, "dev": 120}),
        ("librispeech", "LibriSpeech", {"train": 439, "dev": 48}),
    ],
)
def test_real_corpora_are_prepared_without_a_loss(tmp_path, kind, name, expected):
    if not (CORPORA / name).is_dir():
        pytest.skip(f"needs {CORPORA / name}")
    report = run(CORPORA / name, tmp_path / "out", kind=kind, cuts_per_shard=100)
    assert {split: found.num_cuts for split, found in report.splits.items()} == expected
    assert sum(found.num_quarantined for found in report.splits.values()) == 0


@pytest.mark.parametrize("rate", [11025, 22050])
def test_a_rate_without_whole_frames_is_refused(tmp_path, rate):
    corpus = write_corpus(tmp_path / "corpus")
    for path in (corpus / "audio").iterdir():
        soundfile.write(path, soundfile.read(path)[0], rate)
    with pytest.raises(
        AsrkdError, match=f"audio of {rate} Hz: .*resample all audio with --sampling-rate 16000"
    ):
        run(corpus, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    report = run(corpus, tmp_path / "out", features=FeatureOptions(sampling_rate=16000))
    assert report.splits["train"].num_cuts == 4


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"tokens": "bpe", "vocab_size": 3}, "--vocab-size 3"),
        ({"small_speakers": 9}, "--small-speakers 9"),
    ],
)
@pytest.mark.parametrize("kind", ["tsv", "digits"])
def test_what_is_refused_leaves_the_folder_free(tmp_path, corpus, kind, options, complaint):
    source = corpus if kind == "tsv" else None
    small = {"digits": digits.DigitsOptions(minutes=0.2, num_speakers=2)} if kind == "digits" else {}
    with pytest.raises(AsrkdError, match=complaint):
        run(source, tmp_path / "out", kind=kind, **options, **small)
    assert not (tmp_path / "out").exists()


def test_names_of_special_tokens_in_text_give_a_warning(tmp_path):
    rows = {"u0": {"text": "we talk of <unk> things"}, "u1": {"text": "<unk> and we go"}}
    report = run(write_corpus(tmp_path / "c", rows), tmp_path / "out", tokens="bpe", vocab_size=35)
    tokens = Tokens.load(tmp_path / "out")
    for cut in read_cuts(tmp_path / "out/cuts_train.jsonl.gz"):
        text = cut.supervisions[0].text
        assert tokens.decode(tokens.encode(text)) == text
    assert any("2 transcripts of train hold" in warning and "u0" in warning for warning in report.warnings)


@pytest.mark.parametrize("symbol", ["\u2581", "\u2585"])
def test_tokens_reserved_by_bpe_are_found_by_prepare(tmp_path, symbol):
    corpus = write_corpus(tmp_path / "c", {"u0": {"text": f"ONE {symbol} TWO"}})
    run(corpus, tmp_path / "out", tokens="bpe", vocab_size=18, max_bad=0.5)
    (row,) = [json.loads(line) for line in (tmp_path / "out/quarantine.jsonl").read_text().splitlines()]
    assert row["id"] == "u0"
    assert f"no token spells {symbol!r}" in row["cause"]


def with_segments(source: Path, times: str = "0.05-0.1,0.2-0.25") -> Path:
    """The corpus with times of the words of its first utterance, ONE TWO."""
    table = source / "transcripts.tsv"
    header, first, *others = table.read_text().splitlines()
    rows = [f"{header}\tsegments", f"{first}\t{times}", *(f"{line}\t" for line in others)]
    table.write_text("\n".join(rows) + "\n")
    return source


def test_times_of_words_go_with_cuts_copies_and_subsets(tmp_path):
    source = with_segments(write_corpus(tmp_path / "corpus"))
    run(source, tmp_path / "out", speeds=(0.5,))
    times = {
        cut.id: [(item.symbol, item.start, item.duration) for item in cut.supervisions[0].alignment["word"]]
        for cut in read_cuts(tmp_path / "out/cuts_train.jsonl.gz")
        if cut.supervisions[0].alignment
    }
    assert times == {
        "u0": [("ONE", 0.05, 0.05), ("TWO", 0.2, 0.05)],
        "u0_sp0.5": [("ONE", 0.1, 0.1), ("TWO", 0.4, 0.1)],
    }


def test_times_of_words_change_no_audio_and_no_features(tmp_path):
    run(write_corpus(tmp_path / "corpus"), tmp_path / "plain")
    run(with_segments(tmp_path / "corpus"), tmp_path / "timed")
    plain, timed = (read_cuts(tmp_path / name / "cuts_train.jsonl.gz") for name in ("plain", "timed"))
    assert [record.digest for record in plain.records] == [record.digest for record in timed.records]
    shards = [path.read_bytes() for name in ("plain", "timed") for path in (tmp_path / name).rglob("*.lca")]
    assert shards[: len(shards) // 2] == shards[len(shards) // 2 :]


def test_a_folder_that_is_older_than_word_times_stays_of_use(tmp_path, capsys):
    source = write_corpus(tmp_path / "corpus")
    run(source, tmp_path / "out")
    before = contents(tmp_path / "out")
    assert run(with_segments(source), tmp_path / "out").already_complete
    assert "no latency; for them remove it" in capsys.readouterr().err
    assert contents(tmp_path / "out") == before
    run(source, tmp_path / "new")
    with_segments(write_corpus(tmp_path / "again"), "0.05-0.1,0.2-0.24")
    with pytest.raises(AsrkdError, match="has changed"):
        run(tmp_path / "again", tmp_path / "new")


def test_a_word_after_the_end_of_its_audio_is_quarantined(tmp_path):
    source = with_segments(write_corpus(tmp_path / "corpus"), "0.05-0.1,0.2-9")
    run(source, tmp_path / "out", max_bad=1.0)
    (line,) = (tmp_path / "out/quarantine.jsonl").read_text().splitlines()
    assert "segments end at 9 s, the file has" in json.loads(line)["cause"]


@pytest.mark.skipif(not (CORPORA / "fsdd-connected").exists(), reason="no shared/corpora/fsdd-connected here")
def test_the_times_of_a_real_table_are_those_of_its_rows():
    header, *lines = (CORPORA / "fsdd-connected/transcripts.tsv").read_text().splitlines()
    rows = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
    listed = tsv.list_utterances(CORPORA / "fsdd-connected")
    assert len(listed) == len(rows) > 900
    for utterance, row in zip(listed, rows, strict=True):
        spans = [tuple(map(float, span.split("-"))) for span in row["segments"].split(",")]
        assert list(utterance.word_times) == spans and len(spans) == len(row["text"].split())
        assert spans[0][0] >= 0 and spans[-1][1] <= float(row["duration"]) + 0.001
