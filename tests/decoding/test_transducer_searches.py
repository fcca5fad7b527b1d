"""Transducer searches against every string, an independent beam, and streams in pieces."""

import itertools
import math
import sys
from dataclasses import replace

import pytest
import torch

from asrkd.core.errors import AsrkdError
from asrkd.decoding.hypothesis import EncoderOutputs
from asrkd.decoding.options import SearchOptions
from asrkd.decoding.searches import SEARCHES, find_search
from asrkd.decoding.transducer import exact_log_probs
from asrkd.decoding.transducer_streams import BeamStreams, GreedyStreams
from asrkd.models.config import TransducerConfig
from asrkd.models.transducer import NOTHING, Transducer

NUM_FRAMES = torch.tensor([5, 0, 3, 7])
GREEDY, BEAM = SEARCHES["transducer-greedy"].run, SEARCHES["transducer-beam"].run


def transducer(
    num_tokens: int = 4, context_size: int = 2, seed: int = 0, sharpness: float = 3.0
) -> Transducer:
    torch.manual_seed(seed)
    sizes = TransducerConfig(context_size=context_size, predictor_dim=8, joiner_dim=6)
    model = Transducer(sizes, num_tokens, 5).eval()
    with torch.no_grad():
        model.out.weight.mul_(sharpness)
        model.out.bias[0] += 1.0  # some frames are blank
    return model


def inputs(model: Transducer, seed: int = 1) -> EncoderOutputs:
    encoded = 2 * torch.randn(4, 7, 5, generator=torch.Generator().manual_seed(seed))
    for row, length in enumerate(NUM_FRAMES.tolist()):
        encoded[row, length:] = float("nan")
    return EncoderOutputs(NUM_FRAMES, encoded=encoded, transducer=model)


def at(model: Transducer, encoded: torch.Tensor, tokens: tuple[int, ...]) -> list[float]:
    """log P(next | frame, tokens so far), by the context alone."""
    size = model.config.context_size
    context = [*[NOTHING] * (size - 1), 0, *tokens][-size:]
    with torch.no_grad():
        predicted = model.predictor.after(torch.tensor([context]))[0]
        return model.join(model.frames(encoded), predicted).double().log_softmax(-1).tolist()


def full_sum(model: Transducer, encoded: torch.Tensor, tokens: tuple[int, ...]) -> float:
    """log P(tokens | audio), summed over the frames at which the tokens are emitted."""
    total = 0.0
    for frames in itertools.combinations_with_replacement(range(len(encoded)), len(tokens)):
        log_prob = sum(at(model, encoded[t], tokens[:u])[tokens[u]] for u, t in enumerate(frames))
        log_prob += sum(
            at(model, encoded[now], tokens[: sum(t <= now for t in frames)])[0] for now in range(len(encoded))
        )
        total += math.exp(log_prob)
    return math.log(total)


def one_by_one(model: Transducer, encoded: torch.Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Greedy search of an utterance: tokens and frames."""
    tokens: tuple[int, ...] = ()
    frames: tuple[int, ...] = ()
    for t, frame in enumerate(encoded):
        log_probs = at(model, frame, tokens)
        best = log_probs.index(max(log_probs))
        if best:
            tokens, frames = (*tokens, best), (*frames, t)
    return tokens, frames


def modified_beam(model: Transducer, encoded: torch.Tensor, beam: int) -> dict[tuple[int, ...], float]:
    """Modified beam search of an utterance, written from its description alone."""
    kept = {(): 0.0}
    for frame in encoded:
        sums = {}
        for tokens, score in kept.items():
            for token, log_prob in enumerate(at(model, frame, tokens)):
                sums[tokens, token] = score + log_prob
        best, kept = sorted(sums, key=sums.__getitem__, reverse=True)[:beam], {}
        for tokens, token in best:
            longer = (*tokens, token) if token else tokens
            score = math.exp(sums[tokens, token])
            kept[longer] = math.log(math.exp(kept[longer]) + score) if longer in kept else math.log(score)
    return kept


@pytest.mark.parametrize("context_size", [1, 2, 3])
def test_greedy_search_is_the_likeliest_token_of_each_frame(context_size):
    model = transducer(context_size=context_size)
    batch = inputs(model)
    lists = GREEDY(batch, SearchOptions())
    for row, length in enumerate(NUM_FRAMES.tolist()):
        (best,) = lists[row]
        assert best.tokens == one_by_one(model, batch.encoded[row, :length])[0]
        if length:
            expected = full_sum(model, batch.encoded[row, :length], best.tokens)
            assert best.log_prob == pytest.approx(expected, rel=1e-5)
    assert lists[1][0].tokens == () and lists[1][0].log_prob == 0
    assert sum(len(each[0].tokens) for each in lists) > 3


@pytest.mark.parametrize("beam", [1, 4, 8])
@pytest.mark.parametrize("context_size", [1, 2, 3])
def test_the_beam_is_that_of_an_independent_one(beam, context_size):
    model = transducer(context_size=context_size)
    batch = inputs(model)
    streams = BeamStreams(model, len(batch), beam)
    streams.advance(model.frames(batch.encoded), NUM_FRAMES)
    for row, length in enumerate(NUM_FRAMES.tolist()):
        expected = modified_beam(model, batch.encoded[row, :length], beam)
        ours = streams.hypotheses(row)
        assert {emitted.tokens: score for emitted, score in ours} == pytest.approx(expected, rel=1e-5)
        normed = {tokens: score / (len(tokens) + context_size) for tokens, score in expected.items()}
        assert ours[0][0].tokens == max(normed, key=normed.__getitem__)


def test_a_wide_beam_finds_the_best_of_all_strings_with_exact_scores():
    """At most a token a frame: strings of up to three tokens for three frames, of up to four for four."""
    model = transducer(num_tokens=3)
    encoded = 2 * torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(4))
    batch = EncoderOutputs(torch.tensor([3, 4]), encoded=encoded, transducer=model)
    lists = BEAM(batch, SearchOptions(beam=200, num_best=6))
    for row, length in ((0, 3), (1, 4)):
        strings = [s for n in range(length + 1) for s in itertools.product((1, 2), repeat=n)]
        scores = {s: full_sum(model, encoded[row, :length], s) for s in strings}
        expected = sorted(strings, key=scores.__getitem__, reverse=True)[:6]
        assert [hypothesis.tokens for hypothesis in lists[row]] == expected
        for hypothesis in lists[row]:
            assert hypothesis.log_prob == pytest.approx(scores[hypothesis.tokens], rel=1e-5)


@pytest.mark.parametrize("search", [GREEDY, BEAM])
def test_a_batch_gives_what_each_utterance_gives_alone(search):
    model = transducer(num_tokens=9, seed=2)
    batch = inputs(model)
    options = SearchOptions(beam=4, num_best=3)
    together = search(batch, options)
    for row, length in enumerate(NUM_FRAMES.tolist()):
        alone = EncoderOutputs(
            NUM_FRAMES[row : row + 1], encoded=batch.encoded[row : row + 1, :length], transducer=model
        )
        (lonely,) = search(alone, options)
        assert [h.tokens for h in lonely] == [h.tokens for h in together[row]]
        assert [h.log_prob for h in lonely] == pytest.approx([h.log_prob for h in together[row]], rel=1e-5)


@pytest.mark.parametrize("pieces", [[1] * 7, [3, 1, 3], [2, 5]])
@pytest.mark.parametrize("kind", ["greedy", "beam"])
def test_streams_in_pieces_emit_what_whole_ones_do(pieces, kind):
    model = transducer(num_tokens=9, seed=3)
    batch = inputs(model)
    frames = model.frames(batch.encoded)

    def streams():
        return GreedyStreams(model, 4) if kind == "greedy" else BeamStreams(model, 4, 4)

    def emitted(streams):
        return streams.emitted if kind == "greedy" else [streams.hypotheses(row)[0][0] for row in range(4)]

    whole, cut = streams(), streams()
    whole.advance(frames, NUM_FRAMES)
    first = 0
    for size in pieces:
        cut.advance(frames[:, first : first + size], (NUM_FRAMES - first).clamp(0, size))
        first += size
    assert emitted(cut) == emitted(whole)
    for row, length in enumerate(NUM_FRAMES.tolist()):
        if kind == "greedy":
            tokens_and_frames = (emitted(whole)[row].tokens, emitted(whole)[row].frames)
            assert tokens_and_frames == one_by_one(model, batch.encoded[row, :length])


def test_a_token_that_is_silent_is_not_emitted():
    model = transducer()
    batch = inputs(model)
    assert any(2 in best.tokens for (best,) in GREEDY(batch, SearchOptions()))
    for search in (GREEDY, BEAM):
        for hypotheses in search(replace(batch, silent=(0, 2)), SearchOptions(num_best=4)):
            assert not any(2 in hypothesis.tokens for hypothesis in hypotheses)


def test_without_frames_only_nothing_is_possible():
    batch = inputs(transducer())
    candidates = [[(1,)], [(), (1, 2)], [], [()]]
    scores = exact_log_probs(batch, batch.transducer.frames(batch.encoded).nan_to_num(), candidates)
    assert scores[1:3] == [0.0, float("-inf")] and -50 < scores[0] < 0 and -50 < scores[3] < 0


def test_nan_in_a_frame_is_refused():
    batch = inputs(transducer())
    batch.encoded[2, 1, 0] = float("nan")
    for search in (GREEDY, BEAM):
        with pytest.raises(AsrkdError, match="gives NaN at output frame 1 of utterance 2 of the batch"):
            search(batch, SearchOptions())


def test_other_models_are_refused():
    for search in (GREEDY, BEAM):
        with pytest.raises(ValueError, match="needs a transducer"):
            search(EncoderOutputs(NUM_FRAMES), SearchOptions())


def likeliest_path(
    model: Transducer, encoded: torch.Tensor
) -> tuple[float, tuple[int, ...], tuple[int, ...]]:
    """The best of all paths with one token or blank at each frame: log-probability, tokens, their frames."""
    best = (-math.inf, (), ())
    for labels in itertools.product(range(4), repeat=len(encoded)):
        log_prob, tokens = 0.0, ()
        for frame, label in zip(encoded, labels, strict=True):
            log_prob += at(model, frame, tokens)[label]
            tokens = (*tokens, label) if label else tokens
        best = max(best, (log_prob, tokens, tuple(t for t, label in enumerate(labels) if label)))
    return best


@pytest.mark.parametrize("context_size", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_k2_lattices_hold_the_best_path_and_the_likeliest_of_every_string(context_size, seed):
    pytest.importorskip("k2", reason="needs k2: run the tests on the k2 stack, STACK=k2 make test")
    model = transducer(context_size=context_size, seed=seed, sharpness=6.0)
    outputs, options = inputs(model), SearchOptions(beam=64, num_best=64)
    listed = SEARCHES["transducer-k2"].run(outputs, options)
    assert [each.tokens for each in listed[1]] == [()]  # no frames
    frames = outputs.encoded[2, :3]
    scores = {each.tokens: each.log_prob for each in listed[2]}
    assert list(scores.values()) == sorted(scores.values(), reverse=True) and len(scores) == len(listed[2])
    for tokens in list(scores)[:4]:
        assert scores[tokens] == pytest.approx(full_sum(model, frames, tokens), abs=1e-4)
    sums = modified_beam(model, frames, 4**4)  # of all strings
    assert max(sums, key=sums.__getitem__) in scores
    _, tokens, emitted_at = likeliest_path(model, frames)
    assert {each.tokens: each.frames for each in listed[2]}[tokens] == emitted_at


def test_of_models_whose_frames_emit_a_token_at_most_k2_finds_what_the_beam_finds():
    pytest.importorskip("k2", reason="needs k2: run the tests on the k2 stack, STACK=k2 make test")
    options, lengths = SearchOptions(beam=32, num_best=4), set()
    for seed, context_size in itertools.product(range(8), [1, 2, 3]):
        model = transducer(context_size=context_size, seed=seed)
        with torch.no_grad():
            model.out.bias[0] += 3.0
        outputs = inputs(model)
        by_beam, by_k2 = BEAM(outputs, options), SEARCHES["transducer-k2"].run(outputs, options)
        for expected, listed in zip(by_beam, by_k2, strict=True):
            assert listed[0].tokens == expected[0].tokens
            assert listed[0].log_prob == pytest.approx(expected[0].log_prob, abs=1e-5)
            lengths.add(len(listed[0].tokens))
    assert len(lengths) > 1


def test_k2_lattices_emit_no_silent_token_and_know_no_neighbors():
    pytest.importorskip("k2", reason="needs k2: run the tests on the k2 stack, STACK=k2 make test")
    model = transducer(seed=3)
    outputs = replace(inputs(model), silent=(0, 2))
    options = SearchOptions(beam=8, num_best=8)
    together = SEARCHES["transducer-k2"].run(outputs, options)
    assert not any(2 in hypothesis.tokens for listed in together for hypothesis in listed)
    for row in range(4):
        alone = replace(outputs, num_frames=NUM_FRAMES[row : row + 1], encoded=outputs.encoded[row : row + 1])
        [listed] = SEARCHES["transducer-k2"].run(alone, options)
        assert [each.tokens for each in listed] == [each.tokens for each in together[row]]


def test_without_k2_its_lattices_are_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "k2", None)
    with pytest.raises(
        AsrkdError, match="^--search transducer-k2 needs k2: .* use --search transducer-beam, "
    ) as error:
        find_search("transducer-k2")
    assert "\n" not in str(error.value)
