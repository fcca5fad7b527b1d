"""Writers of transcripts in the formats of other tools: icefall's recogs, sclite's trn and Kaldi's text.

All files list utterances in the order of their ids, and are whole or absent.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.scoring.counts import one_spaced, require_same_ids

# In sclite { a / b } are alternatives, @ is no word, (word) is optional, ** and ;; begin comments.
SPECIAL_TO_SCLITE = re.compile(r"[{}()*]|;;|^@$")
# Characters that end a word, or are dropped from it, even if the marks have their meaning of sclite.
SPECIAL_AMONG_MARKS = re.compile(r"[{};*\\]")
MARKS = ("{", "/", "}", "@")


def write_recogs(path: Path, references: Mapping[str, str], hypotheses: Mapping[str, str]) -> None:
    """Write ``recogs-<set>.txt`` in icefall's format: words of reference and hypothesis as Python lists.

    Raises:
        AsrkdError: references and hypotheses are not of the same utterances.
    """
    require_same_ids(references, hypotheses)
    with files.create(path) as stream:
        for utt_id in sorted(references):
            stream.write(f"{utt_id}:\tref={references[utt_id].split()}\n")
            stream.write(f"{utt_id}:\thyp={hypotheses[utt_id].split()}\n")


def write_kaldi_text(path: Path, texts: Mapping[str, str]) -> None:
    """Write Kaldi's ``text``: id and words of an utterance, one a line.

    Raises:
        AsrkdError: an id is empty or contains whitespace.
    """
    for utt_id in texts:
        if len(utt_id.split()) != 1:
            raise AsrkdError(f"cut {utt_id!r}: Kaldi's text needs ids without spaces; rename it")
    with files.create(path) as stream:
        stream.writelines(f"{utt_id} {one_spaced(texts[utt_id])}".rstrip() + "\n" for utt_id in sorted(texts))


def trn_lines(
    texts: Mapping[str, str], speakers: Mapping[str, str], *, with_marks: bool = False
) -> list[str]:
    """Format the lines of ``ref.trn`` or ``hyp.trn`` for sclite (``-i spu_id``): ``words (speaker-uttid)``.

    An utterance without words keeps its line, since sclite drops utterances that one of the files lacks. If
    every id begins with its speaker and ``-``, as in LibriSpeech, ids are written unchanged.

    Args:
        texts: words by utterance id.
        speakers: speaker by utterance id.
        with_marks: whether braces, ``@`` and round brackets have the meaning of sclite.

    Raises:
        AsrkdError: an utterance has no speaker, or an id or a word has a special meaning in sclite.
    """
    named = all(utt_id.startswith(f"{speakers.get(utt_id)}-") for utt_id in texts)
    check = _check_among_marks if with_marks else _check_words
    for utt_id, text in texts.items():
        check(utt_id, text)
    return [_trn_line(utt_id, texts[utt_id], speakers.get(utt_id), named) for utt_id in sorted(texts)]


def _check_words(utt_id: str, text: str) -> None:
    for word in text.split():
        if SPECIAL_TO_SCLITE.search(word):
            raise _not_a_word(utt_id, word)


def _check_among_marks(utt_id: str, text: str) -> None:
    depth = 0
    for word in text.split():
        depth += (word == "{") - (word == "}")
        if word not in MARKS and (SPECIAL_AMONG_MARKS.search(word) or (depth and "/" in word)):
            raise _not_a_word(utt_id, word)


def _not_a_word(utt_id: str, word: str) -> AsrkdError:
    return AsrkdError(f"cut {utt_id!r}: {word!r} is not a word in sclite; normalize the text")


def _trn_line(utt_id: str, text: str, speaker: str | None, named: bool) -> str:
    if not speaker:
        raise AsrkdError(f"cut {utt_id!r}: has no speaker, sclite's trn needs one; set it in the supervision")
    label = utt_id if named else f"{speaker}-{utt_id}"
    if SPECIAL_TO_SCLITE.search(label) or len(label.split()) != 1:
        raise AsrkdError(f"cut {utt_id!r}: sclite cannot read {label!r}; rename what has {{}}()*;; or spaces")
    return f"{one_spaced(text)} ({label})".lstrip()
