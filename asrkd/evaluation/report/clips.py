"""Audio of utterances, small enough to lie in the page.

FLAC of 16 bits at the corpus's own rate: every browser of today plays it, and
what is heard is, sample for sample, what was recognized.
"""

import base64
import io
from collections.abc import Iterable, Mapping

import numpy as np
import soundfile
from lhotse import MonoCut

from asrkd.data.corpora.recordings import BadAudio, decode

MIME = "audio/flac"
MOST_BYTES = 3_000_000  # of all clips together, as they stand in the page


def read_clips(cuts: Mapping[str, MonoCut], chosen: Iterable[str], count: int) -> dict[str, str]:
    """The audio in base64 of the first ``count`` of the ``chosen`` ids, as far as there is room.

    One that would make the whole too large, or cannot be read, is left out for the next.
    """
    encoded: dict[str, str] = {}
    size = 0
    for utt_id in chosen:
        if len(encoded) == count:
            break
        audio = encode(cuts[utt_id]) if utt_id in cuts else None
        if audio is not None and size + len(audio) <= MOST_BYTES:
            encoded[utt_id] = audio
            size += len(audio)
    return encoded


def encode(cut: MonoCut) -> str | None:
    """The cut's audio as FLAC in base64; None where it cannot be read."""
    if not cut.has_recording:
        return None
    try:
        samples = decode(cut)[0]
    except BadAudio:  # the page says how many clips there are
        return None
    pcm = np.round(np.clip(samples, -1.0, 32767 / 32768) * 32768).astype(np.int16)
    stream = io.BytesIO()
    soundfile.write(stream, pcm, cut.sampling_rate, format="FLAC", subtype="PCM_16")
    return base64.b64encode(stream.getvalue()).decode("ascii")
