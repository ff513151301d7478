"""Baselines against independent answers: dense solutions, losses by hand, and their gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch

from trace_erasure.baselines import ant, mace
from trace_erasure.baselines.attention_hooks import record_attention
from trace_erasure.baselines.base import BaselineContext
from trace_erasure.baselines.cached_rollouts import ConceptRollouts
from trace_erasure.baselines.closed_form_common import least_squares
from trace_erasure.baselines.eraseanything import EraseAnything, shuffled
from trace_erasure.baselines.esd import ESD
from trace_erasure.baselines.last_token import last_columns, tail_columns
from trace_erasure.baselines.mace import MACE
from trace_erasure.baselines.trainable import dense, lora
from trace_erasure.baselines.uce import UCE
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import EraseConfig
from trace_erasure.math import attention_maps as maps
from trace_erasure.math import baseline_edits
from trace_erasure.math.adversarial_rounds import adversarial_columns
from trace_erasure.math.closed_form import Edit
from trace_erasure.math.lowrank import LowRank, from_dense
from trace_erasure.math.subspaces import gram
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import TOKENS, Conditioning
from trace_erasure.pipeline.rollouts import Rollouts
from trace_erasure.testing import tiny_flux, tiny_flux2_klein, tiny_sd3, tiny_stable_diffusion
from trace_erasure.trace.request import resolve
from trace_erasure.trace.training import TrainingConfig, train

D, OUT = 7, 5
CAPTIONS = tuple(f"a picture of a {word}" for word in ("dog", "tree", "house", "boat", "fox"))
CONCEPT = Concept("fox", surrogate="horse", templates=("{x}", "a photo of a {x}"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def descend(loss, start: torch.Tensor) -> torch.Tensor:
    """The minimiser of a strictly convex quadratic, found by its derivatives alone."""
    start = start.detach().requires_grad_(True)
    gradient = torch.autograd.grad(loss(start), start)[0].flatten()
    hessian = torch.autograd.functional.hessian(loss, start).reshape(len(gradient), -1)
    return start.detach() - torch.linalg.solve(hessian, gradient).view_as(start)


def context_for(pipe, concept: Concept = CONCEPT) -> BaselineContext:
    denoiser = Denoiser(pipe)
    denoiser.network.requires_grad_(False)
    planned = resolve(denoiser, EraseConfig((concept,)), CAPTIONS)
    return BaselineContext(denoiser, planned, CAPTIONS, 0, None)


# Closed forms -----------------------------------------------------------------------------


def test_least_squares_is_the_minimum_of_what_it_says():
    """UCE's objective, minimised densely over W′ itself."""
    weight, c, s, r = (
        normal(OUT, D),
        normal(D, 3, seed=1),
        normal(D, 3, seed=2),
        normal(D, 4, seed=3),
    )
    edit = least_squares(c, s, r, penalty=0.5, preserve=0.7)

    def loss(new):
        erased = (new @ c - weight @ s).square().sum()
        kept = 0.7 * (new @ r - weight @ r).square().sum()
        return erased + kept + 0.5 * r.square().mean() * (new - weight).square().sum()

    torch.testing.assert_close(weight @ edit.matrix(), descend(loss, weight), atol=1e-9, rtol=1e-9)


def test_uce_edits_every_map_by_the_dense_solution():
    pipe = tiny_stable_diffusion()
    context = context_for(pipe)
    denoiser = context.denoiser
    delta = UCE(guide=None).solve(context).closed_form
    phrases = context.concepts[0].phrases
    ends = [len(pipe.tokenizer(phrase).input_ids) - 2 for phrase in phrases]
    rows = denoiser.embeddings(phrases)[0]
    c = torch.stack([row[end] for row, end in zip(rows, ends, strict=True)], dim=1)
    horse = denoiser.embeddings(["horse"])[0][0, 1]
    s = horse[:, None].expand_as(c)
    kept = [denoiser.embeddings([prompt])[0][0] for prompt in context.request.retain]
    ends = [len(pipe.tokenizer(prompt).input_ids) - 2 for prompt in context.request.retain]
    r = torch.stack([rows[end] for rows, end in zip(kept, ends, strict=True)], dim=1)
    assert r.shape[1] > 1
    penalty = 0.5 * r.square().mean() * torch.eye(len(r), dtype=r.dtype)
    for path, layer in denoiser.maps().items():
        w = layer.weight.double()
        right = w @ s @ c.mT + w @ r @ r.mT + w @ penalty
        dense = right @ torch.linalg.inv(c @ c.mT + r @ r.mT + penalty)
        torch.testing.assert_close(w + delta[path].dense(), dense, atol=1e-8, rtol=1e-8)


def test_a_guide_that_says_nothing_is_the_first_token_of_the_empty_prompt():
    for pipe in (tiny_stable_diffusion(), tiny_flux(positions=24)):
        denoiser = Denoiser(pipe)
        (found,) = last_columns(denoiser, [""], TOKENS)
        assert torch.equal(found[:, 0], denoiser.embeddings([""])[0][0, 0])


def test_tails_begin_at_the_last_word_and_are_of_one_length():
    denoiser = Denoiser(tiny_stable_diffusion())
    own, other = tail_columns(denoiser, "red fox", "", TOKENS)
    rows, empty = denoiser.embeddings(["red fox", ""])[0]
    torch.testing.assert_close(own, rows[2:].mT)
    torch.testing.assert_close(other, empty[: len(rows) - 2].mT)


def test_the_adversarial_embedding_is_the_best_there_is():
    weights = [normal(OUT, D, seed=i) for i in range(3)]
    edit = Edit(normal(D, 2, seed=5), normal(2, D, seed=6), 0.0, 0.0)
    concept = normal(D, 2, seed=7)
    found = adversarial_columns(edit, concept, gram(weights), 0.3)

    def loss(e):
        edited = sum((w @ edit.apply(e) - w @ concept).square().sum() for w in weights)
        return edited + 0.3 * e.square().sum()

    torch.testing.assert_close(found, descend(loss, concept), atol=1e-9, rtol=1e-9)


def test_composed_edits_are_made_one_after_the_other():
    first = Edit(normal(D, 2), normal(2, D, seed=1), 0.0, 0.0)
    then = Edit(normal(D, 3, seed=2), normal(3, D, seed=3), 0.0, 0.0)
    weight = normal(OUT, D, seed=4)
    edited = weight @ first.matrix()
    torch.testing.assert_close(
        weight @ baseline_edits.compose(first, then).matrix(), edited @ then.matrix()
    )


def test_a_second_round_is_the_least_squares_on_the_edited_maps():
    """RECE's round, with new weights in the place of a factor."""
    weight, c, s, r = (
        normal(OUT, D),
        normal(D, 2, seed=1),
        normal(D, 2, seed=2),
        normal(D, 3, seed=3),
    )
    options = dict(penalty=0.5, preserve=0.1)
    first = least_squares(c, s, r, **options)
    again = adversarial_columns(first, c, gram([weight]), 0.1)
    both = baseline_edits.compose(first, least_squares(again, s, r, **options))
    new = weight @ first.matrix()

    def loss(w):
        erased = (w @ again - new @ s).square().sum()
        kept = 0.1 * (w @ r - new @ r).square().sum()
        return erased + kept + 0.5 * r.square().mean() * (w - new).square().sum()

    torch.testing.assert_close(weight @ both.matrix(), descend(loss, new), atol=1e-8, rtol=1e-8)


def published_speed(c, anchor, free, hold, rho):
    """Δ = (A − T) P [I − M K (Kᵀ P M K + λI)⁻¹ Kᵀ P] M, M = (T P + ρI)⁻¹, at λ → 0 and W = I."""
    eye = torch.eye(len(c), dtype=c.dtype)
    t, a, p = c @ c.mT / c.shape[1], anchor @ c.mT / c.shape[1], free @ free.mT
    m = torch.linalg.inv(t @ p + rho * eye)
    inner = torch.linalg.inv(hold.mT @ p @ m @ hold)
    return (a - t) @ p @ (eye - m @ hold @ inner @ hold.mT @ p) @ m


def test_speed_is_the_published_formula_and_the_constrained_minimum():
    c, anchor, hold = normal(D, 3), normal(D, 3, seed=1), normal(D, 2, seed=2)
    free = torch.linalg.qr(normal(D, 5, seed=3)).Q
    edit = baseline_edits.speed_edit(c, anchor, free, hold, 0.4)
    change = edit.shift @ edit.read
    rho, p = 0.4 * c.square().mean(), free @ free.mT
    dense = published_speed(c, anchor, free, hold, rho)
    torch.testing.assert_close(change, dense, atol=1e-9, rtol=1e-9)
    # The constraints hold, and within them nothing is better.
    torch.testing.assert_close(change @ hold, torch.zeros(D, 2, dtype=c.dtype), atol=1e-10, rtol=0)
    torch.testing.assert_close(change @ p, change, atol=1e-10, rtol=0)
    inside = free @ torch.linalg.qr(free.mT @ hold, mode="complete").Q[:, 2:]

    def loss(x):
        moved = (c + x @ inside.mT @ c - anchor).square().sum() / 3
        return moved + rho * x.square().sum()

    best = descend(loss, torch.zeros(D, inside.shape[1], dtype=c.dtype)) @ inside.mT
    torch.testing.assert_close(change, best, atol=1e-9, rtol=1e-9)


def test_the_null_space_is_where_the_retained_have_little_energy():
    retained = normal(D, 3) * 2
    moment = retained @ retained.mT / 3
    free = baseline_edits.null_basis(moment, 0.1)
    assert free.shape == (D, D - 3)
    torch.testing.assert_close(
        free.mT @ retained, torch.zeros(D - 3, 3, dtype=free.dtype), atol=1e-9, rtol=0
    )


def test_fusion_is_the_minimum_of_what_it_says():
    """MACE's third stage, minimised densely over the change of the map."""
    changes = [LowRank(normal(1, D, seed=i), normal(OUT, 1, seed=i + 9)) for i in range(2)]
    inputs = [normal(D, 4, seed=20 + i) for i in range(2)]
    keep = normal(D, 9, seed=30)
    sigma = 0.2 * keep @ keep.mT
    found = baseline_edits.fused_change(changes, [c @ c.mT for c in inputs], sigma, 0.3)

    def loss(change):
        pairs = zip(changes, inputs, strict=True)
        own = sum(((change - x.dense()) @ c).square().sum() for x, c in pairs)
        return own + (change @ sigma @ change.mT).trace() + 0.3 * change.square().sum()

    zero = torch.zeros(OUT, D, dtype=torch.float64)
    torch.testing.assert_close(found.dense(), descend(loss, zero), atol=1e-9, rtol=1e-9)
    assert found.rank == 2


def test_centres_find_the_clusters():
    groups = [normal(2, 1, seed=i) * 50 + normal(2, 6, seed=i + 5) for i in range(3)]
    found = baseline_edits.kmeans_centres(torch.cat(groups, dim=1), 3)
    for group in groups:
        assert (found - group.mean(1, keepdim=True)).norm(dim=0).min() < 1e-9


def test_a_dense_change_is_low_rank_without_loss_and_without_empty_directions():
    full = normal(OUT, D).float()
    torch.testing.assert_close(from_dense(full).dense(), full, atol=1e-6, rtol=1e-5)
    assert from_dense(full).rank == OUT
    thin = (normal(OUT, 2) @ normal(2, D, seed=1)).float()
    assert from_dense(thin).rank == 2


# Losses by hand ---------------------------------------------------------------------------


class Plain:
    """A network that says x + gain · t + its prompt's one number, so that losses can be counted."""

    def __init__(self) -> None:
        self.gain = torch.tensor(0.0, requires_grad=True)
        self.shift = torch.tensor(0.0, requires_grad=True)

    def predict(self, x, t, conditioning, guidance=1.0):
        said = conditioning.tokens[:, 0, 0]
        # The shift acts on named prompts alone.
        value = said + self.gain * t + self.shift * (said != 0)
        return x + value[:, None, None, None]


def plain_states() -> ConceptRollouts:
    """Two states of zeros at t = 1 (late) and t = 3 (early); e_p = 2, e_0 = 0.5 everywhere."""
    rollouts = Rollouts(
        torch.zeros(2, 1, 1, 2),
        torch.tensor([1.0, 3.0]),
        torch.tensor([0.2, 0.9]),
        torch.tensor([0, 0]),
        torch.tensor([0, 0]),
    )
    named, empty = Conditioning(torch.full((1, 1, 1), 2.0)), Conditioning(torch.zeros(1, 1, 1))
    return ConceptRollouts(
        rollouts, named, empty, torch.full((2, 1, 1, 2), 2.0), torch.full((2, 1, 1, 2), 0.5)
    )


@pytest.mark.parametrize("guidance", [1.0, 7.5])
def test_ant_counts_what_the_formula_says(guidance):
    network = Plain()
    terms = ant.losses(
        network,  # type: ignore[arg-type]
        plain_states(),
        torch.tensor([0]),
        torch.tensor([1]),
        eta=0.5,
        guidance=guidance,
    )
    # The student says 2 for the concept and 0 for the empty prompt, the teacher 2 and 0.5.
    teacher = 0.5 + guidance * 1.5
    student = guidance * 2.0
    assert terms["reverse"].item() == pytest.approx((student - (0.5 - 0.5 * (teacher - 0.5))) ** 2)
    assert terms["keep"].item() == pytest.approx((student - (0.5 + 0.5 * (teacher - 0.5))) ** 2)
    assert terms["reverse_empty"].item() == terms["keep_empty"].item() == pytest.approx(0.25)
    for name, term in terms.items():
        gradient = torch.autograd.grad(term, network.gain, retain_graph=True)[0]
        assert gradient.abs() > 0, name


def test_ant_reverses_late_states_and_keeps_early_ones():
    """The paper's time axis: late is the clean end, at every number of sampler steps."""
    context = context_for(tiny_stable_diffusion())
    for steps in (5, 12):
        method = ant.ANTSingle(noise_level=0.7, sampler_steps=steps, trajectories=2)
        states = method.states(context, context.concepts)
        seen: list[torch.Tensor] = []
        real = ant.losses

        def spy(denoiser, states, late, early, seen=seen, real=real, **options):
            seen.append((states.rollouts.noise_levels[late], states.rollouts.noise_levels[early]))
            return real(denoiser, states, late, early, **options)

        ant.losses = spy
        try:
            method.terms(context, states, torch.Generator().manual_seed(0))
        finally:
            ant.losses = real
        (late, early) = seen[0]
        assert late.max() <= 0.7 < early.min()


def test_the_mask_keeps_the_most_salient():
    assert ant.largest_mask(torch.tensor([[0.1, 4.0], [3.0, 0.2]]), 0.5).tolist() == [
        [0, 1],
        [1, 0],
    ]


def test_terms_are_weighted_as_declared():
    """One step of Adam goes by the sign: the heavier term wins."""
    weight = torch.zeros(1, requires_grad=True)
    train(
        {"w": weight},
        lambda *_: {"up": (weight - 1).square().sum(), "down": (weight + 1).square().sum()},
        TrainingConfig(1, 0.1, {"up": 1.0, "down": 2.0}),
        seed=0,
        label="test",
    )
    assert weight.item() == pytest.approx(-0.1, rel=1e-4)


@pytest.mark.parametrize(("eta", "goal"), [(1.0, 0.5), (2.0, -1.0)])
def test_esd_aims_where_the_released_convention_says(eta, goal, monkeypatch):
    """η = 1 is the empty prompt's prediction, η = 2 the paper's 1."""
    seen = []

    def spy(parameters, losses, config, **options):
        seen.append(losses(0, torch.Generator().manual_seed(0))["erase"].item())
        return [0.0]

    import trace_erasure.baselines.esd as module

    context = context_for(tiny_stable_diffusion())
    states = module.rollout_concepts(
        context.denoiser, ["fox"], trajectories=1, steps=2, guidance_scale=1.0, seed=0
    )
    fixed = replace(
        states, e_p=torch.full_like(states.e_p, 2.0), e_0=torch.full_like(states.e_0, 0.5)
    )
    monkeypatch.setattr(module, "rollout_concepts", lambda *_, **__: fixed)
    monkeypatch.setattr(module, "train", spy)
    monkeypatch.setattr(Denoiser, "predict", lambda self, x, t, c: torch.full_like(x, 3.0))
    ESD(negative_guidance=eta).solve(context)
    assert seen == [pytest.approx((3.0 - goal) ** 2)]


def test_attention_norms_by_hand():
    attention = torch.tensor([[[[0.3, 0.7], [0.6, 0.4], [0.0, 1.0]]]])
    rows, columns = torch.tensor([[1.0, 0.0, 1.0]]), torch.tensor([[0.0, 1.0]])
    assert maps.masked_norm(attention, rows, columns).item() == pytest.approx(math.hypot(0.7, 1.0))
    two = torch.cat([attention, attention], dim=1)  # two heads
    assert maps.row_norms(two, columns).item() == pytest.approx(math.sqrt(2) * (0.7 + 0.4 + 1.0))


def test_a_norm_of_nothing_has_a_gradient_of_nothing():
    attention = torch.zeros(1, 1, 2, 2, requires_grad=True)
    maps.masked_norm(attention, torch.ones(1, 2), torch.ones(1, 2)).backward()
    assert attention.grad is not None and torch.equal(attention.grad, torch.zeros(1, 1, 2, 2))


def test_the_contrast_by_hand():
    near, own = torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0], requires_grad=True)
    others = torch.tensor([[0.0, 1.0]])
    loss = maps.reverse_contrast(near, own, others, 0.5)
    u, i = math.sqrt(0.5) / 0.5, 0.0
    assert loss.item() == pytest.approx(u - math.log(math.exp(u) + math.exp(i)), rel=1e-5)
    # Against the gradient the concept turns away from the near word.
    (gradient,) = torch.autograd.grad(loss, own)
    assert torch.cosine_similarity(near, own - 0.1 * gradient, dim=0) < math.sqrt(0.5)


def test_maces_timesteps_are_mostly_200_to_400():
    density = mace.density(1000)
    assert density.sum().item() == pytest.approx(1)
    t = torch.tensor(300.0, dtype=torch.float64)
    raw = torch.sigmoid(0.05 * (t - 200)) - torch.sigmoid(0.05 * (t - 400))
    grid = torch.arange(1000, dtype=torch.float64)
    total = torch.sigmoid(0.05 * (grid - 200)) - torch.sigmoid(0.05 * (grid - 400))
    assert density[300].item() == pytest.approx((raw / total.sum()).item())
    assert density[200:400].sum() > 0.85


def test_masks_follow_the_difference_to_every_resolution():
    concept, surrogate = torch.zeros(2, 1, 1, 4, 4), torch.zeros(2, 1, 1, 4, 4)
    concept[:, :, :, 1, 2] = 3.0
    mask = mace.difference_mask(concept, surrogate)
    assert mask.sum() == 1 and mask[0, 1, 2] == 1
    assert mace.at_positions(mask, 16).nonzero().tolist() == [[0, 6]]
    assert mace.at_positions(mask, 4).nonzero().tolist() == [[0, 1]]


def test_mace_rewrites_the_words_around_a_concept_and_not_the_concept():
    context = context_for(tiny_stable_diffusion(width=256, positions=24))
    closed = MACE(penalty=1e-6)._closed_form(context)
    denoiser = context.denoiser
    fox, horse = denoiser.embeddings(["a photo of a fox", "a photo of a horse"])[0]
    path, layer = next(iter(denoiser.maps().items()))
    w = layer.weight.double()
    new = w + closed[path].dense()
    end = 6  # after BOS and five words

    def share(i):
        return ((new @ fox[i] - w @ horse[i]).norm() / (w @ (fox[i] - horse[i])).norm()).item()

    assert share(end) < 0.05 and share(end + 5) < 0.05
    assert share(end - 1) > 0.2


# Attention as it is -----------------------------------------------------------------------


def reference_map(pipe, monkeypatch, run):
    """The probabilities of every attention that ``run`` computes, from its own softmax."""
    import torch.nn.functional as F

    seen = []
    real = F.scaled_dot_product_attention

    def spy(query, key, value, **options):
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        seen.append(scores.softmax(-1))
        return real(query, key, value, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    run()
    return seen


@pytest.mark.parametrize("build", [tiny_stable_diffusion, tiny_flux, tiny_flux2_klein, tiny_sd3])
def test_recorded_attention_is_what_the_network_attends_to(build, monkeypatch):
    pipe = build(positions=24)
    denoiser = Denoiser(pipe)
    words = denoiser.encode(["a red fox"])
    state, time = denoiser.initial_states([0]), torch.tensor([500.0])
    with torch.no_grad(), record_attention(denoiser) as found:
        output = denoiser.predict(state, time, words)
    seen = reference_map(pipe, monkeypatch, lambda: denoiser.predict(state, time, words))
    text = words.tokens.shape[1]
    assert found
    with torch.no_grad():
        assert torch.equal(denoiser.predict(state, time, words), output)
    for attention in found.values():
        image = attention.shape[2]
        candidates = []
        for x in seen:
            if x.shape[-1] == text:
                candidates.append(x)
            elif x.shape[-1] == text + image:
                first = x[..., text:, :text]  # FLUX: text first
                candidates += [first, x[..., :image, image:]]
        assert any(
            x.shape == attention.shape and torch.allclose(x.float(), attention, atol=1e-5)
            for x in candidates
        )


def randomized(parameters: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
    """The parameters, away from zero, which would hide half of the gradients."""
    for i, parameter in enumerate(parameters.values()):
        generator = torch.Generator().manual_seed(i)
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    return list(parameters.values())


@pytest.mark.parametrize("build", [tiny_flux, tiny_flux2_klein, tiny_sd3])
def test_every_term_of_eraseanything_reaches_the_lora(build):
    pipe = build(positions=40)
    context = context_for(pipe)
    method = EraseAnything(trajectories=2, sampler_steps=3, wordings=4, kept=3)
    data = method.prepare(context)
    denoiser = context.denoiser
    layers = denoiser.family.attention.text_queries_keys
    with lora(denoiser, layers, 2, 0, name="test") as change:
        parameters = randomized(change.parameters)
        terms = {}
        for step in (0, 1):
            terms |= method.losses(denoiser, data, step, torch.Generator().manual_seed(1))
        assert set(terms) == {"erase", "attention", "flow", "contrast"}
        for name, term in terms.items():
            gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
            assert any(g is not None and g.abs().max() > 0 for g in gradients), name


def test_the_teacher_of_eraseanything_is_frozen():
    """Its target does not move with the student, or nothing would be turned round."""
    context = context_for(tiny_flux(positions=24))
    method = EraseAnything(trajectories=2, sampler_steps=3, wordings=1, kept=2, eta=1.0)
    data = method.prepare(context)
    denoiser = context.denoiser
    layers = denoiser.family.attention.text_queries_keys

    def erase() -> float:
        return method.losses(denoiser, data, 0, torch.Generator().manual_seed(0))["erase"].item()

    with lora(denoiser, layers, 2, 0, name="test") as change:
        at_first = erase()  # the student is the teacher: ‖2 (e_p − e_0)‖²
        i = torch.randint(0, 1, (1,))
        assert at_first > 0
        randomized(change.parameters)
        before = data.states.e_0[i].clone()
        assert erase() != at_first
        assert torch.equal(data.states.e_0[i], before)


def test_shuffling_keeps_a_phrase_together():
    from random import Random

    for seed in range(20):
        words = shuffled("a picture of Mira Solberg today", "Mira Solberg", Random(seed))
        assert "Mira Solberg" in words
        assert sorted(words.split()) == sorted(["a", "picture", "of", "Mira", "Solberg", "today"])


def test_maces_loss_reaches_keys(monkeypatch):
    context = context_for(tiny_stable_diffusion(positions=24))
    method = MACE(pictures=2, sampler_steps=2, steps=1)
    drawn = method._draw(context, context.concepts[0])
    found = {}

    def spy(parameters, losses, config, **options):
        values = randomized(parameters)
        term = losses(0, torch.Generator().manual_seed(0))["attention"]
        gradients = torch.autograd.grad(term, values, allow_unused=True)
        found.update(zip(parameters, gradients, strict=True))
        return [0.0]

    monkeypatch.setattr(mace, "train", spy)
    method._train(context, context.concepts[0], drawn, 0)
    reached = [name for name, g in found.items() if g is not None and g.abs().max() > 0]
    keys = [name for name in found if ".to_k." in name]
    assert keys and set(keys) <= set(reached)


def test_a_dense_change_is_the_weight_itself():
    """The difference that is trained acts as the changed weight does."""
    pipe = tiny_stable_diffusion(positions=24)
    denoiser = Denoiser(pipe)
    denoiser.network.requires_grad_(False)
    words = denoiser.encode(["a red fox"])
    state, time = denoiser.initial_states([0]), torch.tensor([500])
    with dense(denoiser, denoiser.family.attention.all) as change:
        randomized(change.parameters)
        shown = denoiser.predict(state, time, words)
        delta = change.delta()
    for path, found in delta.items():
        pipe.unet.get_submodule(path).weight += found.dense()
    torch.testing.assert_close(denoiser.predict(state, time, words), shown, atol=1e-4, rtol=1e-4)
