"""The tiny pipelines that tests rest on."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline

from trace_erasure.errors import InputError
from trace_erasure.testing import PREDICTIONS, tiny_stable_diffusion


def draw(pipe: StableDiffusionPipeline, prompt: str = "a photo of a fox") -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    result: Any = pipe(prompt, num_inference_steps=2, generator=generator, output_type="pt")
    return result.images


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_pipeline_that_works(prediction):
    pipe = tiny_stable_diffusion(prediction)
    assert pipe.scheduler.config.prediction_type == prediction
    assert not any(part.training for part in (pipe.unet, pipe.vae, pipe.text_encoder))
    assert draw(pipe).isfinite().all()
    assert (draw(pipe) - draw(pipe, "a red dog")).abs().max() > 1e-3


def test_seeds_make_the_weights_and_leave_the_global_generator():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first, again, other = (tiny_stable_diffusion(seed=seed) for seed in (5, 5, 6))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(draw(first), draw(again))
    assert not torch.equal(draw(first), draw(other))


def test_any_text_is_encoded():
    tokenizer = tiny_stable_diffusion().tokenizer
    assert tokenizer.tokenize("a photo of Foxes") == [
        *["a</w>", "photo</w>", "of</w>"],
        *["fo", "x", "e", "s</w>"],
    ]
    ids = tokenizer("Zürich, 東京 & émigrés!").input_ids
    assert ids[0] == tokenizer.bos_token_id and ids[-1] == tokenizer.eos_token_id
    assert tokenizer.unk_token_id not in ids[1:-1]


def test_it_saves_and_loads_like_any_pipeline(tmp_path):
    pipe = tiny_stable_diffusion()
    pipe.save_pretrained(tmp_path)
    found = StableDiffusionPipeline.from_pretrained(tmp_path)
    found.set_progress_bar_config(disable=True)
    assert torch.equal(draw(found), draw(pipe))


def test_it_is_quick():
    def seconds() -> float:
        start = time.process_time()
        tiny_stable_diffusion()
        return time.process_time() - start

    assert min(seconds() for _ in range(3)) < 0.3


def test_unknown_prediction_type():
    with pytest.raises(InputError, match="epsilon, v_prediction, sample"):
        tiny_stable_diffusion("flow")
