"""Choice of cuts to hold out of a training, so that no recording is in both sets.

Where utterances share recordings (strings joined from single words, segments
of a conversation), holding some out makes others unusable: those that are of
held-out recordings and of others. The choice is greedy: next comes the
utterance with the fewest newly touched ones per recording, until each speaker
has its number. Utterances whose recordings are all held out come in for free.
Ties are broken by hashes of ids in several trials for each speaker, and the
trial that makes the fewest unusable is kept. So the choice is a function of
ids, recordings and speakers, and not of their order.

Notation: a group is all utterances of the same recordings, held out together;
a group is touched if a recording of it is held out.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import NamedTuple

TRIALS = 30  # for each speaker; half of the gain over one trial comes with the first five


class Utterance(NamedTuple):
    """Utterance that may be held out."""

    id: str
    speaker: str
    recordings: frozenset[str]  # ids, at least one


def choose_held_out(utterances: Iterable[Utterance], number: int) -> set[str]:
    """Return the ids of about ``number`` utterances, the same number of each speaker.

    A speaker with too few gives all it has, and others more; what cannot be divided evenly goes to
    speakers by a hash of their names. Utterances that come in for free may make it more than ``number``.

    Raises:
        ValueError: ``number`` is negative, or more than there are utterances.
    """
    groups = _Groups(utterances)
    chosen = _Choice()
    for speaker, quota in sorted(quotas(groups.num_by_speaker, number).items()):
        chosen = _best_of_trials(groups, chosen, speaker, quota)
    return {utterance.id for group in chosen.held for utterance in groups.members[group]}


def quotas(sizes: Mapping[str, int], number: int) -> dict[str, int]:
    """Divide ``number`` among speakers, as equally as their numbers of utterances ``sizes`` allow.

    Raises:
        ValueError: ``number`` is negative, or more than all utterances.
    """
    if not 0 <= number <= sum(sizes.values()):
        raise ValueError(f"{number} of {sum(sizes.values())} utterances")
    shares = dict.fromkeys(sorted(sizes, key=lambda speaker: _hash(0, speaker)), 0)
    while left := number - sum(shares.values()):
        unfilled = [speaker for speaker, share in shares.items() if share < sizes[speaker]]
        each = left // len(unfilled)
        for speaker in unfilled if each else unfilled[:left]:
            shares[speaker] += min(max(each, 1), sizes[speaker] - shares[speaker])
    return shares


class _Groups:
    """Groups of utterances of the same recordings, by number, and which groups share a recording."""

    def __init__(self, utterances: Iterable[Utterance]) -> None:
        by_recordings: dict[frozenset[str], list[Utterance]] = defaultdict(list)
        for utterance in utterances:
            by_recordings[utterance.recordings].append(utterance)
        self.recordings = list(by_recordings)
        self.members = list(by_recordings.values())
        self.speakers = [Counter(utterance.speaker for utterance in members) for members in self.members]
        self.names = ["\n".join(sorted(utterance.id for utterance in members)) for members in self.members]
        self.num_by_speaker: Counter[str] = sum(self.speakers, Counter())
        self.of_speaker: dict[str, list[int]] = defaultdict(list)
        for group, names in enumerate(self.speakers):
            for speaker in names:
                self.of_speaker[speaker].append(group)
        of_recording: dict[str, set[int]] = defaultdict(set)
        for group, recordings in enumerate(self.recordings):
            for recording in recordings:
                of_recording[recording].add(group)
        # Groups that share a recording with each, itself among them.
        self.neighbors = [
            set().union(*(of_recording[recording] for recording in recordings))
            for recordings in self.recordings
        ]

    def size(self, groups: Iterable[int]) -> int:
        """Number of utterances in ``groups``."""
        return sum(len(self.members[group]) for group in groups)


@dataclass
class _Choice:
    """Groups held out, and groups touched by their recordings."""

    held: set[int] = field(default_factory=set)
    touched: set[int] = field(default_factory=set)
    recordings: set[str] = field(default_factory=set)  # ids of those held out

    def copy(self) -> "_Choice":
        """Return a copy that can grow by itself."""
        return _Choice(set(self.held), set(self.touched), set(self.recordings))


def _best_of_trials(groups: _Groups, before: _Choice, speaker: str, quota: int) -> _Choice:
    """Extend a choice to ``quota`` utterances of a speaker, with the fewest made unusable."""

    def unusable(choice: _Choice) -> int:
        return groups.size(choice.touched - choice.held)

    best = _extended(groups, before, speaker, quota, 0)
    for trial in range(1, TRIALS):
        if unusable(best) <= unusable(before):
            break
        best = min(best, _extended(groups, before, speaker, quota, trial), key=unusable)
    return best


def _extended(groups: _Groups, before: _Choice, speaker: str, quota: int, trial: int) -> _Choice:
    """Extend a choice greedily to ``quota`` utterances of a speaker."""
    choice = before.copy()
    candidates = groups.of_speaker[speaker]
    num_touched = {group: groups.size(groups.neighbors[group] - choice.touched) for group in candidates}

    def entry(group: int) -> tuple[float, bytes, int]:
        return num_touched[group] / len(groups.recordings[group]), _hash(trial, groups.names[group]), group

    heap = [entry(group) for group in candidates]
    heapify(heap)
    number = sum(groups.speakers[group][speaker] for group in choice.held)
    while number < quota:
        group = heap[0][2]
        if heappop(heap) != entry(group) or group in choice.held:  # fewer since it was put there
            continue
        fresh = groups.neighbors[group] - choice.touched
        for neighbor in fresh:
            for other in groups.neighbors[neighbor] & num_touched.keys():
                num_touched[other] -= len(groups.members[neighbor])
                heappush(heap, entry(other))
        choice.touched |= fresh
        choice.recordings |= groups.recordings[group]
        complete = {each for each in groups.neighbors[group] if groups.recordings[each] <= choice.recordings}
        number += sum(groups.speakers[each][speaker] for each in complete - choice.held)
        choice.held |= complete
    return choice


def _hash(trial: int, name: str) -> bytes:
    return hashlib.sha256(f"{trial}\n{name}".encode("utf-8", "surrogatepass")).digest()
