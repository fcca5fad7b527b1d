"""Recognizing cuts: a model is asked about them, and a search finds what was said.

Letters: T feature or encoder frames of a cut, F features, V tokens, D size of an encoder frame.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import torch
from lhotse import MonoCut
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from asrkd.core.errors import AsrkdError
from asrkd.data.features.reading import load_features
from asrkd.decoding.hypothesis import Hypothesis
from asrkd.decoding.language_models import WordNgram, lm_identity, open_lm
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.search_input import EncoderOutputs
from asrkd.decoding.searches import SEARCHES, Search, find_search
from asrkd.models.inference import CutOutputs, encode_cuts
from asrkd.models.recognizer import LoadedModel, num_parameters
from asrkd.models.stepwise import Stepwise

SEARCH_BATCH = 16  # cuts searched together, always neighbors in the list that is given
# Parameters times seconds of audio in a batch on a CPU, at most. At 25 encoder frames a second and two
# operations a parameter and frame these are 500 GFLOP, 15 to 40 s on a core: a kill in its middle costs less
# than a minute. It is only met by models (16 utterances of 12 s: of 52 million parameters) whose matrices
# fill a core without batches.
BATCH_WORK = 1e10


def search_for(model: LoadedModel, name: str, options: SearchOptions) -> Search:
    """The search called ``name``, known to fit a model.

    Raises:
        AsrkdError: it needs a part that the model has not, or its language
            model does not fit, or what :func:`find_search` says.
    """
    search = find_search(name, options)
    missing = search.needs - _parts(model)
    if missing:
        part = {"ctc": "CTC head", "decoder": "attention decoder"}[min(missing)]
        fitting = [own.name for own in SEARCHES.values() if own.needs <= _parts(model)]
        raise AsrkdError(f"{model.path}: has no {part}, which --search {name} needs; give {_either(fitting)}")
    if options.lm is not None:
        open_lm(options.lm, model)
    return search


def described(name: str, options: SearchOptions) -> dict[str, Any]:
    """What a contract or a score says of a search; AsrkdError if its language model is not there."""
    lm = {} if options.lm is None else {"lm": lm_identity(options.lm)}
    return SEARCHES[name].described(options) | lm


def recognize_by_cut(
    model: LoadedModel,
    cuts: Sequence[MonoCut],
    name: str,
    options: SearchOptions,
    read: Callable[[MonoCut], Tensor] = load_features,
) -> Iterator[tuple[MonoCut, list[tuple[MonoCut, list[Hypothesis]]]]]:
    """Each cut when the encoder has run on it, with the hypotheses, best first, of a batch that it ends.

    Give whole shards, or what is left of one behind the end of a batch, as neighbors are searched together.

    Args:
        model: whom to ask.
        cuts: about what.
        name: of the search.
        options: of the search.
        read: gives the (T, F) features of a cut.

    Raises:
        AsrkdError: as :func:`search_for`, or features cannot be read, or the model gives NaN.
    """
    search = search_for(model, name, options)
    device = next(model.recognizer.parameters()).device
    lm = None if options.lm is None else open_lm(options.lm, model, str(device))
    start = 0
    while start < len(cuts):
        group = _batch(model, cuts[start : start + SEARCH_BATCH], lm)
        said = []
        for answer in encode_cuts(model, group, read=read):
            said.append(answer)
            if len(said) < len(group):
                yield answer.cut, []
        found = search.run(_heard(model, said, lm), options)
        if isinstance(lm, WordNgram):
            lm.look_at(model.tokens.decode(own.tokens) for hypotheses in found for own in hypotheses)
        yield group[-1], list(zip(group, found, strict=True))
        start += len(group)
    if isinstance(lm, WordNgram):
        lm.warn()


def _batch(model: LoadedModel, cuts: Sequence[MonoCut], lm: Stepwise | None) -> list[MonoCut]:
    """The first of ``cuts`` that are searched together: all of them, of a large model on a CPU fewer."""
    if next(model.recognizer.parameters()).device.type != "cpu":
        return list(cuts)
    parts = [model.recognizer, *([lm] if isinstance(lm, nn.Module) else [])]
    count = fitting(sum(map(num_parameters, parts)), [cut.duration for cut in cuts])
    return list(cuts[:count])


def fitting(parameters: int, durations: Sequence[float]) -> int:
    """How many cuts, from the first on, make a batch on a CPU: one at least, and no more than BATCH_WORK.

    Args:
        parameters: of all models that take part.
        durations: of the cuts in seconds.
    """
    totals = accumulate(durations)
    return max(1, sum(parameters * total_s <= BATCH_WORK for total_s in totals))


def _heard(model: LoadedModel, said: Sequence[CutOutputs], lm: Stepwise | None) -> EncoderOutputs:
    """What a search starts from; what decoders are asked about is where they are."""
    recognizer, device = model.recognizer, next(model.recognizer.parameters()).device
    if recognizer.decoder is None:
        counts = torch.tensor([len(answer.log_probs) for answer in said])
        return EncoderOutputs(counts, _padded([answer.log_probs for answer in said]), lm=lm)
    frames = [answer.encoded for answer in said if answer.encoded is not None]
    return EncoderOutputs(
        num_frames=torch.tensor([len(own) for own in frames], device=device),
        log_probs=_padded([answer.log_probs for answer in said]).to(device) if recognizer.has_ctc else None,
        encoded=_padded(frames).to(device),
        decoder=recognizer.decoder,
        lm=lm,
    )


def _padded(values: Sequence[Tensor]) -> Tensor:
    return pad_sequence(list(values), batch_first=True)


def _parts(model: LoadedModel) -> set[str]:
    has = {"ctc": model.recognizer.has_ctc, "decoder": model.recognizer.has_decoder}
    return {part for part, is_there in has.items() if is_there}


def _either(names: Sequence[str]) -> str:
    return " or ".join(f"--search {name}" for name in names)
