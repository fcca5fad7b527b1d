"""What a teacher says of hypotheses that it is told: exact scores by its CTC head, decoder, language model.

Decoders and language models are told whole hypotheses at once here, while a
search asks them a token at a time, so that neither checks itself.

Letters: N utterances, S hypotheses of all of them, T encoder frames, D their size, U tokens after padding,
V tokens; T' feature frames, F features.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from lhotse import MonoCut
from torch import Tensor

from asrkd.core.device import Precision
from asrkd.data.features.reading import collate as collate_features
from asrkd.data.features.reading import load_features
from asrkd.decoding.ctc_score import hypothesis_log_prob
from asrkd.decoding.language_models import NATS, WordNgram, open_lm
from asrkd.models.masks import frame_mask
from asrkd.models.recognizer import LanguageModel, LoadedModel
from asrkd.models.stepwise import Decoder, labels
from asrkd.targets.sequences import collate

Scores = dict[str, list[list[float]]]  # by part, of each utterance's hypotheses


@torch.no_grad()
def teacher_scores(
    model: LoadedModel,
    cuts: Sequence[MonoCut],
    hypotheses: Sequence[Sequence[list[int]]],
    precision: str,
    read: Callable[[MonoCut], Tensor] = load_features,
) -> Scores:
    """What the parts of a teacher say of each utterance's hypotheses, log-probabilities in nats.

    Args:
        model: on the CPU.
        cuts: run together.
        hypotheses: token sequences of each.
        precision: 'fp32' or 'bf16'.
        read: gives the (T', F) features of a cut.

    Raises:
        AsrkdError: features cannot be read, or the precision is none of these.
    """
    recognizer, scores = model.recognizer, Scores()
    features, num_frames = collate_features([read(cut) for cut in cuts])
    with Precision(precision, torch.device("cpu")).autocast():
        output = recognizer(features, num_frames)
        if recognizer.decoder is not None:
            scores["attention"] = told_at_once(
                recognizer.decoder, output.memory(), output.num_frames, hypotheses
            )
    if recognizer.has_ctc:
        counted = zip(output.log_probs(), output.num_frames.tolist(), hypotheses, strict=True)
        scores["ctc"] = [hypothesis_log_prob(frames[:n], own).tolist() for frames, n, own in counted]
    return scores


@torch.no_grad()
def lm_scores(
    path: Path, model: LoadedModel, hypotheses: Sequence[Sequence[list[int]]], precision: str
) -> list[list[float]]:
    """log P of each hypothesis with its end under the language model at ``path``, in nats.

    Args:
        path: of a model folder, or of n-grams, to which kenlm gives whole sentences.
        model: the teacher that it stood beside.
        hypotheses: of each utterance, token sequences.
        precision: as of :func:`teacher_scores`; n-grams have theirs.

    Raises:
        AsrkdError: it cannot be read, or is over other tokens than the teacher.
    """
    lm = open_lm(path, model)
    if isinstance(lm, WordNgram):
        spelled = [["".join(lm.spelled[token] for token in tokens) for tokens in own] for own in hypotheses]
        return [[NATS * lm.model.score(text, bos=True, eos=True) for text in own] for own in spelled]
    assert isinstance(lm, LanguageModel)
    unheard, none = torch.zeros(len(hypotheses), 0, 0), torch.zeros(len(hypotheses), dtype=torch.int64)
    with Precision(precision, torch.device("cpu")).autocast():
        return told_at_once(lm.decoder, unheard, none, hypotheses)


def told_at_once(
    decoder: Decoder, encoded: Tensor, num_frames: Tensor, hypotheses: Sequence[Sequence[list[int]]]
) -> list[list[float]]:
    """log P of each hypothesis with its end, in nats, the decoder being told whole sequences.

    Args:
        decoder: to be asked.
        encoded: (N, T, D); padding may hold anything; of a language model (N, 0, 0).
        num_frames: (N,), at least 1 each; of a language model zeros.
        hypotheses: of each utterance, token sequences without the boundary.
    """
    sequences = collate(hypotheses)
    tokens, num_tokens = sequences.tokens, sequences.num_tokens
    logits = decoder(encoded, num_frames, tokens, num_tokens, sequences.utterance)  # (S, U + 1, V)
    log_probs = logits.float().log_softmax(dim=-1)
    of_tokens = log_probs.gather(2, labels(tokens, num_tokens)[..., None])[..., 0].double()
    real = frame_mask(num_tokens + 1, of_tokens.shape[1])
    totals = iter(of_tokens.masked_fill(~real, 0.0).sum(dim=1).tolist())
    return [[next(totals) for _ in own] for own in hypotheses]
