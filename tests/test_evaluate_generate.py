"""Pictures do not depend on who draws them, nor on how often the run was killed."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig

from trace_erasure.errors import InputError
from trace_erasure.pipeline.content_digest import weights_digest
from trace_erasure.pipeline.generate import generate
from trace_erasure.pipeline.image_store import ImageStore
from trace_erasure.testing import tiny_stable_diffusion

PROMPTS = ["a fox", "a cat", "a dog on a red picture", "a horse", "fox", "the blue cat", "a dog"]
SEEDS = [3, 1, 4, 1, 5, 9, 2]
SHORT: dict[str, Any] = dict(steps=2, guidance_scale=2.0)


@pytest.fixture(scope="module")
def pipe():
    return tiny_stable_diffusion()


@dataclass
class Counting:
    """Counts the batches that a pipeline draws, and stops it like a killed process would."""

    pipe: Any
    drawn: list = field(default_factory=list)
    stop_after: int = 10**9

    def __call__(self, **kwargs):
        if len(self.drawn) == self.stop_after:
            raise KeyboardInterrupt
        self.drawn.append(len(kwargs["prompt"]))
        return self.pipe(**kwargs)

    def __getattr__(self, name):
        return getattr(self.pipe, name)

    def __setattr__(self, name, value):
        if name in ("pipe", "drawn", "stop_after"):
            object.__setattr__(self, name, value)
        else:
            setattr(self.pipe, name, value)


Counting.__name__ = "StableDiffusionPipeline"  # by which a pipeline's family is known


def same(a, b):
    return len(a) == len(b) and all(
        np.array_equal(np.asarray(x), np.asarray(y)) for x, y in zip(a, b, strict=True)
    )


def test_a_picture_is_the_same_alone_and_in_a_batch(pipe):
    batch = generate(pipe, PROMPTS, SEEDS, **SHORT)
    assert same(batch, generate(pipe, PROMPTS, SEEDS, **SHORT))
    alone = [generate(pipe, [p], [s], **SHORT)[0] for p, s in zip(PROMPTS, SEEDS, strict=True)]
    for one, other in zip(batch, alone, strict=True):
        assert np.abs(np.asarray(one, int) - np.asarray(other, int)).max() <= 1  # rounding
    assert not same(batch[1:2], batch[3:4])

    def floats(prompts, seeds):
        return pipe(
            prompts,
            num_inference_steps=2,
            guidance_scale=2.0,
            output_type="np",
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        ).images

    together = floats(PROMPTS, SEEDS)
    apart = np.concatenate([floats([p], [s]) for p, s in zip(PROMPTS, SEEDS, strict=True)])
    assert np.abs(together - apart).max() < 1e-5
    # What generate gives are these very pictures.
    assert np.abs(together * 255 - np.stack([np.asarray(i) for i in batch])).max() <= 0.51


def test_shards_together_are_the_whole_bit_for_bit(pipe, tmp_path):
    whole = generate(pipe, PROMPTS, SEEDS, batch=2, **SHORT)
    store = ImageStore(tmp_path)
    first, second = (
        generate(pipe, PROMPTS, SEEDS, batch=2, store=store, shard=(i, 2), **SHORT)
        for i in range(2)
    )
    assert same(first, [*whole[0:2], *whole[4:6]])
    assert same(second, [*whole[2:4], *whole[6:]])
    counting = Counting(pipe)
    assert same(generate(counting, PROMPTS, SEEDS, batch=2, store=store, **SHORT), whole)
    assert counting.drawn == []


def test_a_killed_run_loses_one_batch_at_most(pipe, tmp_path):
    store = ImageStore(tmp_path)
    dying = Counting(pipe, stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        generate(dying, PROMPTS, SEEDS, batch=2, store=store, **SHORT)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 4 and all(file.suffix == ".png" for file in files)
    files[0].unlink()  # as if the kill had come between two pictures of a batch
    again = Counting(pipe)
    result = generate(again, PROMPTS, SEEDS, batch=2, store=store, **SHORT)
    assert again.drawn == [2, 2, 1]
    assert same(result, generate(pipe, PROMPTS, SEEDS, batch=2, **SHORT))


def test_stored_pictures_belong_to_weights_settings_and_name(pipe, tmp_path):
    store = ImageStore(tmp_path)
    for changes in ({}, {"steps": 3}, {"scheduler": "EulerDiscreteScheduler"}, {"model": "hooked"}):
        before = len(list(tmp_path.iterdir()))
        generate(pipe, "a fox", [0], store=store, **{**SHORT, **changes})
        assert len(list(tmp_path.iterdir())) == before + 1
    other = tiny_stable_diffusion(seed=1)
    assert not same(
        generate(pipe, "a fox", [0], store=store, **SHORT),
        generate(other, "a fox", [0], store=store, **SHORT),
    )


def test_the_digest_sees_adapters_and_their_strength():
    pipe = tiny_stable_diffusion()
    seen = [weights_digest(pipe)]
    config = LoraConfig(r=2, target_modules=["to_k"], init_lora_weights=False)
    pipe.unet.add_adapter(config, adapter_name="a")
    seen.append(weights_digest(pipe))
    pipe.unet.set_adapters(["a"], [0.5])
    seen.append(weights_digest(pipe))
    pipe.unet.disable_adapters()
    seen.append(weights_digest(pipe))
    assert len(set(seen)) == 4
    pipe.unet.delete_adapters(["a"])
    pipe.unload_lora_weights()
    assert weights_digest(pipe) == seen[0]


def test_the_pipeline_is_given_back_as_it_was(pipe):
    scheduler, bar = pipe.scheduler, dict(pipe._progress_bar_config)
    generate(pipe, "a fox", [0], scheduler="EulerDiscreteScheduler", autocast=True, **SHORT)
    assert pipe.scheduler is scheduler
    assert pipe._progress_bar_config == bar


@pytest.mark.parametrize(
    ("prompts", "options", "words"),
    [
        (["a fox"], {}, "1 prompts but 2 seeds"),
        ("a fox", {"batch": 0}, "batch is 0"),
        ("a fox", {"shard": (2, 2)}, "shard 2/2"),
        ("a fox", {"scheduler": "DDIMSampler"}, "DDIMSampler"),
    ],
)
def test_bad_input_is_named(pipe, prompts, options, words):
    with pytest.raises(InputError, match=words):
        generate(pipe, prompts, [0, 1], **SHORT, **options)


def test_a_lost_picture_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no picture abc"):
        ImageStore(tmp_path).load("abc")
