"""Language models that ``--lm`` names: a folder of `asrkd train`, or a file with word n-grams."""

from functools import lru_cache
from pathlib import Path

from asrkd import files
from asrkd.decoding.ngram import WordNgram
from asrkd.errors import AsrkdError
from asrkd.models.directory import LoadedModel, load_language_model
from asrkd.models.stepwise import Stepwise


def open_lm(path: Path, model: LoadedModel, device: str = "cpu") -> Stepwise:
    """The language model at ``path``, to be used beside a recogniser.

    Raises:
        AsrkdError: it cannot be read, or is one over other tokens.
    """
    if not path.is_dir():
        return _word_ngram(path, model)
    lm = load_language_model(path, device)
    if lm.tokens.identity() != model.tokens.identity():
        raise AsrkdError(
            f"--lm {path}: its tokens are not those of {model.path}; train it with the same data.tokens"
        )
    return lm.model


def lm_identity(path: Path) -> dict[str, str]:
    """What a contract says of the language model at ``path``: its hash.

    Raises:
        AsrkdError: there is none, or a folder that holds something else.
    """
    if path.is_dir():
        return {"sha256": load_language_model(path).weights_sha256}
    if not path.is_file():
        raise AsrkdError(f"--lm {path}: no such file or folder")
    return {"sha256": files.sha256(path)}


@lru_cache(maxsize=2)
def _word_ngram(path: Path, model: LoadedModel) -> WordNgram:
    return WordNgram(path, model.tokens)
