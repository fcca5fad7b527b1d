"""Table of the searches of ``--search``: the parts of a model that each needs, and the options that it reads.

All searches have one signature, ``search(inputs, options)``, and return per
utterance a list of hypotheses with exact scores, best first.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from asrkd.core.errors import AsrkdError
from asrkd.core.installed import import_k2
from asrkd.decoding import attention_beam, greedy, k2_lattice, k2_transducer, prefix_beam, transducer
from asrkd.decoding.hypothesis import EncoderOutputs, Hypothesis
from asrkd.decoding.options import DecoderOptions, SearchOptions
from asrkd.decoding.rescoring import rescore


def joint_search(inputs: EncoderOutputs, options: SearchOptions) -> list[list[Hypothesis]]:
    """Rank the union of a CTC beam and a decoder's beam by the exact scores of both models.

    Args:
        inputs: encoder outputs with CTC head and decoder, and perhaps a language model.
        options: ``decoder.ctc_weight`` is the share of CTC in the score.

    Returns:
        N lists of 1..``num_best`` different hypotheses; see :func:`asrkd.decoding.rescoring.rescore`.
    """
    whole_beam = replace(options, num_best=options.beam)
    by_ctc = prefix_beam.search(replace(inputs, lm=None), whole_beam)
    by_attention = attention_beam.search(inputs, whole_beam)
    candidates = [
        sorted({hypothesis.tokens for hypothesis in (*ctc, *attention)})
        for ctc, attention in zip(by_ctc, by_attention, strict=True)
    ]
    weight = options.decoder.ctc_weight
    return rescore(inputs, candidates, {"ctc": weight, "attention": 1 - weight}, options)


@dataclass(frozen=True)
class Search:
    """Search with the parts of a recognizer that it needs and the :class:`DecoderOptions` that it reads."""

    run: Callable[[EncoderOutputs, SearchOptions], list[list[Hypothesis]]]
    needs: frozenset[str]  # "ctc", "decoder", "transducer"
    meaning: str  # meaning of a hypothesis's log_prob
    reads: tuple[str, ...] = ()  # names of DecoderOptions
    reads_with_lm: tuple[str, ...] | None = ()  # further names beside a language model; None: accepts none

    def read(self, options: SearchOptions) -> tuple[str, ...]:
        """Return the names of the :class:`DecoderOptions` that take effect."""
        return self.reads + ((self.reads_with_lm or ()) if options.lm is not None else ())


RANKING = ("length_norm", "alpha", "token_bonus")
OF_DECODERS = (*RANKING, "eos_factor", "max_length_ratio")

_CTC = "log P(token sequence | audio) in nats, over all alignments, exact"
_ATTENTION = "log P(token sequence and its end | audio) in nats under the attention decoder, exact"
_TRANSDUCER = "log P(token sequence | audio) in nats under the transducer, over all alignments, exact"
_JOINT = "ctc_weight * log P by CTC + (1 - ctc_weight) * log P by the attention decoder, in nats, both exact"

SEARCHES = {
    "greedy": Search(greedy.search, frozenset({"ctc"}), _CTC, reads_with_lm=None),
    "prefix-beam": Search(
        prefix_beam.search, frozenset({"ctc"}), _CTC, reads_with_lm=("lm_weight", *RANKING)
    ),
    "k2": Search(k2_lattice.search, frozenset({"ctc"}), _CTC, reads_with_lm=("lm_weight", *RANKING)),
    "attention": Search(
        attention_beam.search, frozenset({"decoder"}), _ATTENTION, OF_DECODERS, reads_with_lm=("lm_weight",)
    ),
    "joint": Search(
        joint_search,
        frozenset({"ctc", "decoder"}),
        _JOINT,
        ("ctc_weight", *OF_DECODERS),
        reads_with_lm=("lm_weight",),
    ),
    "transducer-greedy": Search(
        transducer.greedy_search, frozenset({"transducer"}), _TRANSDUCER, reads_with_lm=None
    ),
    "transducer-beam": Search(
        transducer.beam_search, frozenset({"transducer"}), _TRANSDUCER, RANKING, reads_with_lm=None
    ),
    "transducer-k2": Search(
        k2_transducer.search, frozenset({"transducer"}), _TRANSDUCER, RANKING, reads_with_lm=None
    ),
}


def find_search(name: str, options: SearchOptions | None = None) -> Search:
    """Return the search ``name``, after checking that it is installed and reads every option set.

    Raises:
        AsrkdError: there is no such search, it needs a package that is
            missing, or an option has no effect on it.
    """
    if name not in SEARCHES:
        raise AsrkdError(f"--search {name}: expected one of {', '.join(SEARCHES)}")
    for module in (k2_lattice, k2_transducer):
        if f"--search {name}" == module.OPTION:
            import_k2(module.OPTION, module.WITHOUT_K2)
    search = SEARCHES[name]
    if options is not None:
        _check_options(name, search, options)
    return search


def _check_options(name: str, search: Search, options: SearchOptions) -> None:
    """Raise AsrkdError if an option differs from its default and has no effect on the search."""
    if options.lm is not None and search.reads_with_lm is None:
        raise AsrkdError(f"--lm {options.lm}: has no effect with --search {name}; remove it")
    for field in fields(DecoderOptions):
        if field.name not in search.read(options) and getattr(options.decoder, field.name) != field.default:
            option = "--" + field.name.replace("_", "-")
            needs_lm = field.name in (search.reads_with_lm or ())
            raise AsrkdError(
                f"{option} has no effect with --search {name}"
                + (" without --lm; add --lm, or remove it" if needs_lm else "; remove it")
            )
