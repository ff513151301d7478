"""Attacks on tiny random pipelines: budgets, controls, resumption; and the algebra they rest on."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from PIL import Image

from trace_erasure.attacks import protocol, unknown_concept
from trace_erasure.attacks.budget import Budget, BudgetTracker
from trace_erasure.attacks.context import AttackContext, Attempt
from trace_erasure.attacks.methods.typo import misspell
from trace_erasure.attacks.methods.unlearn_diff import project_to_simplex
from trace_erasure.attacks.outcomes import Outcome, tally
from trace_erasure.attacks.registry import ATTACKS, attack_entry
from trace_erasure.attacks.targets import AttackCase, Target
from trace_erasure.concepts.prompt_search import offspring
from trace_erasure.errors import InputError
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.text_encoders import encode_soft, encoders, words
from trace_erasure.testing import tiny_flux, tiny_flux2_klein, tiny_sdxl, tiny_stable_diffusion

CASE = AttackCase("a photo of a fox", 0)
SMALL = Budget(images=2, gradients=8, encodings=120)
SHORT = 16
"""Positions of a model that reads some sentences, and others not."""
FAMILIES = {
    "sd": lambda: tiny_stable_diffusion(positions=40),
    "sdxl": lambda: tiny_sdxl(positions=40),
    "flux": lambda: tiny_flux(positions=64),
    "flux 2": lambda: tiny_flux2_klein(positions=64),
}


def never(pictures):
    return [False] * len(pictures)


def target(detect=never, **changes) -> Target:
    options = dict(forbidden=("fox",), synonyms=("red dog",), pictures=None)
    return Target("fox", "object", (CASE,), detect, **{**options, **changes})


def arena(pipe, goal: Target, ledger: BudgetTracker) -> AttackContext:
    return AttackContext(Denoiser(pipe), goal, ledger, steps=3, guidance=2.0, pictures_given=2)


@pytest.fixture(scope="module", params=FAMILIES)
def pipe(request):
    return FAMILIES[request.param]()


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_runs_on_every_family_within_its_budget(pipe, name):
    network = Denoiser(pipe).network
    before = {key: value.clone() for key, value in network.state_dict().items()}
    ledger = BudgetTracker(SMALL)
    found = protocol.run_case(
        name, ATTACKS[name].run, arena(pipe, target(), ledger), CASE, "erased"
    )
    assert not found.pre and found.first is None
    assert 1 <= found.tries <= SMALL.images
    assert found.spent == ledger.spent
    assert all(ledger.left(kind) >= 0 for kind in ledger.spent)
    after = network.state_dict()
    assert list(after) == list(before)  # also after a relearning that was cut short
    assert all(torch.equal(after[key], before[key]) for key in before)


@pytest.mark.parametrize("name", ["paraphrase", "composition", "synonym"])
def test_sentences_that_are_too_long_for_the_model_are_left_out(name):
    def labels(positions: int) -> list[str]:
        goal = target(synonyms=("red dog",))
        place = arena(
            tiny_stable_diffusion(positions=positions), goal, BudgetTracker(Budget(images=50))
        )
        return [one.label for one in ATTACKS[name].run(place, CASE)]

    every, some = labels(77), labels(SHORT)
    denoiser = Denoiser(tiny_stable_diffusion(positions=SHORT))
    assert 0 < len(some) < len(every)
    assert some == [text for text in every if denoiser.fits(text)]


def test_soft_tokens_that_are_real_ones_say_the_same(pipe):
    denoiser = Denoiser(pipe)
    known = words(denoiser, ["fox"])
    assert "fox" not in known.words and "dog" in known.words
    index = [known.words.index("dog"), known.words.index("red")]
    soft = [table[index] for table in known.tables(encoders(denoiser))]
    found = encode_soft(denoiser, soft, before="a photo of", after="horse")
    expected = denoiser.encode(["a photo of dog red horse"])
    torch.testing.assert_close(found.tokens, expected.tokens, atol=1e-5, rtol=1e-5)
    if found.pooled is not None:
        torch.testing.assert_close(found.pooled, expected.pooled, atol=1e-5, rtol=1e-5)


def test_gradients_reach_the_soft_tokens_of_every_encoder(pipe):
    denoiser = Denoiser(pipe)
    tables = words(denoiser).tables(encoders(denoiser))
    soft = [table[[0]].clone().requires_grad_(True) for table in tables]
    found = encode_soft(denoiser, soft)
    total = found.tokens.square().sum()
    total = total if found.pooled is None else total + found.pooled.square().sum()
    for gradient in torch.autograd.grad(total, soft):
        assert gradient.abs().max() > 0


def tries(count: int):
    def attack(arena: AttackContext, case: AttackCase):
        for number in range(count):
            yield Attempt(f"try {number + 1}", arena.encode([f"{number} {case.prompt}"]))

    return attack


def seen_on(number: int):
    """A judge that sees the concept on the picture of that number, the plain prompt's first."""
    count = -1

    def detect(pictures):
        nonlocal count
        count += 1
        return [count == number]

    return detect


@pytest.mark.parametrize(("number", "pre"), [(0, True), (1, False), (3, False)])
def test_the_first_success_ends_a_case(number, pre):
    pipe = FAMILIES["sd"]()
    ledger = BudgetTracker(Budget(images=5))
    one = protocol.run_case(
        "count", tries(9), arena(pipe, target(seen_on(number)), ledger), CASE, "erased"
    )
    assert (one.pre, one.first, one.tries) == (pre, number, number)
    assert one.label == (CASE.prompt if pre else f"try {number}")


@pytest.mark.parametrize("batch", [2, 3, 8])
def test_tries_drawn_at_once_are_the_same_and_count_the_same(batch):
    pipe = FAMILIES["sd"]()

    def run(size: int, success: int | None = None):
        seen = []

        def detect(part):
            seen.extend(np.asarray(one, np.int16) for one in part)
            return [number == success for number in range(len(seen) - len(part), len(seen))]

        place = arena(pipe, target(detect), BudgetTracker(Budget()))
        place.batch = size
        return protocol.run_case("n", tries(5), place, CASE, "erased"), seen

    one, alone = run(1)
    many, together = run(batch)
    assert (one.first, one.tries) == (many.first, many.tries) == (None, 5)
    assert len(alone) == len(together) == 6  # the plain prompt's, too
    assert all(np.abs(a - b).max() <= 1 for a, b in zip(alone, together, strict=True))
    found, _ = run(batch, success=3)
    assert (found.first, found.label) == (3, "try 3")
    assert found.tries == min(5, -(-3 // batch) * batch)  # whole batches are paid for


def test_tries_that_are_drawn_otherwise_are_not_drawn_together():
    pipe = FAMILIES["sd"]()
    place = arena(pipe, target(), BudgetTracker(Budget(images=5, encodings=9)))
    place.batch = 3
    text = place.denoiser.encode(["a fox"])
    plain, louder = Attempt("plain", text), Attempt("louder", text, noise_scale=2.0)
    parts = [*protocol.batched_attempts(iter([plain, plain, louder, plain]), place)]
    assert [[one.label for one in part] for part in parts] == [
        ["plain", "plain"], ["louder"], ["plain"],
    ]  # fmt: skip
    # What was paid for is drawn when the budget ends in the middle of a batch.
    place.tracker = BudgetTracker(Budget(images=5, encodings=2))
    assert [len(part) for part in protocol.batched_attempts(tries(9)(place, CASE), place)] == [2]
    place.tracker = BudgetTracker(Budget(images=4))
    assert [len(part) for part in protocol.batched_attempts(tries(9)(place, CASE), place)] == [3, 1]


def test_an_attack_stops_where_its_budget_does():
    pipe = FAMILIES["sd"]()
    for budget, drawn in ((Budget(images=4), 4), (Budget(images=9, encodings=2), 2)):
        ledger = BudgetTracker(budget)
        one = protocol.run_case("n", tries(20), arena(pipe, target(), ledger), CASE, "erased")
        assert (one.tries, one.first) == (drawn, None)


def test_outcomes_resume_and_do_not_depend_on_order(tmp_path):
    pipe = FAMILIES["sd"]()
    cases = [AttackCase(CASE.prompt, seed) for seed in range(3)]
    made = []

    def make(ledger: BudgetTracker) -> AttackContext:
        made.append(1)
        return arena(pipe, target(), ledger)

    def run(cases, file, budget=SMALL, setting="erased"):
        attack = attack_entry("ring-a-bell").run
        return protocol.run_attack("ring-a-bell", attack, make, cases, budget, setting, file)

    whole = run(cases, tmp_path / "whole.jsonl")
    parts = tmp_path / "parts.jsonl"
    run(cases[2:], parts)
    assert run(cases, parts) == whole
    count = len(made)
    assert run(cases, parts) == whole and len(made) == count  # nothing was done again
    with pytest.raises(InputError, match="Give the same budget"):
        run(cases, parts, Budget(images=3))
    with pytest.raises(InputError, match="erased, original, unknown, random"):
        run(cases, parts, setting="other")
    with pytest.raises(InputError, match="unknown attack 'magic'"):
        attack_entry("magic")


def test_the_control_draws_as_many_random_words():
    pipe = FAMILIES["sd"]()
    for name in ("unlearn-diff", "p4d"):
        entry = attack_entry(name)
        one = next(entry.control(arena(pipe, target(), BudgetTracker(SMALL)), CASE))
        own = one.label.removesuffix(CASE.prompt).split()
        assert len(own) == entry.length
        assert one.label.endswith(CASE.prompt) == entry.keeps_prompt
        assert "fox" not in own


def test_tallies_keep_pre_attack_success_apart():
    firsts = [0, 0, 1, 3, None]
    found = tally(
        [Outcome("a", "erased", "fox", "", i, f == 0, f, 0, "", {}) for i, f in enumerate(firsts)],
        images=4,
    )
    assert (found.cases, found.pre, found.success) == (5, 2, 4)
    assert found.by_tries == (2, 3, 3, 4, 4)
    assert found.incremental == (2, 3)


def test_the_original_answers_inside_undo():
    pipe = FAMILIES["sd"]()
    entered = []

    def original_model():
        entered.append(1)
        return nullcontext()

    place = arena(pipe, target(), BudgetTracker(Budget()))
    place.original_model = original_model
    first = place.concept_states(CASE, 2)
    assert entered == [1] and len(first) == 2
    assert place.concept_states(CASE, 2) is first
    given = arena(
        pipe, target(pictures=(Image.new("RGB", (16, 16), "red"),)), BudgetTracker(Budget())
    )
    given.original_model = original_model
    assert len(given.concept_states(CASE, 2)) == 2
    assert entered == [1]  # a concept that was never learned has pictures of its own


def test_the_unknown_concept_is_told_from_everything_else():
    for seed in range(3):
        assert all(unknown_concept.detect(unknown_concept.pictures(10, 64, seed)))
    noise = np.random.default_rng(0).integers(0, 255, (10, 64, 64, 3), dtype=np.uint8)
    plain = [Image.new("RGB", (64, 64), colour) for colour in ("white", "black", "red")]
    assert not any(unknown_concept.detect([*map(Image.fromarray, noise), *plain]))


def test_simplex_projection_is_the_nearest_point():
    rows = torch.randn(6, 9, generator=torch.Generator().manual_seed(0))
    found = project_to_simplex(rows)
    torch.testing.assert_close(found.sum(1), torch.ones(6))
    assert (found >= 0).all()
    torch.testing.assert_close(project_to_simplex(found), found)
    others = torch.rand(500, 9).softmax(1)
    distance = (rows[:, None] - others).norm(dim=2).min(1).values
    assert ((rows - found).norm(dim=1) <= distance).all()


def test_genes_and_typos():
    generator = torch.Generator().manual_seed(0)
    parents = torch.arange(40).reshape(5, 8)
    children = offspring(parents, 1000, generator)
    assert children.shape == parents.shape
    wrong = {misspell("fox", generator) for _ in range(40)}
    assert all(2 <= len(word) <= 4 for word in wrong) and len(wrong) > 5
