"""N-best search: decoders in batches beside one utterance at a time; CTC beside torchaudio's flashlight.

The rows of CTC need the demo's teacher and test set, and a torchaudio with
flashlight's decoder: the k2 stack.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asrkd.data.cuts.manifests import read_cuts
from asrkd.data.cuts.records import transcript
from asrkd.decoding import EncoderOutputs, attention_beam, prefix_beam
from asrkd.decoding.options import DecoderOptions, SearchOptions
from asrkd.models.config import TransformerLayers
from asrkd.models.directory import load_model
from asrkd.models.inference import encode_cuts
from asrkd.models.recognizer import LoadedModel
from asrkd.models.stepwise import BOUNDARY
from asrkd.models.transformer_decoder import TransformerDecoder
from asrkd.scoring.counts import count_errors
from tests.bench.row import Row

BATCH = 16  # utterances
DECODERS = {  # layers and tokens
    "demo teacher": (TransformerLayers(num_layers=4, dim=80, num_heads=4, feed_forward_dim=320), 28),
    "Kim's A": (TransformerLayers(num_layers=2, dim=256, num_heads=4, feed_forward_dim=1024), 500),
}
BEAM = 8
TEACHER, CUTS = Path("exp/demo/teacher"), Path("data/digits/cuts_test.jsonl.gz")

Tokens = list[list[list[int]]]  # of the hypotheses of each utterance


def measure() -> Iterator[Row]:
    """Utterances a second of one processor's time, which others on the machine take no part of."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name in DECODERS:
            yield in_batches(name)
        yield from beside_flashlight()
    finally:
        torch.set_num_threads(threads)


def in_batches(name: str) -> Row:
    """A decoder as of the demo's Transformer teacher or of Kim et al.'s student A: 25 tokens, 100 frames."""
    torch.manual_seed(1)
    layers, num_tokens = DECODERS[name]
    decoder = TransformerDecoder(layers, num_tokens, layers.dim).eval().requires_grad_(False)
    decoder.out.weight *= 10  # as sure of itself as a trained one
    decoder.out.bias[BOUNDARY] = -60.0  # and no sentence ends before it must
    encoded = torch.randn(BATCH, 100, layers.dim)
    num_frames = torch.randint(60, 101, (BATCH,))
    options = SearchOptions(8, 8, decoder=DecoderOptions(max_length_ratio=0.25))

    def search(rows: Tensor) -> None:
        inputs = EncoderOutputs(num_frames[rows], encoded=encoded[rows], decoder=decoder)
        attention_beam.search(inputs, options)

    everything = torch.arange(BATCH)
    together = rate(lambda: search(everything))
    one_by_one = rate(lambda: [search(row) for row in everything.split(1)])
    return Row(f"attention N-best of {name}, utt./s, {BATCH} together or 1", together, one_by_one, ">= 5")


def beside_flashlight() -> Iterator[Row]:
    """Both without a lexicon and without pruning beyond their beams of 8; the search alone is timed."""
    try:
        from torchaudio.models.decoder import ctc_decoder
    except (ImportError, RuntimeError):
        return
    if not (TEACHER.is_dir() and CUTS.is_file()):
        print(f"no {TEACHER} or no {CUTS}: make demo", flush=True)
        return
    model, cuts = load_model(TEACHER), read_cuts(CUTS)
    said = [answer.log_probs for answer in encode_cuts(model, cuts)]
    names = [symbol.replace(" ", "|") for symbol in model.tokens.symbols]
    decoder = ctc_decoder(
        lexicon=None, tokens=names, nbest=BEAM, beam_size=BEAM, beam_threshold=1e9, blank_token=names[0],
        sil_token="|", unk_word="<unk>",
    )  # fmt: skip

    def ours(frames: Tensor, lengths: Tensor) -> Tokens:
        found = prefix_beam.search(EncoderOutputs(lengths, frames), SearchOptions(BEAM, BEAM))
        return [[list(own.tokens) for own in mine] for mine in found]

    def theirs(frames: Tensor, lengths: Tensor) -> Tokens:
        return [[own.tokens.tolist() for own in mine] for mine in decoder(frames, lengths.int())]

    references = [transcript(cut) for cut in cuts]
    batches = [said[start : start + BATCH] for start in range(0, len(said), BATCH)]
    timed = [searched(search, batches) for search in (ours, theirs)]
    rates, errors = zip(*((len(said) / t, oracle(model, references, f)) for t, f in timed), strict=True)
    yield Row("CTC N-best, oracle WER % at 8, beside flashlight", *errors, "<= 1")
    yield Row("CTC N-best, utterances/s, beside flashlight", *rates, ">= 1")


def searched(
    search: Callable[[Tensor, Tensor], Tokens], batches: Sequence[Sequence[Tensor]]
) -> tuple[float, Tokens]:
    """Seconds for all batches, of three rounds the quickest, and what was found."""
    padded = [
        (pad_sequence(list(b), batch_first=True), torch.tensor([len(own) for own in b])) for b in batches
    ]
    times, found = [], []
    for _ in range(3):
        started_at = time.process_time()
        found = [own for batch in padded for own in search(*batch)]
        times.append(time.process_time() - started_at)
    return min(times), found


def oracle(model: LoadedModel, references: Sequence[str], found: Tokens) -> float:
    """WER in % of the luckiest hypotheses."""
    errors = words = 0
    for reference, hypotheses in zip(references, found, strict=True):
        texts = [model.tokens.decode([token for token in own if token]) for own in hypotheses]
        counts = [count_errors(reference, text) for text in texts]
        errors, words = errors + min(own.errors for own in counts), words + counts[0].num_words
    return 100 * errors / words


def rate(work: Callable[[], object]) -> float:
    """Utterances per second of a batch, of three rounds the quickest."""
    times = []
    for _ in range(3):
        started_at = time.process_time()
        work()
        times.append(time.process_time() - started_at)
    return BATCH / min(times)
