"""The corpus on disk: whole blocks, the same bytes however they came about, and true manifests."""

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asrkd.core.errors import AsrkdError, StoppedInTime
from asrkd.core.stopping import StopRequest
from asrkd.data.corpora.digits import DigitsOptions, blocks, make, plan
from asrkd.data.corpora.digits.audio import render, resample, to_pcm16, with_silence
from asrkd.data.corpora.digits.speaking import speak
from asrkd.data.cuts import manifests
from tests.watching import unwatched

TINY = DigitsOptions(minutes=0.35, dev_minutes=0.1, test_minutes=0.1, num_speakers=5)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(plan, "UTTERANCES_PER_BLOCK", 4)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A folder with the corpus, and its cuts, made in one process."""
    out = tmp_path_factory.mktemp("digits")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(plan, "UTTERANCES_PER_BLOCK", 4)
        return out, make(out, TINY, jobs=1, stop=StopRequest())


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def first_block(out: Path) -> blocks.BlockTask:
    return blocks.BlockTask(out, plan.plan_blocks(TINY, "train")[0], TINY.sampling_rate)


def listed(splits):
    return {split: list(cuts) for split, cuts in splits.items()}


def test_two_jobs_write_the_same_bytes_as_one(corpus, tmp_path):
    out, cuts = corpus
    assert listed(make(tmp_path, TINY, jobs=2, stop=StopRequest())) == listed(cuts)
    assert contents(tmp_path) == contents(out)
    assert len(list(out.glob("audio/train/block-*"))) >= 2


def test_a_removed_block_is_remade_alone_with_the_same_bytes(corpus, tmp_path):
    out, cuts = corpus
    shutil.copytree(out, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy/audio/train/block-00001")
    kept = tmp_path / "copy/audio/train/block-00000/cuts.jsonl"
    written_at = kept.stat().st_mtime_ns
    assert listed(make(tmp_path / "copy", TINY, jobs=1, stop=StopRequest())) == listed(cuts)
    assert contents(tmp_path / "copy") == contents(out)
    assert kept.stat().st_mtime_ns == written_at


def test_a_stop_keeps_whole_blocks_and_the_next_run_goes_on(corpus, tmp_path):
    with pytest.raises(StoppedInTime, match="4 of 15 cuts are done"):
        make(tmp_path, TINY, jobs=1, stop=StopRequest(time_limit_s=0))
    assert [path.name for path in (tmp_path / "audio/train").iterdir()] == ["block-00000"]
    assert listed(make(tmp_path, TINY, jobs=1, stop=StopRequest())) == listed(corpus[1])
    assert contents(tmp_path) == contents(corpus[0])


def test_a_block_that_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    write = soundfile.write

    def fail_on_the_second(path, *args, **kwargs):
        if path.stem.endswith("1"):
            raise OSError("disk full")
        write(path, *args, **kwargs)

    monkeypatch.setattr(soundfile, "write", fail_on_the_second)
    with pytest.raises(OSError, match="disk full"):
        blocks.make_block(first_block(tmp_path), unwatched())
    assert contents(tmp_path) == {}


def test_a_killed_block_has_no_folder_under_its_name(tmp_path, monkeypatch):
    write = soundfile.write

    def kill_on_the_second(path, *args, **kwargs):
        if path.stem.endswith("1"):
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, *args, **kwargs)

    monkeypatch.setattr(soundfile, "write", kill_on_the_second)
    task = blocks.BlockTask(
        tmp_path, first_block(tmp_path).block, 22050
    )  # no resampling: torch dislikes forks
    child = os.fork()
    if child == 0:
        try:
            blocks.make_block(task, unwatched())
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert not task.folder.exists()
    (left,) = task.folder.parent.iterdir()
    assert left.suffix == ".partial"
    monkeypatch.undo()
    blocks.make_block(task, unwatched())
    assert len(blocks.read_block(task)) == len(task.block.utterances)


def test_a_block_made_with_other_options_is_refused(corpus, tmp_path):
    shutil.copytree(corpus[0], tmp_path / "copy")
    other = DigitsOptions(**{**TINY.__dict__, "snr_db": (1.0, 2.0)})
    with pytest.raises(
        AsrkdError, match=r"block-00000: made with other options, from utterance 0 on; .*rm -r"
    ):
        make(tmp_path / "copy", other, jobs=1, stop=StopRequest())


def test_a_torn_manifest_of_a_block_is_located(corpus, tmp_path):
    shutil.copytree(corpus[0], tmp_path / "copy")
    path = tmp_path / "copy/audio/dev/block-00000/cuts.jsonl"
    path.write_text(path.read_text()[:-30])
    with pytest.raises(AsrkdError, match=r"cuts.jsonl:\d+: torn"):
        make(tmp_path / "copy", TINY, jobs=1, stop=StopRequest())


def test_cuts_describe_the_audio_after_a_move(corpus, tmp_path):
    shutil.copytree(corpus[0], tmp_path / "moved")
    for split, cuts in corpus[1].items():
        manifests.write_cuts(tmp_path / "moved" / f"cuts_{split}.jsonl.gz", cuts)
        for cut in manifests.read_cuts(tmp_path / "moved" / f"cuts_{split}.jsonl.gz"):
            assert str(tmp_path) in cut.recording.sources[0].source
            assert cut.id == cut.recording_id == cut.supervisions[0].id
            assert cut.load_audio().shape == (1, cut.num_samples)
            assert soundfile.info(cut.recording.sources[0].source).samplerate == 16000


def test_a_supervision_has_text_speaker_language_word_times(corpus):
    for split, cuts in corpus[1].items():
        for cut in cuts:
            (supervision,) = cut.supervisions
            items = supervision.alignment["word"]
            assert [item.symbol for item in items] == supervision.text.split()
            assert supervision.text == supervision.text.upper()
            assert (supervision.language, supervision.duration) == ("en", cut.duration)
            assert cut.id.startswith(f"digits-{split}-")
            borders = [border for item in items for border in (item.start, item.end)]
            assert borders == sorted(borders)
            assert borders[0] >= 0.1
            assert borders[-1] <= cut.duration - 0.1


def test_noise_level_and_peak_are_those_of_the_manifest(corpus):
    """Speech is found in the mixture by projection; what is left is noise."""
    utterances = [u for block in plan.plan_blocks(TINY, "train") for u in block.utterances]
    spoken = speak([utterance.request() for utterance in utterances])
    for utterance, speech, cut in zip(utterances, spoken, corpus[1]["train"], strict=True):
        mixture, _ = soundfile.read(corpus[0] / cut.recording.sources[0].source)
        clean = with_silence(resample(speech.pcm, 16000), utterance, 16000)
        heard = clean * (mixture @ clean) / (clean @ clean)
        measured_db = 10 * np.log10((heard @ heard) / ((mixture - heard) @ (mixture - heard)))
        assert measured_db == pytest.approx(cut.supervisions[0].custom["snr_db"], abs=0.5)
        peak_db = 20 * np.log10(np.abs(mixture).max())
        assert peak_db == pytest.approx(cut.supervisions[0].custom["gain_db"], abs=0.01)


def test_word_times_are_where_the_sound_is(corpus):
    """With hardly any noise: silence before the first word and after the last."""
    options = DigitsOptions(snr_db=(80, 80))
    utterances = [plan.plan_utterance(options, "train", number) for number in range(8)]
    for utterance, speech in zip(utterances, speak([u.request() for u in utterances]), strict=True):
        samples = render(utterance, speech.pcm, 8000).astype(float)
        lead, tail = round(utterance.lead_s * 8000), round(utterance.tail_s * 8000)
        loud = np.abs(samples) > 0.02 * np.abs(samples).max()
        assert not loud[: lead - 40].any()
        assert not loud[-tail + 40 :].any()
        assert loud[lead : lead + 1600].any()


def test_no_two_utterances_have_the_same_noise():
    one = plan.plan_utterance(TINY, "train", 0)
    (speech,) = speak([one.request()])
    seeds = [plan.plan_utterance(TINY, "train", number).noise_seed for number in range(5)]
    rendered = [render(replace(one, noise_seed=seed), speech.pcm, 22050).tobytes() for seed in seeds]
    assert len(set(rendered)) == 5


def test_resampling_keeps_a_tone_and_removes_what_would_fold():
    time_s = np.arange(22050) / 22050
    kept, folding = (10000 * np.sin(2 * np.pi * hz * time_s) for hz in (1000, 10300))
    tone = resample(kept.astype(np.int16).tobytes(), 16000)
    assert len(tone) == 16000
    expected = 10000 / 32768 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000)
    np.testing.assert_allclose(tone[200:-200], expected[200:-200], atol=2e-3)
    folded = resample(folding.astype(np.int16).tobytes(), 16000)
    assert np.abs(folded[200:-200]).max() < 0.03 * np.abs(tone).max()


def test_levels_reach_full_scale_and_never_wrap():
    assert to_pcm16(np.array([0.1, -0.2, 0.05]), 0.0).tolist() == [16384, -32767, 8192]
    assert to_pcm16(np.zeros(3), 0.0).tolist() == [0, 0, 0]


def test_no_jobs_is_a_mistake(tmp_path):
    with pytest.raises(AsrkdError, match="--jobs 0"):
        make(tmp_path, TINY, jobs=0, stop=StopRequest())
