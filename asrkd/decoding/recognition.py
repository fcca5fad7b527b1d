"""Decoding of cuts: encoder, batches of neighbors, and search.

Notation: T feature or encoder frames of a cut, F features, V tokens, D size of an encoder frame.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import accumulate
from typing import Any

import torch
from lhotse import MonoCut
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from asrkd.core.errors import AsrkdError
from asrkd.data.features.reading import load_features
from asrkd.decoding.hypothesis import EncoderOutputs, Hypothesis
from asrkd.decoding.language_models import WordNgram, lm_identity, open_lm
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.searches import SEARCHES, Search, find_search
from asrkd.models.inference import CutOutputs, encode_cuts
from asrkd.models.recognizer import LoadedModel, num_parameters
from asrkd.models.stepwise import Stepwise

SEARCH_BATCH = 16  # cuts searched together, neighbors in the list of cuts
# Maximum of parameters times seconds of audio in a batch on a CPU. At 25 encoder frames a second and two
# operations per parameter and frame this is 500 GFLOP, less than a minute on a core, which bounds the work
# that a kill loses. Smaller models (52 million parameters for 16 utterances of 12 s) never reach it.
BATCH_WORK = 1e10
PARTS = {"ctc": "CTC head", "decoder": "attention decoder", "transducer": "transducer"}  # that searches need


def search_for(model: LoadedModel, name: str, options: SearchOptions) -> Search:
    """Return the search ``name``, after checking that the model and the language model fit it.

    Raises:
        AsrkdError: an error of :func:`find_search`; or the model lacks a part that
            the search needs, or the language model has other tokens.
    """
    search = find_search(name, options)
    missing = search.needs - _parts(model)
    if missing:
        part = PARTS[min(missing)]
        usable = [f"--search {other}" for other, row in SEARCHES.items() if row.needs <= _parts(model)]
        raise AsrkdError(
            f"{model.path}: has no {part}, which --search {name} needs; use {' or '.join(usable)}"
        )
    if options.lm is not None:
        open_lm(options.lm, model)
    return search


def search_record(name: str, options: SearchOptions) -> dict[str, Any]:
    """Return a search as contracts and scores record it: name, options that it reads, language model.

    Raises:
        AsrkdError: the language model is missing.
    """
    shared = {key: getattr(options, key) for key in ("beam", "num_best", "max_tokens_per_frame")}
    reads = SEARCHES[name].read(options)
    ranking = {key: value for key, value in asdict(options.decoder).items() if key in reads}
    lm = {} if options.lm is None else {"lm": lm_identity(options.lm)}
    return {"name": name} | shared | ranking | lm


def recognize_by_cut(
    model: LoadedModel,
    cuts: Sequence[MonoCut],
    name: str,
    options: SearchOptions,
    read: Callable[[MonoCut], Tensor] = load_features,
) -> Iterator[tuple[MonoCut, list[tuple[MonoCut, list[Hypothesis]]]]]:
    """Decode cuts in batches: yield each cut once encoded, and the batch's hypotheses with its last cut.

    Neighbors are searched together, so pass whole shards, or the rest of a
    shard after the end of a batch.

    Args:
        model: recognizer.
        cuts: cuts to decode.
        name: name of the search.
        options: options of the search.
        read: function that reads the (T, F) features of a cut.

    Yields:
        A cut, and (cut, hypotheses, best first) for each cut of the batch that it ends; else an empty list.

    Raises:
        AsrkdError: an error of :func:`search_for`; or features cannot be read, or the model gives NaN.
    """
    search = search_for(model, name, options)
    device = next(model.recognizer.parameters()).device
    lm = None if options.lm is None else open_lm(options.lm, model, str(device))
    start = 0
    while start < len(cuts):
        batch = _next_batch(model, cuts[start : start + SEARCH_BATCH], lm)
        outputs = []
        for cut_outputs in encode_cuts(model, batch, read=read):
            outputs.append(cut_outputs)
            if len(outputs) < len(batch):
                yield cut_outputs.cut, []
        hypotheses = search.run(_encoder_outputs(model, outputs, lm), options)
        if isinstance(lm, WordNgram):
            lm.observe(model.tokens.decode(best.tokens) for n_best in hypotheses for best in n_best)
        yield batch[-1], list(zip(batch, hypotheses, strict=True))
        start += len(batch)
    if isinstance(lm, WordNgram):
        lm.warn()


def _next_batch(model: LoadedModel, cuts: Sequence[MonoCut], lm: Stepwise | None) -> list[MonoCut]:
    """Take the first of ``cuts`` as a batch: all of them, or fewer of a large model on a CPU."""
    if next(model.recognizer.parameters()).device.type != "cpu":
        return list(cuts)
    parts = [model.recognizer, *([lm] if isinstance(lm, nn.Module) else [])]
    count = batch_size(sum(map(num_parameters, parts)), [cut.duration for cut in cuts])
    return list(cuts[:count])


def batch_size(parameters: int, durations: Sequence[float]) -> int:
    """Return how many cuts, from the first on, make a batch on a CPU: at least one, within BATCH_WORK.

    Args:
        parameters: number of parameters of recognizer and language model.
        durations: durations of the cuts in seconds.
    """
    totals = accumulate(durations)
    return max(1, sum(parameters * total_s <= BATCH_WORK for total_s in totals))


def _encoder_outputs(
    model: LoadedModel, outputs: Sequence[CutOutputs], lm: Stepwise | None
) -> EncoderOutputs:
    """Pad the outputs of a batch; those for a decoder or transducer are moved to its device."""
    recognizer, device = model.recognizer, next(model.recognizer.parameters()).device
    log_probs = _padded([cut_outputs.log_probs for cut_outputs in outputs])
    if not recognizer.reads_encoded:
        counts = torch.tensor([len(cut_outputs.log_probs) for cut_outputs in outputs])
        return EncoderOutputs(counts, log_probs, lm=lm)
    encoded = [cut_outputs.encoded for cut_outputs in outputs if cut_outputs.encoded is not None]
    return EncoderOutputs(
        num_frames=torch.tensor([len(frames) for frames in encoded], device=device),
        log_probs=log_probs.to(device) if recognizer.has_ctc else None,
        encoded=_padded(encoded).to(device),
        decoder=recognizer.decoder,
        lm=lm,
        transducer=recognizer.transducer,
        silent=model.tokens.silent,
    )


def _padded(values: Sequence[Tensor]) -> Tensor:
    """Pad matrices (T, ...) to one batch (N, T, ...)."""
    return pad_sequence(list(values), batch_first=True)


def _parts(model: LoadedModel) -> set[str]:
    """Return those of PARTS that a recognizer has."""
    recognizer = model.recognizer
    has = (recognizer.has_ctc, recognizer.has_decoder, recognizer.has_transducer)
    return {part for part, is_present in zip(PARTS, has, strict=True) if is_present}
