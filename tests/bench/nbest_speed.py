"""N-best search: decoders in batches beside one utterance at a time; CTC beside torchaudio's flashlight."""

import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from asrkd.decoding.attention_beam import attention_beam_search
from asrkd.decoding.decoder_options import DecoderOptions
from asrkd.decoding.search_options import SearchOptions
from asrkd.models.attention_config import TransformerLayers
from asrkd.models.transformer_decoder import TransformerDecoder
from tests.bench.row import Row

BATCH = 16  # utterances
NUM_TOKENS, ENCODER_DIM = 500, 256  # BPE pieces; of Kim et al.'s student A
LAYERS = TransformerLayers(num_layers=2, dim=256, num_heads=4, feed_forward_dim=1024)


def measure() -> Iterator[Row]:
    """Utterances per second of a beam of 8, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield batches()
    finally:
        torch.set_num_threads(threads)


def batches() -> Row:
    """A decoder of the size of student A of Kim et al., 25 tokens of 100 frames, untrained."""
    torch.manual_seed(1)
    decoder = TransformerDecoder(LAYERS, NUM_TOKENS, ENCODER_DIM).eval().requires_grad_(False)
    encoded = torch.randn(BATCH, 100, ENCODER_DIM)
    num_frames = torch.randint(60, 101, (BATCH,))
    options = SearchOptions(8, 8, decoder=DecoderOptions(max_length_ratio=0.25))

    def search(rows: Tensor) -> None:
        attention_beam_search(decoder, encoded[rows], num_frames[rows], options)

    everything = torch.arange(BATCH)
    together = rate(lambda: search(everything))
    one_by_one = rate(lambda: [search(row) for row in everything.split(1)])
    return Row(f"attention N-best, utterances/s, {BATCH} together or 1", together, one_by_one, ">= 5")


def rate(work: Callable[[], object]) -> float:
    """Utterances per second of a batch, of three rounds the quickest."""
    times = []
    for _ in range(3):
        started_at = time.perf_counter()
        work()
        times.append(time.perf_counter() - started_at)
    return BATCH / min(times)
