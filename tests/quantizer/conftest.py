"""Quantizers of the reference package, from parameters that an integer hash gives."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from asrkd.quantizer.direct_sum import DirectSumQuantizer
from asrkd.quantizer.multi_quantization import read_reference_state

FIXTURE = json.loads((Path(__file__).parent / "mvq_fixture.json").read_text())


def hashed(shape: tuple[int, ...], seed: int, scale: float) -> Tensor:
    """Values in scale * [-0.5, 0.5), as the fixture's first line defines them."""
    bits = np.uint64(0xFFFFFFFF)
    h = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(seed * 1000003)
    h = (h * np.uint64(2654435761)) & bits
    h ^= h >> np.uint64(15)
    h = (h * np.uint64(2246822519)) & bits
    h ^= h >> np.uint64(13)
    return torch.from_numpy((h / 2**32 - 0.5).astype(np.float32).reshape(shape) * np.float32(scale))


class ReferenceCase:
    """A quantizer of multi_quantization, frames, and what that package makes of them."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        dim, size, count = record["dim"], record["codebook_size"], record["num_codebooks"]
        params = record["params"]
        self.state = {
            "centers": hashed((count, size, dim), *params["centers"]),
            "logits_scale": torch.tensor(params["logits_scale"]),
            "centers_scale": torch.tensor(params["centers_scale"]),
            "id_buf": torch.tensor(list(b"0123abcd"), dtype=torch.uint8),
            "to_logits.weight": hashed((count * size, dim), *params["to_logits.weight"]),
            "to_logits.bias": hashed((count * size,), *params["to_logits.bias"]),
        }
        x = record["x"]
        self.frames = hashed(tuple(x["shape"]), x["seed"], x["scale"]).flatten(0, 1)  # (6, D)
        self.quantizer: DirectSumQuantizer = read_reference_state(self.state)

    def indexes(self, refinements: int) -> Tensor:
        """(6, N) of the reference after so many refinements."""
        return torch.tensor(self.record[f"indexes_iters_{refinements}"]).flatten(0, 1)

    def losses(self) -> list[float]:
        """rel_recon, logprob, logits_entropy, index_entropy at the indexes of two refinements."""
        return next(value for name, value in self.record.items() if name.startswith("losses_iters_2"))


@pytest.fixture(params=FIXTURE["quantizers"], ids=lambda q: f"{q['num_codebooks']}x{q['codebook_size']}")
def reference(request: pytest.FixtureRequest) -> ReferenceCase:
    return ReferenceCase(request.param)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(20240501)
