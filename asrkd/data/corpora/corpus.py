"""One way into corpora of every kind: list it cheaply, then open its audio.

The list alone decides whether a folder made earlier is still that of this
corpus; reading every header comes after.
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
    """A corpus as its lists have it, no audio opened yet: utterances, or lhotse manifests."""

    digest: str  # of the lists, and of the sizes of the audio files they name
    utterances: Sequence[CorpusUtterance] = ()
    manifests: Sequence[tuple[str, tuple[Path, ...]]] = field(default=())  # (split, files)


def open_corpus(kind: str, source: Path, subsets: Sequence[str] = ()) -> Corpus:
    """List what the corpus at ``source`` holds.

    Args:
        kind: one of ``FILE_KINDS``.
        source: its folder or file.
        subsets: of LibriSpeech, which to take; empty takes every one.

    Raises:
        AsrkdError: no such place, or its lists are not right.
    """
    if not source.exists():
        raise AsrkdError(f"{source}: no such file or folder")
    if kind == "cuts":
        listed = lhotse_cuts.list_manifests(source)
        digests = [[split, *map(files.sha256, paths)] for split, paths in listed]
        return Corpus(digest=files.sha256_of(digests), manifests=listed)
    if kind == "librispeech":
        utterances = librispeech.list_utterances(source, subsets)
    else:
        utterances = {"tsv": tsv.list_utterances, "kaldi": kaldi.list_utterances}[kind](source)
    check_utterances(utterances, source)
    return Corpus(digest=listing_digest(utterances, source), utterances=utterances)


def read_splits(corpus: Corpus, stop: StopRequest) -> tuple[Splits, list[Quarantined]]:
    """Cuts by split, in the corpus's order, and the items whose header is bad.

    Raises:
        AsrkdError: a manifest is not right.
        StoppedInTime: asked to stop; nothing had been made yet.
    """
    if corpus.manifests:
        return lhotse_cuts.read_splits(corpus.manifests), []
    names = dict.fromkeys(utterance.split for utterance in corpus.utterances)
    splits: Splits = {split: PackedCuts() for split in names}
    bad: list[Quarantined] = []
    opened: dict[Path, Recording | BadAudio] = {}  # of recordings with several segments
    with meter("headers", len(corpus.utterances), "utterances") as progress:
        for utterance in corpus.utterances:
            stop.check("reading audio headers; shards that were finished are kept")
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
    found = opened[utterance.audio]
    if isinstance(found, BadAudio):
        raise found
    return found
