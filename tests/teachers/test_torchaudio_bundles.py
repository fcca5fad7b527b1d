"""torchaudio's models by name: fetched from one place, kept as safetensors, the same on both stacks."""

import json
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import torch
import torchaudio

from asrkd.commands.convert_teacher import convert
from asrkd.core.errors import AsrkdError
from asrkd.models.encoder import Tap
from asrkd.teachers import torchaudio_bundles
from asrkd.teachers.loading import open_teacher
from asrkd.teachers.torchaudio_model import TorchaudioConfig
from tests.teachers.tiny import arguments


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A bundle called TINY, and its model; its state is not in the cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    bundle = SimpleNamespace(_params=arguments("base"), _path="tiny.pth", sample_rate=16000)
    monkeypatch.setattr(torchaudio.pipelines, "TINY", bundle, raising=False)
    torch.manual_seed(4)
    return torchaudio.models.wav2vec2_model(**arguments("base")).eval()


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder whose files are fetched in place of torchaudio's."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(torchaudio_bundles, "_BASE_URL", f"http://127.0.0.1:{server.server_port}/")
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_bundle_is_fetched_once_and_is_the_librarys_model(tiny, served, spoken_cuts):
    torch.save(tiny.state_dict(), served / "tiny.pth")
    teacher = open_teacher("torchaudio:TINY")
    (embedded,) = teacher.embeddings(spoken_cuts[:1], [Tap(2)])
    samples = torch.from_numpy(spoken_cuts[0].load_audio())
    with torch.no_grad():
        expected, _ = tiny.extract_features(samples)
    torch.testing.assert_close(embedded.tapped[Tap(2)], expected[1][0], rtol=0, atol=1e-5)
    (served / "tiny.pth").unlink()
    assert open_teacher("torchaudio:TINY").weights_sha256 == teacher.weights_sha256


def test_without_a_network_a_local_file_is_suggested(tiny, served, tmp_path):
    with pytest.raises(AsrkdError) as error:
        open_teacher("torchaudio:TINY")
    said = str(error.value)
    assert said.startswith("torchaudio:TINY: cannot be downloaded (HTTP Error 404")
    assert said.endswith("asrkd distill convert tiny.pth --bundle TINY --out DIR, and give --teacher DIR")
    assert "\n" not in said
    torch.save(tiny.state_dict(), tmp_path / "tiny.pth")
    convert(tmp_path / "tiny.pth", tmp_path / "local", "TINY")  # as it says
    assert open_teacher(tmp_path / "local").layer_dim(Tap(1)) == 16


def test_a_name_that_there_is_not_comes_with_the_nearest():
    with pytest.raises(AsrkdError, match="torchaudio:HUBERT_BSAE: .* nearest names: HUBERT_BASE"):
        open_teacher("torchaudio:HUBERT_BSAE")


@pytest.mark.parametrize(
    ("name", "epsilon", "layers", "dim"),
    [
        ("HUBERT_BASE", None, 12, 768),
        ("WAV2VEC2_LARGE", None, 24, 1024),
        ("HUBERT_LARGE", 1e-5, 24, 1024),  # torchaudio 0.13 does not normalize for it
        ("HUBERT_ASR_XLARGE", 1e-5, 48, 1280),
    ],
)
def test_bundles_are_described_alike_on_either_stack(name, epsilon, layers, dim):
    url, described = torchaudio_bundles.describe_bundle(name)
    settings = TorchaudioConfig(**json.loads(json.dumps(described)))
    assert url.startswith("https://download.pytorch.org/torchaudio/models/")
    assert settings.epsilon == epsilon
    assert (settings.arguments["encoder_num_layers"], settings.arguments["encoder_embed_dim"]) == (
        layers,
        dim,
    )
    assert settings.sampling_rate == 16000
