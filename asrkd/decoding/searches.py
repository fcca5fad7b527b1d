"""The searches that ``--search`` can name: what each needs, which options it reads, what it gives."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from torch import Tensor

from asrkd.core.errors import AsrkdError
from asrkd.decoding import greedy, k2_lattice, prefix_beam
from asrkd.decoding.attention_beam import attention_beam_search
from asrkd.decoding.hypothesis import Hypothesis
from asrkd.decoding.options import DecoderOptions, SearchOptions
from asrkd.decoding.rescoring import rescore
from asrkd.decoding.search_input import EncoderOutputs

Found = list[list[Hypothesis]]  # of each utterance, best first

RANKING = ("length_norm", "alpha", "token_bonus")
OF_DECODERS = (*RANKING, "eos_factor", "max_length_ratio")


@dataclass(frozen=True)
class Search:
    """A search by its name."""

    name: str
    needs: frozenset[str]  # parts of a recognizer: "ctc", "decoder"
    run: Callable[[EncoderOutputs, SearchOptions], Found]
    meaning: str  # of a hypothesis's log_prob
    reads: tuple[str, ...] = ()  # of DecoderOptions
    reads_with_lm: tuple[str, ...] | None = ()  # the same beside a language model; None: there can be none

    def read(self, options: SearchOptions) -> tuple[str, ...]:
        """Names of the :class:`DecoderOptions` that have a say."""
        return self.reads + ((self.reads_with_lm or ()) if options.lm is not None else ())

    def check(self, options: SearchOptions) -> None:
        """Raise AsrkdError if an option was given that this search has no use for."""
        if options.lm is not None and self.reads_with_lm is None:
            raise AsrkdError(f"--lm {options.lm}: --search {self.name} has no use for a language model")
        for field in fields(DecoderOptions):
            if field.name not in self.read(options) and getattr(options.decoder, field.name) != field.default:
                raise AsrkdError(
                    f"--{field.name.replace('_', '-')}: --search {self.name} has no use for it"
                    + (" without --lm" if field.name in (self.reads_with_lm or ()) else "")
                )

    def described(self, options: SearchOptions) -> dict[str, Any]:
        """What a contract or a score says of it: its name, and the options that it reads."""
        shared = {name: getattr(options, name) for name in ("beam", "num_best", "max_tokens_per_frame")}
        own = {name: value for name, value in asdict(options.decoder).items() if name in self.read(options)}
        return {"name": self.name} | shared | own


def _over_frames(search: Callable[[Tensor, Tensor, SearchOptions], Found]) -> Callable[..., Found]:
    """A search over CTC's log-probabilities; a language model ranks all that is in its beam anew."""

    def run(heard: EncoderOutputs, options: SearchOptions) -> Found:
        if heard.lm is None:
            return search(heard.for_ctc(), heard.num_frames, options)
        found = search(heard.for_ctc(), heard.num_frames, replace(options, num_best=options.beam))
        return rescore(heard, _tokens(found), {"ctc": 1.0}, options)

    return run


def _attention(heard: EncoderOutputs, options: SearchOptions) -> Found:
    decoder, encoded = heard.for_decoder()
    return attention_beam_search(decoder, encoded, heard.num_frames, options, heard.lm)


def _joint(heard: EncoderOutputs, options: SearchOptions) -> Found:
    """All that a beam over CTC and one over the decoder find, ranked by both."""
    everything = replace(options, num_best=options.beam)
    by_ctc = _tokens(prefix_beam.search(heard.for_ctc(), heard.num_frames, everything))
    by_attention = _tokens(_attention(heard, everything))
    candidates = [sorted({*one, *other}) for one, other in zip(by_ctc, by_attention, strict=True)]
    weight = options.decoder.ctc_weight
    return rescore(heard, candidates, {"ctc": weight, "attention": 1 - weight}, options)


def _tokens(found: Found) -> list[list[tuple[int, ...]]]:
    return [[hypothesis.tokens for hypothesis in own] for own in found]


_CTC = "log P(token sequence | audio) in nats, over all alignments, exact"
_ATTENTION = "log P(token sequence and its end | audio) in nats under the attention decoder, exact"
_JOINT = "ctc_weight * log P by CTC + (1 - ctc_weight) * log P by the attention decoder, in nats, both exact"

SEARCHES = {
    search.name: search
    for search in (
        Search("greedy", frozenset({"ctc"}), _over_frames(greedy.search), _CTC, reads_with_lm=None),
        Search(
            "prefix-beam",
            frozenset({"ctc"}),
            _over_frames(prefix_beam.search),
            _CTC,
            reads_with_lm=("lm_weight", *RANKING),
        ),
        Search(
            "k2",
            frozenset({"ctc"}),
            _over_frames(k2_lattice.search),
            _CTC,
            reads_with_lm=("lm_weight", *RANKING),
        ),
        Search("attention", frozenset({"decoder"}), _attention, _ATTENTION, OF_DECODERS, ("lm_weight",)),
        Search(
            "joint",
            frozenset({"ctc", "decoder"}),
            _joint,
            _JOINT,
            ("ctc_weight", *OF_DECODERS),
            ("lm_weight",),
        ),
    )
}


def find_search(name: str, options: SearchOptions | None = None) -> Search:
    """The search called ``name``, known to work here with ``options``.

    Raises:
        AsrkdError: there is no such search, it needs a package that is
            missing, or it has no use for an option that was given.
    """
    if name not in SEARCHES:
        raise AsrkdError(f"--search {name}: expected one of {', '.join(SEARCHES)}")
    if name == "k2":
        k2_lattice.import_k2()
    search = SEARCHES[name]
    if options is not None:
        search.check(options)
    return search
