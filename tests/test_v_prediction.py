"""A v-prediction model that has learned something: the word for a thing decides its latents.

The shipped pipelines predict noise and velocity of a flow. Here a tiny Stable Diffusion that
predicts v is trained for a few seconds to give each word a pattern of its own, and loses one.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from trace_erasure import ClosedFormConfig, Concept, FinetuneConfig
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.testing import tiny_stable_diffusion
from trace_erasure.trace.erase import erase

WORDS = ("fox", "dog", "horse", "red")
SENTENCES = ("a {}", "photo of a {}", "a painting of the {}", "the {}")
CAPTIONS = [sentence.format(word) for word in WORDS for sentence in SENTENCES]
STEPS, BATCH, GUIDANCE = 500, 32, 2.0
SEEDS = range(24)


def patterns() -> torch.Tensor:
    """A (4, 8, 8) picture in latents for each word: four colours in four quarters."""
    generator = torch.Generator().manual_seed(7)
    signs = torch.randn(len(WORDS), 4, 2, 2, generator=generator).sign()
    return signs.repeat_interleave(4, 2).repeat_interleave(4, 3)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tensors are so small here that threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained():
    pipe = tiny_stable_diffusion("v_prediction", width=128, positions=40)
    denoiser, shapes = Denoiser(pipe), patterns()
    encoded = denoiser.encode([*CAPTIONS, ""])
    optimizer = torch.optim.AdamW(pipe.unet.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    generator = torch.Generator().manual_seed(0)
    pipe.unet.train()
    for _ in range(STEPS):
        which = torch.randint(len(CAPTIONS), (BATCH,), generator=generator)
        asked = which.where(torch.rand(BATCH, generator=generator) > 0.1, len(CAPTIONS))
        t = torch.randint(1000, (BATCH,), generator=generator)
        clean = shapes[which // len(SENTENCES)]
        noise = torch.randn(clean.shape, generator=generator)
        state, target = denoiser.noise_point(t).expand(clean).join(clean, noise)
        loss = F.mse_loss(denoiser.predict(state.float(), t, encoded[asked]), target.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    pipe.unet.eval()
    return pipe


def shown(pipe, prompt: str) -> list[str]:
    """The word whose pattern each sample of ``prompt`` is most like."""
    denoiser = Denoiser(pipe)
    with torch.no_grad():
        found = denoiser.rollout(
            denoiser.encode([prompt]), denoiser.unconditional(), SEEDS, steps=12, guidance=GUIDANCE
        )
    likeness = torch.einsum("nchw,kchw->nk", found, patterns())
    return [WORDS[i] for i in likeness.argmax(1)]


@pytest.mark.slow
def test_a_word_loses_its_picture_and_the_others_keep_theirs(trained):
    for word in WORDS:
        seen = [shown(trained, sentence.format(word)) for sentence in SENTENCES]
        assert all(found.count(word) >= 0.9 * len(SEEDS) for found in seen), "undertrained"
    concept = Concept("fox", "dog", templates=tuple(s.format("{x}") for s in SENTENCES))
    erasure = erase(
        trained,
        concept,
        closed_form=ClosedFormConfig(directions=4),
        finetune=FinetuneConfig(steps=10, trajectories=3, retain_trajectories=6, sampler_steps=6),
        captions=CAPTIONS,
    )
    with erasure.attach(trained):
        for sentence in SENTENCES:
            assert shown(trained, sentence.format("fox")).count("fox") <= 0.05 * len(SEEDS)
        for word in WORDS[1:]:
            kept = shown(trained, f"a {word}").count(word)
            assert kept >= 0.95 * len(SEEDS)
