"""Utterances as lhotse cuts."""

from lhotse import MonoCut, Recording, SupervisionSegment
from lhotse.audio import AudioSource
from lhotse.supervision import AlignmentItem

from asrkd.data.corpora.digits.plan import PlannedUtterance
from asrkd.data.corpora.digits.word_times import WordTime

_NUM_DECIMALS = 5  # of word times, in seconds: less than a sample at 48 kHz


def make_cut(
    utterance: PlannedUtterance, times: list[WordTime], num_samples: int, sampling_rate: int
) -> MonoCut:
    """The cut of one utterance over its own recording, ``<id>.flac`` in the manifest's folder.

    Args:
        utterance: who says what.
        times: of its words, from the first sample spoken.
        num_samples: in the recording, silence included.
        sampling_rate: in Hz.
    """
    duration = num_samples / sampling_rate
    recording = Recording(
        id=utterance.id,
        sources=[AudioSource(type="file", channels=[0], source=f"{utterance.id}.flac")],
        sampling_rate=sampling_rate,
        num_samples=num_samples,
        duration=duration,
    )
    supervision = SupervisionSegment(
        id=utterance.id,
        recording_id=utterance.id,
        start=0.0,
        duration=duration,
        text=utterance.text.upper(),
        language="en",
        speaker=utterance.speaker.id,
        custom=describe(utterance),
        alignment={"word": [_item(time, utterance.lead_s) for time in times]},
    )
    return MonoCut(utterance.id, 0.0, duration, 0, supervisions=[supervision], recording=recording)


def describe(utterance: PlannedUtterance) -> dict[str, object]:
    """What was drawn for the utterance beyond its text, as it stands in the manifest."""
    return {
        "voice": f"{utterance.speaker.voice}+{utterance.speaker.variant}",
        "rate_wpm": utterance.rate,
        "noise": utterance.noise,
        "snr_db": utterance.snr_db,
        "gain_db": utterance.gain_db,
    }


def _item(time: WordTime, lead_s: float) -> AlignmentItem:
    start = round(lead_s + time.start_s, _NUM_DECIMALS)
    end = round(lead_s + time.end_s, _NUM_DECIMALS)
    return AlignmentItem(time.word.upper(), start, round(end - start, _NUM_DECIMALS))
