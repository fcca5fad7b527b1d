"""Generated stm and ctm files, and what the real sclite counts of them.

    python -m tests.scoring.nist_pairs --pairs 500 --seed 1

scores so many pairs of files with asrkd and with ``sctk sclite`` (``sudo apt install sctk``), prints how many
segments have other counts, and exits 1 if one has.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asrkd.scoring.counts import Counts
from asrkd.scoring.nist import score_segments
from asrkd.scoring.nist_rules import parse_nist_rules
from asrkd.scoring.timed_corpus import read_timed_corpus

# What sclite is asked, by our names: options, alignment, normalizer. Most often it is asked nothing.
MODES = {
    "": ("sclite", "sclite"),
    "-s": ("sclite", "none"),
    "-e utf-8": ("sclite", "sclite"),
    "-s -e utf-8": ("sclite", "none"),
    "-D": ("sclite-D", "sclite"),
    "-F": ("sclite-F", "sclite"),
    "-s -D -F": ("sclite-DF", "none"),
}
SCORES = re.compile(
    r"^id: (.*)\n(?:Labels: .*\n)?File: (.*)\nChannel: (.*)\n"
    r"Scores: \(#C #S #D #I\) (\d+) (\d+) (\d+) (\d+)$",
    re.MULTILINE,
)
PATHS = re.compile(r'^<PATH id="([^"]*)".* sequence="(\d+)"', re.MULTILINE)
NESTED, WORDS_OF_ALTERNATIVE = 3, (1, 1, 1, 2, 3)


@dataclass
class Pair:
    """Two files, sorted as sclite needs them, or untidy as people have them, with the same counts."""

    mode: str
    stm: list[str] = field(default_factory=list)
    ctm: list[list[str]] = field(default_factory=list)  # lines that belong together
    kinds: Counter = field(default_factory=Counter)  # what they hold

    def write(self, folder: Path) -> None:
        """``x.stm`` and ``x.ctm``."""
        (folder / "x.stm").write_text("".join(f"{line}\n" for line in self.stm), encoding="utf-8")
        lines = [line for lines in self.ctm for line in lines]
        (folder / "x.ctm").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def write_untidy(self, folder: Path, rng: random.Random) -> None:
        """The same with shuffled lines, blank lines, tabs, CRLF and a byte order mark."""
        stm = [*self.stm, "", "  "]
        rng.shuffle(stm)
        blocks = self._shuffled_by_time(rng)
        ctm = [line for lines in blocks for line in (*lines, *([""] if rng.random() < 0.1 else []))]
        for name, lines in (("x.stm", stm), ("x.ctm", ctm)):
            text = "".join(f"{line.replace(' ', chr(9), 2)}\r\n" for line in lines)
            (folder / name).write_bytes(("\ufeff" + text).encode())

    def _shuffled_by_time(self, rng: random.Random) -> list[list[str]]:
        """Words of one time keep their order."""
        blocks: dict[str, list[list[str]]] = {}
        for lines in self.ctm:
            timed = [line for line in lines if not line.startswith(";") and "<ALT" not in line]
            key = " ".join(timed[0].split()[:3]) if timed else lines[0]
            blocks.setdefault(key.lower(), []).append(lines)
        keys = list(blocks)
        rng.shuffle(keys)
        return [lines for key in keys for lines in blocks[key]]


class Generator:
    """One pair of files; ``prefix`` goes before the names of recordings."""

    def __init__(self, seed: int, prefix: str = "") -> None:
        self.rng, self.prefix = random.Random(seed), prefix
        modes = list(MODES)
        self.pair = Pair(modes[0] if seed % 2 else modes[seed // 2 % len(modes)])
        pools = (
            ["a", "b"],
            ["a", "b", "c", "d", "(a)", "(b)"],
            [
                "uh",
                "um",
                "hello",
                "Hello",
                "HELLO",
                "(uh)",
                "(%hesitation)",
                "%hesitation",
                "well-known",
                "x",
            ],
            ["about", "ab-", "-out", "-", "a-", "ab", "(ab-)", "(-ut)", "ut", "b"],
            ["été", "Été", "ÉTÉ", "世界", "世", "straße", "(é)", "é-", "안녕", "e\u0301"],
            ["and/or", "c:d", "<unk>", "don't", "a,b", "[laugh]", "&amp", '"q"', "1.5", "**", "#x"],
        )
        self.words = self.rng.choice(pools)

    def make(self) -> Pair:
        """The files: some recordings of some channels, in the order that sclite wants."""
        rng, stm, ctm = self.rng, self.pair.stm, self.pair.ctm
        stm += [';; LABEL "o" "Overall" "All of it"', ';; CATEGORY "0" "" ""'] * rng.randint(0, 1)
        for name in [f"{self.prefix}f{number}" for number in range(rng.choice([1, 1, 2, 3]))]:
            for channel in rng.choice(["A", "AB", "1", "ABC"]):
                self._channel(name, channel)
        stm.append(f"{self.prefix}z A s 0 1 a")  # so that there is a segment, and a word
        if rng.random() < 0.3:
            stm.append("** a comment")
            ctm.insert(0, [";; a comment"])
        return self.pair

    def _channel(self, name: str, channel: str) -> None:
        rng, now = self.rng, self.rng.choice([0.0, 0.0, 1.3])
        is_silent = rng.random() < 0.05
        self.pair.kinds["channel without words"] += is_silent
        words: list[tuple[float, int, list[str]]] = []
        for _ in range(rng.choice([1, 2, 4, 8])):
            begin, end = now, round(now + rng.choice([0.0, 0.4, 1.1, 2.3, 3.05, 2.999]), 3)
            heard = self._segment(name, channel, begin, end)
            words += self._timed(name, channel, begin, end, heard)
            now = max(0.0, round(end + rng.choice([0.0, 0.0, 0.0, 0.7, 0.001, -0.3]), 3), begin)
            if now == begin:
                now = round(begin + 0.1, 3)
            if rng.random() < 0.1:
                self.pair.stm.append(rng.choice([";; in between", "", ";;", "   "]))
        if not is_silent:
            self.pair.ctm += [lines for _, _, lines in sorted(words, key=lambda word: word[0])]

    def _segment(self, name: str, channel: str, begin: float, end: float) -> list[str]:
        """A line of the stm; words that might be recognized."""
        rng, kinds = self.rng, self.pair.kinds
        label = rng.choice(["", "", "<o,f0,male> ", "<o> "])
        speaker = rng.choice(["s1", "s2", f"{name}{channel}", "inter_segment_gap"])
        kind = rng.random()
        heard: list[str] = []
        if kind < 0.1:
            text = rng.choice(["IGNORE_TIME_SEGMENT_IN_SCORING", "ignore_time_segment_in_scoring"])
            kinds["segment not to be scored"] += 1
            heard = [rng.choice(self.words) for _ in range(rng.randint(0, 2))]
        elif kind < 0.17:
            text = ""
            kinds["segment without words"] += 1
        else:
            text, heard = self._items(rng.choice([1, 2, 4, 9]), 0)
        line = f"{name} {channel} {speaker} {begin:g} {end:.3f} {label}{text}"
        self.pair.stm.append(line if rng.random() < 0.9 else line.rstrip())
        return heard

    def _items(self, count: int, depth: int) -> tuple[str, list[str]]:
        """Text of the reference, and one way to say it."""
        rng = self.rng
        texts, heard = [], []
        for _ in range(count):
            luck = rng.random()
            if luck < 0.25 and depth < NESTED:
                text, own = self._alternation(depth + 1)
                self.pair.kinds["alternation" if not depth else "alternation in another"] += 1
            elif luck < 0.28:
                text, own = "@", []
            else:
                text = rng.choice(self.words)
                if depth:
                    text = text.replace("/", "|")
                own = [text]
                if luck > 0.985:
                    text = rng.choice([f"{text}*", f"{text};noun", f"\\{text}"])
                    self.pair.kinds["word with a mark of sclite's"] += 1
            texts.append(text)
            heard += own
        return " ".join(texts), heard

    def _alternation(self, depth: int) -> tuple[str, list[str]]:
        rng = self.rng
        found = [
            self._items(rng.choice(WORDS_OF_ALTERNATIVE), depth) for _ in range(rng.choice([1, 2, 2, 3]))
        ]
        found += [("@", [])] * (rng.random() < 0.4)
        rng.shuffle(found)
        blank = rng.choice([" ", " ", ""])
        text = f"{blank}/{blank}".join(own for own, _ in found)
        return f"{{{blank}{text}{blank}}}", list(rng.choice(found)[1])

    def _timed(
        self, name: str, channel: str, begin: float, end: float, words: list[str]
    ) -> list[tuple[float, int, list[str]]]:
        """Lines of the ctm for a segment, by their time."""
        rng = self.rng
        said = []
        for word in words:
            luck = rng.random()
            said += [] if luck < 0.1 else [rng.choice(self.words)] if luck < 0.2 else [word]
            said += [rng.choice([*self.words, "@"])] if luck > 0.9 else []
        if rng.random() < 0.2:
            said.append(rng.choice(self.words))
        found = []
        for number, word in enumerate(said):
            at = begin + (end - begin) * (number + rng.uniform(-0.5, 1.0)) / max(1, len(said))
            found.append(self._word(name, channel, max(0.0, round(at, 2)), end, word))
        return found

    def _word(
        self, name: str, channel: str, at: float, end: float, word: str
    ) -> tuple[float, int, list[str]]:
        rng, kinds = self.rng, self.pair.kinds
        duration = rng.choice([0.0, 0.1, 0.2, 0.25, 0.33])
        if rng.random() < 0.1:  # its middle is the end of the segment
            at = max(0.0, round(end - duration / 2, 4))
            kinds["word on a boundary"] += 1
        if rng.random() < 0.05:
            name, channel = name.upper(), channel.lower()
            if "-s" in self.pair.mode:
                name, channel = name.lower(), channel.upper()
        more = rng.choice(["", "", " 0.98", " NA", " -12.5 1"])

        def line(own: str, shift: float = 0.0) -> str:
            return f"{name} {channel} {at + shift:.4f} {duration:g} {own}{more}"

        if rng.random() > 0.07:
            return at, 0, [line(word)]
        kinds["alternatives in a ctm"] += 1
        tag = f"{name} {channel} * * <ALT"
        others = [[rng.choice(self.words) for _ in range(rng.choice(WORDS_OF_ALTERNATIVE))] for _ in range(2)]
        ways = [[word], *others[: rng.randint(1, 2)]]
        rng.shuffle(ways)
        ways += [[]] * (rng.random() < 0.3)
        lines = [f"{tag}_BEGIN>"]
        for number, way in enumerate(ways):
            lines += [f"{tag}>"] * bool(number) + [line(own, 0.05 * place) for place, own in enumerate(way)]
        return at, 0, [*lines, f"{tag}_END>"]


def generate(seed: int) -> Pair:
    """The pair of a number, always the same."""
    return Generator(seed).make()


def joined(seeds: Sequence[int]) -> list[Pair]:
    """Many pairs as one for each mode; their recordings have names of their own, in sclite's order."""
    found = {mode: Pair(mode) for mode in MODES}
    for seed in seeds:
        pair = Generator(seed, f"p{seed:05d}").make()
        whole = found[pair.mode]
        whole.stm += pair.stm
        whole.ctm += pair.ctm
        whole.kinds += pair.kinds
    return list(found.values())


def by_sclite(folder: Path, mode: str, path: str) -> list[tuple[str, str, Counts]]:
    """File, channel, counts of each segment that sclite scores, in the order of the stm.

    Its report has the counts, speaker by speaker; its SGML the order in which it came to them.
    """
    done = subprocess.run(
        f"sctk sclite -r x.stm stm -h x.ctm ctm {mode} -f 0 -o pralign sgml stdout".split(),
        env={"PATH": path}, cwd=folder, capture_output=True,
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(f"sclite ends in {done.returncode}: {done.stderr.decode()[-300:]}")
    text = done.stdout.decode("utf-8", "surrogateescape")
    order = {utt_id: int(sequence) for utt_id, sequence in PATHS.findall(text)}
    found = sorted(SCORES.findall(text), key=lambda row: order[row[0]])
    return [
        (name.lower(), channel.lower(), Counts(*map(int, numbers))) for _, name, channel, *numbers in found
    ]


def by_asrkd(folder: Path, mode: str) -> list[tuple[str, str, Counts]]:
    """The same of ours; segments are in the order of their times."""
    rules = parse_nist_rules(*MODES[mode])
    corpus = read_timed_corpus(folder / "x.stm", folder / "x.ctm", rules)
    scored = score_segments(corpus, rules)
    counts = {one.id: one.counts for one in scored.utterances}
    return [(*own.recording.lower().split("-"), counts[own.id]) for own in corpus.references.values()]


@dataclass
class Figures:
    """What was compared."""

    pairs: int = 0
    segments: int = 0
    words: int = 0
    errors: int = 0
    by_mode: Counter = field(default_factory=Counter)
    kinds: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)  # pairs of which a segment or the sum has other counts


def compare(seeds: Sequence[int], path: str, folder: Path) -> Figures:
    """Score the pairs by both, ours once from the tidy files and once from the untidy ones."""
    figures = Figures()
    for seed in seeds:
        pair = generate(seed)
        pair.write(folder)
        theirs = by_sclite(folder, pair.mode, path)
        ours = by_asrkd(folder, pair.mode)
        pair.write_untidy(folder, random.Random(seed))
        untidy = by_asrkd(folder, pair.mode)
        if theirs != ours:
            figures.wrong.append(f"pair {seed}, sclite {pair.mode}: {_first_difference(theirs, ours)}")
        if sorted(map(repr, untidy)) != sorted(map(repr, ours)):
            figures.wrong.append(f"pair {seed}: another order, blank lines or line ends make other counts")
        figures.pairs += 1
        figures.segments += len(theirs)
        figures.words += sum(counts.num_words for _, _, counts in theirs)
        figures.errors += sum(counts.errors for _, _, counts in theirs)
        figures.by_mode[pair.mode] += 1
        figures.kinds += pair.kinds
    return figures


def _first_difference(theirs: list, ours: list) -> str:
    if len(theirs) != len(ours):
        return f"{len(theirs)} segments by sclite, {len(ours)} by asrkd"
    place = next(place for place, two in enumerate(zip(theirs, ours, strict=True)) if two[0] != two[1])
    return f"segment {place}: {theirs[place]} by sclite, {ours[place]} by asrkd"


def main() -> int:
    """Compare, and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        shown, sys.stderr = sys.stderr, nowhere  # channels without words are meant
        try:
            figures = compare(range(asked.seed, asked.seed + asked.pairs), os.environ["PATH"], Path(folder))
        finally:
            sys.stderr = shown
    for line in figures.wrong:
        print(line)
    print(f"{figures.pairs} pairs of files, {figures.segments} segments, {figures.words} words")
    print(f"{figures.errors} errors by sclite; pairs with other counts: {len(figures.wrong)}")
    print("sclite's options:", ", ".join(f"{mode or 'none'}: {n}" for mode, n in figures.by_mode.items()))
    print("; ".join(f"{kind}: {count}" for kind, count in figures.kinds.most_common()))
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
