"""Corpora of every kind: a listing without audio, and the cuts with the headers of the audio.

The digest of the listing decides whether an existing folder is of the same
corpus; audio headers are read after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lhotse import Recording

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.core.progress import meter
from asrkd.core.stopping import StopRequest
from asrkd.data.corpora import kaldi, lhotse_cuts, librispeech, tsv
from asrkd.data.corpora.recordings import BadAudio, make_cut, read_recording
from asrkd.data.corpora.utterances import CorpusUtterance, check_utterances, listing_digest
from asrkd.data.corpora.validation import Quarantined, Splits
from asrkd.data.cuts.packed import PackedCuts

FILE_KINDS = ("librispeech", "tsv", "kaldi", "cuts")


@dataclass(frozen=True)
class Corpus:
    """Listing of a corpus, without opened audio: utterances, or lhotse manifests."""

    digest: str  # digest of the listing, and of the sizes of its audio files
    name: str  # the listing, for messages
    utterances: Sequence[CorpusUtterance] = ()
    manifests: Sequence[tuple[str, tuple[Path, ...]]] = field(default=())  # (split, files)
    timeless_digest: str | None = None  # of folders that are older than word times; None: there are none


def open_corpus(kind: str, source: Path, subsets: Sequence[str] = (), *, needs_text: bool = False) -> Corpus:
    """List the corpus at ``source``.

    Args:
        kind: kind of the corpus, one of ``FILE_KINDS``.
        source: folder or file of the corpus.
        subsets: subsets of LibriSpeech; all if empty.
        needs_text: whether a table without a column of transcripts is an error.

    Raises:
        AsrkdError: no such folder or file, or an invalid listing.
    """
    if not source.exists():
        raise AsrkdError(f"{source}: no such file or folder")
    if kind == "cuts":
        listed = lhotse_cuts.list_manifests(source)
        digests = [[split, *map(files.sha256, paths)] for split, paths in listed]
        return Corpus(files.sha256_of(digests), f"a manifest of {source}", manifests=listed)
    if kind == "librispeech":
        utterances = librispeech.list_utterances(source, subsets)
    elif kind == "tsv":
        utterances = tsv.list_utterances(source, needs_text=needs_text)
    else:
        utterances = kaldi.list_utterances(source)
    check_utterances(utterances, source)
    name = tsv.table_path(source) if kind == "tsv" else f"the listing of {source}"
    digest, timeless = listing_digest(utterances, source), None
    if any(utterance.word_times for utterance in utterances):
        timeless = listing_digest(utterances, source, with_word_times=False)
    return Corpus(digest, f"{name}, or its audio,", utterances, timeless_digest=timeless)


def read_splits(corpus: Corpus, stop: StopRequest) -> tuple[Splits, list[Quarantined]]:
    """Read the cuts by split, in the order of the corpus, and the items with a bad header.

    Raises:
        AsrkdError: an invalid manifest.
        StoppedInTime: a stop was requested; nothing was written yet.
    """
    if corpus.manifests:
        return lhotse_cuts.read_splits(corpus.manifests), []
    names = dict.fromkeys(utterance.split for utterance in corpus.utterances)
    splits: Splits = {split: PackedCuts() for split in names}
    bad: list[Quarantined] = []
    opened: dict[Path, Recording | BadAudio] = {}  # of recordings with several segments
    with meter("headers", len(corpus.utterances), "utterances") as progress:
        for utterance in corpus.utterances:
            stop.check("reading audio headers; finished shards are kept")
            try:
                splits[utterance.split].append(make_cut(utterance, _recording(utterance, opened)))
            except BadAudio as error:
                bad.append(Quarantined(utterance.id, utterance.split, str(error), str(utterance.audio)))
            progress.advance()
    return splits, bad


def _recording(utterance: CorpusUtterance, opened: dict[Path, Recording | BadAudio]) -> Recording:
    if utterance.recording_id is None:
        return read_recording(utterance.audio, utterance.id)
    if utterance.audio not in opened:
        try:
            opened[utterance.audio] = read_recording(utterance.audio, utterance.recording_id)
        except BadAudio as error:
            opened[utterance.audio] = error
    recording = opened[utterance.audio]
    if isinstance(recording, BadAudio):
        raise recording
    return recording
