"""Export of a recognizer: its graphs, what sherpa-onnx cannot run, and the README of the folder.

Graphs and metadata: :mod:`asrkd.deployment.graphs`; the facts about
sherpa-onnx were tried out with its versions 1.12.26 to 2.0.1.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from asrkd import __version__
from asrkd.core import files
from asrkd.core.errors import AsrkdError
from asrkd.deployment.graphs import (
    CTC_EMBED_WIDTH,
    Container,
    JoinerGraph,
    OfflineCtc,
    OfflineEncoder,
    PredictorGraph,
    StreamingEncoder,
)
from asrkd.deployment.onnx_file import Graph
from asrkd.models.conformer import Conformer
from asrkd.models.masks import Chunks
from asrkd.models.recognizer import LoadedModel, Recognizer
from asrkd.models.streams import is_streaming, stream_chunks, with_chunks
from asrkd.models.transducer import Transducer

SUBSAMPLING = 4  # of sherpa-onnx's timestamps, and of the lengths of its containers
NUM_FEATURES = 80  # of a streaming CTC model, whose container has a constant width
EXAMPLE_FRAMES = (37, 30)  # feature frames of the two utterances that are traced: no multiples of four
HEADS = ("ctc", "transducer")


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export."""

    head: str | None = None  # one of HEADS; None: the transducer if there is one, else CTC
    offline: bool = False  # a streaming model as an offline one, with the same masks
    chunk_frames: int | None = None  # chunk of a streaming model; None: the one in its config
    left_chunks: int | None = None


@dataclass(frozen=True)
class Exported:
    """Graphs of an export by file name, and how sherpa-onnx is called on them."""

    kind: str
    graphs: dict[str, Graph]
    arguments: dict[str, str]  # file name by argument of the constructor
    recognizer: str
    constructor: str
    chunks: Chunks  # of a stream
    tail_frames: int


def plan_export(model: LoadedModel, options: ExportOptions) -> Exported:
    """Build the graphs of an export, within :func:`export_chunks`.

    Raises:
        AsrkdError: sherpa-onnx cannot run the model, or an option does not fit it.
    """
    recognizer, where = model.recognizer, str(model.path)
    if recognizer.encoder.subsampling != SUBSAMPLING:
        raise AsrkdError(
            f"{where}: has an encoder frame every {recognizer.encoder.subsampling} feature frames, "
            f"sherpa-onnx reckons with {SUBSAMPLING}; train a model with subsampling: {SUBSAMPLING}"
        )
    head = _head(recognizer, options.head, where)
    encoder = recognizer.encoder
    if is_streaming(encoder) and not options.offline:
        return _streaming(model, encoder, head)
    if options.offline and not is_streaming(encoder):
        raise AsrkdError(f"{where}: no streaming model, so --offline has no effect; remove it")
    return _offline(model, head)


def export_chunks(model: LoadedModel, options: ExportOptions) -> AbstractContextManager[object]:
    """Let a streaming model have the chunks of the options within the block; AsrkdError if it has none."""
    if not is_streaming(model.recognizer.encoder) and (options.chunk_frames, options.left_chunks) == (
        None,
        None,
    ):
        return nullcontext()
    return with_chunks(model, stream_chunks(model, options.chunk_frames, options.left_chunks))


def _head(recognizer: Recognizer, wanted: str | None, where: str) -> str:
    has = {"ctc": recognizer.has_ctc, "transducer": recognizer.has_transducer}
    present = [head for head in reversed(HEADS) if has[head]]
    if not present:
        raise AsrkdError(
            f"{where}: an attention model, which sherpa-onnx cannot run; train a student with ctc: true or a "
            "transducer"
        )
    if wanted is not None and wanted not in present:
        raise AsrkdError(f"{where}: --head {wanted}: the model has {' and '.join(present)}")
    return wanted or present[0]


def _offline(model: LoadedModel, head: str) -> Exported:
    recognizer = model.recognizer
    features = torch.randn(2, EXAMPLE_FRAMES[0], model.architecture.features.num_features)
    axes = {"x": {0: "N", 1: "T"}, "x_lens": {0: "N"}, "out": {0: "N", 1: "T_out"}, "out_lens": {0: "N"}}

    def graph(module: nn.Module, metadata: dict[str, str]) -> Graph:
        inputs = (features, torch.tensor(EXAMPLE_FRAMES))
        return Graph(module, inputs, ("x", "x_lens"), ("out", "out_lens"), axes, metadata | _about(model))

    if head == "ctc":
        graphs = {"model.onnx": graph(OfflineCtc(recognizer), {"model_type": "zipformer2_ctc"})}
        call = ("OfflineRecognizer", "from_zipformer_ctc")
        return Exported("offline-ctc", graphs, {"model": "model.onnx"}, *call, Chunks(None, None), 0)
    transducer = recognizer.transducer
    assert transducer is not None
    encoder = graph(OfflineEncoder(recognizer, transducer), {"model_type": "zipformer2"})
    graphs = {"encoder.onnx": encoder} | _heads(model, transducer)
    call = ("OfflineRecognizer", "from_transducer")
    return Exported("offline-transducer", graphs, _arguments(graphs), *call, Chunks(None, None), 0)


def _streaming(model: LoadedModel, encoder: Conformer, head: str) -> Exported:
    recognizer, where = model.recognizer, str(model.path)
    if encoder.chunks.left is None:
        raise AsrkdError(
            f"{where}: attends to all chunks before (left_chunks: null), and a stream's state has a limit; "
            "give --left-chunks 4, or a number that it was trained with, or --offline"
        )
    container = Container.of(encoder)
    _check_container(container, head, where)
    projection = recognizer.ctc_head
    if head == "transducer":
        assert recognizer.transducer is not None
        projection = recognizer.transducer.project
    assert projection is not None
    names = container.names()
    after = [f"new_{name}" for name in names]
    streams = {name: {axis: "N"} for name, axis in zip(names, container.batch_axes(), strict=True)}
    axes = (
        streams | {f"new_{name}": axis for name, axis in streams.items()} | {"x": {0: "N"}, "out": {0: "N"}}
    )
    step = encoder.chunks.frames or 0
    example: Sequence[Tensor] = [
        torch.randn(2, SUBSAMPLING * step, container.num_features),
        *container.start(2),
    ]
    graph = Graph(
        StreamingEncoder(encoder, projection, log_probs=head == "ctc"),
        tuple(example),
        ("x", *names),
        ("out", *after),
        axes,
        container.metadata(SUBSAMPLING) | _about(model),
    )
    tail = SUBSAMPLING * step
    if head == "ctc":
        graphs, call = {"model.onnx": graph}, ("OnlineRecognizer", "from_zipformer2_ctc")
        return Exported("streaming-ctc", graphs, {"model": "model.onnx"}, *call, encoder.chunks, tail)
    assert recognizer.transducer is not None
    graphs = {"encoder.onnx": graph} | _heads(model, recognizer.transducer)
    call = ("OnlineRecognizer", "from_transducer")
    return Exported("streaming-transducer", graphs, _arguments(graphs), *call, encoder.chunks, tail)


def _check_container(container: Container, head: str, where: str) -> None:
    """Raise AsrkdError unless the container holds the encoder's states."""
    if head == "ctc" and container.embed_width != CTC_EMBED_WIDTH:
        raise AsrkdError(
            f"{where}: reads {container.num_features} features, a streaming CTC model of sherpa-onnx "
            f"{NUM_FEATURES}; prepare with --num-mel-bins {NUM_FEATURES}, or export its transducer"
        )
    if container.embed_needed > container.embed_room:
        raise AsrkdError(
            f"{where}: the front end keeps {container.embed_needed} numbers of a stream, sherpa-onnx has "
            f"room for {container.embed_room}; train with fewer front_end_channels"
        )


def _heads(model: LoadedModel, transducer: Transducer) -> dict[str, Graph]:
    """Return predictor and joiner, the former by the name that sherpa-onnx has for it, decoder."""
    config, joiner = transducer.config, torch.randn(2, transducer.config.joiner_dim)
    sizes = {"vocab_size": str(transducer.out.out_features), "context_size": str(config.context_size)}
    contexts = transducer.predictor.start(2)
    rows = {name: {0: "N"} for name in ("y", "encoder_out", "decoder_out", "logit")}
    about = _about(model)
    return {
        "decoder.onnx": Graph(
            PredictorGraph(transducer),
            (contexts,),
            ("y",),
            ("decoder_out",),
            {name: rows[name] for name in ("y", "decoder_out")},
            sizes | about,
        ),
        "joiner.onnx": Graph(
            JoinerGraph(transducer),
            (joiner, joiner.clone()),
            ("encoder_out", "decoder_out"),
            ("logit",),
            {name: rows[name] for name in ("encoder_out", "decoder_out", "logit")},
            {"joiner_dim": str(config.joiner_dim)} | about,
        ),
    }


def _arguments(graphs: dict[str, Graph]) -> dict[str, str]:
    return {name.split(".")[0]: name for name in graphs}


def _about(model: LoadedModel) -> dict[str, str]:
    """Return metadata about the model: hash of its weights, and the features that it reads."""
    features = model.architecture.features.model_dump(mode="json")
    return {
        "comment": f"exported by asrkd {__version__}; in a zipformer2 container the states are a Conformer's",
        "asrkd_model_sha256": model.weights_sha256,
        "asrkd_features": files.json_text(features).strip(),
    }
