"""Multiply-adds of any model, counted at torch's operator dispatch.

Every operator of a forward pass is intercepted, whatever module or function
calls it, so the count needs no knowledge of the model. A multiply-add is
one product of two numbers summed into a third: matrix products, convolutions,
attention and recurrent layers consist of them. Products with zeros, of padding
for instance, count too. Biases, norms, activations and element-wise products,
a small part, do not.

Unknown operators that may contain matrix products are listed in ``uncounted``;
the count is then too low.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

CountFunction = Callable[..., int]


@dataclass(frozen=True)
class MultiplyAdds:
    """Multiply-adds of a forward pass."""

    by_operator: Counter[str] = field(default_factory=Counter)
    uncounted: set[str] = field(default_factory=set)  # operators that may multiply, of unknown size

    @property
    def total(self) -> int:
        """Sum over all counted operators."""
        return sum(self.by_operator.values())


def count_multiply_adds(forward: Callable[[], object]) -> MultiplyAdds:
    """Count the multiply-adds of a call of ``forward`` without gradients."""
    counts = MultiplyAdds()
    with torch.no_grad(), _Counting(counts):
        forward()
    return counts


class _Counting(TorchDispatchMode):
    """Dispatch mode that counts each operator before it runs."""

    def __init__(self, counts: MultiplyAdds) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._counts = counts

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        space, _, name = func._schema.name.partition("::")
        known = COUNTED.get(name) if space == "aten" else None
        nested = any(tensor.is_nested for tensor in _tensors(args))
        if known is not None and not nested:
            self._counts.by_operator[name] += known(*args)
        elif known is None:
            with self:  # in inference mode, composite operators are not decomposed
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        if known is None and _may_multiply(space, name, args) or known is not None and nested:
            self._counts.uncounted.add(f"{space}::{name}")
        return func(*args, **kwargs)


def _may_multiply(space: str, name: str, args: tuple[Any, ...]) -> bool:
    """Whether an uncounted operator may contain matrix products."""
    if space != "aten" or any(sign in name for sign in SIGNS_OF_PRODUCTS):
        return True
    floats = [tensor for tensor in _tensors(args) if tensor.is_floating_point() and tensor.numel() > 1]
    return len(floats) > 1 and name.rstrip("_") not in LIGHT


def _tensors(args: tuple[Any, ...]) -> Iterator[Tensor]:
    return (leaf for leaf in tree_flatten(args)[0] if isinstance(leaf, Tensor))


def _product(left: Tensor, right: Tensor, *_: object) -> int:
    """Count a product of (..., I) by (..., I, J), or by (I,)."""
    return left.numel() * (right.shape[-1] if right.dim() > 1 else 1)


def _product_added(_: Tensor, left: Tensor, right: Tensor, *__: object) -> int:
    return _product(left, right)


def _dot(left: Tensor, *_: object) -> int:
    return left.numel()


def _convolution(
    values: Tensor, weight: Tensor, bias: object, stride: Any, padding: Any, dilation: Any, transposed: bool,
    output_padding: Any, *_: object,
) -> int:  # fmt: skip
    """Count a convolution: each output (transposed: each input) takes the weights of its group's channel."""
    if transposed:
        return values.numel() * weight[0].numel()
    places = 1
    for size, kernel, step, pad, apart in zip(
        values.shape[2:],
        weight.shape[2:],
        *(_each(weight, x) for x in (stride, padding, dilation)),
        strict=True,
    ):
        places *= (size + 2 * pad - apart * (kernel - 1) - 1) // step + 1
    return values.shape[0] * places * weight.numel()


def _each(weight: Tensor, numbers: Any) -> list[int]:
    """Return a number for each axis of a kernel, from a list in which one may stand for all."""
    return list(numbers) if len(numbers) == weight.dim() - 2 else list(numbers) * (weight.dim() - 2)


def _attention(query: Tensor, key: Tensor, value: Tensor, *_: object) -> int:
    """Count attention of (N, H, L, E) queries, (N, H, S, E) keys, (N, H, S, V) values: scores and mixture."""
    return query.shape[:-1].numel() * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _multi_head_attention(query: Tensor, key: Tensor, value: Tensor, dim: int, *_: object) -> int:
    """Count attention of (N, L, E) queries to (N, S, E) keys and values, with the four projections."""
    projected = (2 * query.numel() + key.numel() + value.numel()) * dim
    return projected + 2 * query.numel() * key.shape[1]


def _encoder_layer(frames: Tensor, dim: int, *rest: Any) -> int:
    """Count nn.TransformerEncoderLayer, which is one operator."""
    tokens = frames.numel() // dim
    feed_forward = (rest[12].numel() + rest[14].numel()) * tokens
    return _multi_head_attention(frames, frames, frames, dim) + int(feed_forward)


def _recurrent_layer(frames: Tensor, of_input: Tensor, of_state: Tensor, *_: object) -> int:
    """Count a recurrent layer: (T, N, I) frames are multiplied by both matrices at every step."""
    return frames.shape[:-1].numel() * (of_input.numel() + of_state.numel())


def _recurrent(frames: Tensor, weights: list[Tensor], *_: object) -> int:
    """Count all recurrent layers and directions over (T, N, I) frames, or packed ones."""
    return frames.shape[:-1].numel() * sum(weight.numel() for weight in weights if weight.dim() == 2)


COUNTED: dict[str, CountFunction] = {
    "mm": _product,
    "bmm": _product,
    "mv": _product,
    "addmm": _product_added,
    "addmm_": _product_added,
    "_addmm_activation": _product_added,
    "baddbmm": _product_added,
    "baddbmm_": _product_added,
    "addbmm": _product_added,
    "addmv": _product_added,
    "dot": _dot,
    "vdot": _dot,
    "convolution": _convolution,
    "_convolution": _convolution,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
    "_scaled_dot_product_cudnn_attention": _attention,
    "_native_multi_head_attention": _multi_head_attention,
    "_transformer_encoder_layer_fwd": _encoder_layer,
    "mkldnn_rnn_layer": _recurrent_layer,
    "_cudnn_rnn": _recurrent,
}

# Parts of names of other operators that compute products.
SIGNS_OF_PRODUCTS = (
    "attention", "attn", "bilinear", "cdist", "cholesky", "conv", "eig", "einsum", "fft", "grid_sampler",
    "gru", "inverse", "kron", "linalg", "linear", "lstm", "lu_", "matmul", "matrix", "mha", "mm", "pdist",
    "rnn", "solve", "sparse", "svd", "trilinear", "unfold_backward", "encoder_layer",
)  # fmt: skip

# Operators of several tensors that are element-wise, or only move numbers.
LIGHT = {
    "_foreach_add", "_foreach_mul", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training",
    "_thnn_fused_lstm_cell", "_thnn_fused_gru_cell", "_index_put_impl", "_unsafe_index", "add", "addcdiv",
    "addcmul", "atan2", "batch_norm_elemt", "cat", "clamp", "clamp_max", "clamp_min", "complex", "copy",
    "copysign", "cudnn_batch_norm", "div", "eq", "fmax", "fmin", "fmod", "gather", "ge", "gt", "hypot",
    "index_add", "index_copy", "index_put", "index_select", "le", "lerp", "logaddexp", "logaddexp2", "lt",
    "masked_fill", "masked_scatter", "max", "maximum", "min", "minimum", "miopen_batch_norm", "mul",
    "native_batch_norm", "native_group_norm", "native_layer_norm", "ne", "nextafter", "polar", "pow", "prelu",
    "_prelu_kernel", "remainder", "rms_norm", "_fused_rms_norm", "rsub", "scatter", "scatter_add",
    "scatter_reduce", "searchsorted", "bucketize", "select_scatter", "slice_scatter", "stack", "sub", "take",
    "threshold", "true_divide", "where", "xlogy",
}  # fmt: skip
