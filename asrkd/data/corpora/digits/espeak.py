"""Speech synthesizer espeak-ng, called in this process through ctypes.

The library and its voices come with the ``espeakng-loader`` wheel, so that no
system package is needed. The library has state: the same sentence gives other
samples the second time, as pulses and noise continue from their last phase. So
a process speaks *once*, which :mod:`~asrkd.data.corpora.digits.speaking` ensures.

Names and numbers are those of espeak-ng 1.52's ``speak_lib.h``.
"""

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asrkd.core.errors import AsrkdError

SAMPLING_RATE = 22050
"""Sampling rate of espeak-ng's output, in Hz."""

VOLUME = 50
"""Volume setting of espeak-ng; at its default of 100 some voices clip."""

_OUTPUT_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: return samples from within espeak_Synth
_PHONEME_EVENTS, _DONT_EXIT = 1, 1 << 15  # espeak_Initialize options
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4  # espeak_PARAMETER
_CHARS_UTF8, _POS_CHARACTER = 1, 1
_EVENT_LIST_END, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7
_SEED = 1  # any constant, so that the noise in some voices always starts equally


@dataclass(frozen=True)
class Request:
    """Request to synthesize one sentence.

    Raises:
        ValueError: a number is out of its range, which espeak-ng would silently replace.
    """

    text: str  # lower-case words
    voice: str  # a language voice, such as "en-us"
    variant: str  # a voice variant, such as "f3"; empty for none
    rate: int  # words a minute, 80..450
    pitch: int  # base pitch, 0..99; 50 is the default of the voice
    pitch_range: int  # 0 (monotone) to 99

    def __post_init__(self) -> None:
        if not (80 <= self.rate <= 450 and 0 <= self.pitch <= 99 and 0 <= self.pitch_range <= 99):
            raise ValueError(f"{self}: expected a rate of 80..450, pitch and range of 0..99")


@dataclass(frozen=True)
class EspeakOutput:
    """Output of espeak-ng: samples, and times of words and phonemes.

    Attributes:
        pcm: 16-bit native-endian samples of one channel at :data:`SAMPLING_RATE`.
        words: (first character of the word in the text, from 0; first sample) of each word event.
        phonemes: (name, first sample) of each phoneme; names of pauses begin with "_".
    """

    pcm: bytes
    words: tuple[tuple[int, int], ...]
    phonemes: tuple[tuple[str, int], ...]


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_void_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # in characters, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # in ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


class _Voice(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("more", ctypes.c_ubyte * 24),  # gender, age and private fields, not read here
    ]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """Initialized espeak-ng; at most one in a process.

    Raises:
        AsrkdError: the library is not installed, or does not work on this system.
    """

    def __init__(self) -> None:
        self._library, data = _load()
        seed = ctypes.c_long(_SEED)
        # Seeded twice, as the initialization draws from the generator and may seed it from the clock.
        self._library.espeak_ng_SetRandSeed(seed)
        options = _PHONEME_EVENTS | _DONT_EXIT
        rate = self._library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, str(data).encode(), options)
        self._library.espeak_ng_SetRandSeed(seed)
        if rate != SAMPLING_RATE:
            raise AsrkdError(
                f"espeak-ng speaks at {rate} Hz, expected {SAMPLING_RATE}; "
                "fix it with: pip install --force-reinstall espeakng-loader"
            )
        self._pcm: list[bytes] = []
        self._words: list[tuple[int, int]] = []
        self._phonemes: list[tuple[str, int]] = []
        self._callback = _CALLBACK(self._receive)  # referenced, or ctypes would free it
        self._library.espeak_SetSynthCallback(self._callback)

    def set_voice(self, voice: str, variant: str) -> None:
        """Select a voice for all further requests.

        espeak-ng keeps the last voice if it has none of this name (returning 2),
        and ignores an unknown variant (returning 0), so the current voice is
        compared with the requested one.

        Raises:
            AsrkdError: no such voice or variant.
        """
        status = self._library.espeak_SetVoiceByName(f"{voice}+{variant}".encode())
        current = self._library.espeak_GetCurrentVoice().contents.identifier
        identifier = (current or b"none").decode()
        language, _, suffix = identifier.rpartition("/")[2].partition("+")
        if status != 0 or language.lower() != voice or suffix != variant:
            raise AsrkdError(
                f"espeak-ng has no voice {voice}+{variant} (it chose {identifier!r}); "
                "fix it with: pip install --force-reinstall espeakng-loader"
            )

    def speak(self, request: Request) -> EspeakOutput:
        """Synthesize a request; only the first call in a process is a function of ``request`` alone.

        Raises:
            AsrkdError: no such voice.
            ValueError: espeak-ng refuses the request.
        """
        self.set_voice(request.voice, request.variant)
        settings = {_RATE: request.rate, _VOLUME: VOLUME, _PITCH: request.pitch, _RANGE: request.pitch_range}
        for parameter, value in settings.items():
            self._check(self._library.espeak_SetParameter(parameter, value, 0), request)
        for output in (self._pcm, self._words, self._phonemes):
            output.clear()
        text = request.text.encode()
        size = ctypes.c_size_t(len(text) + 1)
        status = self._library.espeak_Synth(text, size, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None)
        self._check(status, request)
        return EspeakOutput(b"".join(self._pcm), tuple(self._words), tuple(self._phonemes))

    def _check(self, status: int, request: Request) -> None:
        if status != 0:
            raise ValueError(f"espeak-ng refused {request} with status {status}")

    def _receive(self, samples: int | None, num_samples: int, events: Any) -> int:
        """Collect samples and events from espeak-ng; return 0 to continue."""
        if samples and num_samples > 0:
            self._pcm.append(ctypes.string_at(samples, 2 * num_samples))
        index = 0
        while events[index].type != _EVENT_LIST_END:
            event = events[index]
            if event.type == _EVENT_WORD:
                self._words.append((event.text_position - 1, event.sample))
            elif event.type == _EVENT_PHONEME:
                self._phonemes.append((event.id.string.decode("utf-8", "replace"), event.sample))
            index += 1
        return 0


def _load() -> tuple[ctypes.CDLL, Path]:
    """Load the library, declare its signatures, and return it with the folder of its data."""
    try:
        import espeakng_loader

        library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = Path(espeakng_loader.get_data_path())
    except (ImportError, OSError, RuntimeError) as error:
        raise AsrkdError(
            f"the synthesizer espeak-ng cannot be loaded ({error}); install it with: "
            "pip install espeakng-loader"
        ) from None
    library.espeak_GetCurrentVoice.restype = ctypes.POINTER(_Voice)
    return library, data
