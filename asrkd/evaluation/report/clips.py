"""Audio clips of utterances, embedded in the page as 16-bit FLAC at the sampling rate of the corpus.

All current browsers play FLAC, and it is lossless: the samples are those that were recognized.
"""

import base64
import io
from collections.abc import Iterable, Mapping

import numpy as np
import soundfile
from lhotse import MonoCut

from asrkd.data.corpora.recordings import BadAudio, decode

MIME = "audio/flac"
MOST_BYTES = 3_000_000  # size of all clips together, in base64


def read_clips(cuts: Mapping[str, MonoCut], ids: Iterable[str], count: int) -> dict[str, str]:
    """Read the audio of up to ``count`` ids in base64, in their order.

    A clip is skipped if it cannot be read or would exceed :data:`MOST_BYTES`.
    """
    encoded: dict[str, str] = {}
    size = 0
    for utt_id in ids:
        if len(encoded) == count:
            break
        audio = encode(cuts[utt_id]) if utt_id in cuts else None
        if audio is not None and size + len(audio) <= MOST_BYTES:
            encoded[utt_id] = audio
            size += len(audio)
    return encoded


def encode(cut: MonoCut) -> str | None:
    """Encode the audio of a cut as FLAC in base64; None if it cannot be read."""
    if not cut.has_recording:
        return None
    try:
        samples = decode(cut)[0]
    except BadAudio:  # left out; the page has the number of clips
        return None
    pcm = np.round(np.clip(samples, -1.0, 32767 / 32768) * 32768).astype(np.int16)
    stream = io.BytesIO()
    soundfile.write(stream, pcm, cut.sampling_rate, format="FLAC", subtype="PCM_16")
    return base64.b64encode(stream.getvalue()).decode("ascii")
