"""Prompts and seeds in, pictures out: reproducible one by one, resumable, and shardable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from PIL import Image

from trace_erasure.errors import InputError, shown
from trace_erasure.pipeline.content_digest import weights_digest
from trace_erasure.pipeline.families.registry import family_of
from trace_erasure.pipeline.image_store import ImageStore, batch_ids
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.utils.arguments import check_kind, check_list, check_text, check_texts
from trace_erasure.utils.numbers import check_flag, check_integer, check_seed
from trace_erasure.utils.progress import progress
from trace_erasure.utils.sharding import check_shard


@contextmanager
def sampled_by(pipe: Any, scheduler: str | None) -> Iterator[None]:
    """Within it the pipeline samples with another diffusers scheduler of the same noise schedule.

    ``None`` keeps its own. Raises ``InputError`` for a name that diffusers does not have.
    """
    if scheduler is None:
        yield
        return
    import diffusers

    kind = getattr(diffusers, scheduler, None)
    if kind is None or not hasattr(kind, "set_timesteps"):
        raise InputError(
            f"diffusers has no scheduler called {shown(scheduler)}. Give a class name such as "
            "'DDIMScheduler', or leave it out to keep the pipeline's own."
        )
    before = pipe.scheduler
    pipe.scheduler = kind.from_config(before.config)
    try:
        yield
    finally:
        pipe.scheduler = before


@contextmanager
def _quiet(pipe: Any) -> Iterator[None]:
    """The pipeline's own progress bar off, so that ours is the only one."""
    before = dict(getattr(pipe, "_progress_bar_config", {}))
    pipe.set_progress_bar_config(**{**before, "disable": True})
    try:
        yield
    finally:
        pipe.set_progress_bar_config(**before)


def generate_batches(  # noqa: PLR0913 - its options are keyword-only
    pipe: Any,
    prompts: Sequence[str] | str,
    seeds: Sequence[int],
    sampling: Sampling,
    *,
    batch: int = 50,
    autocast: bool = False,
    store: ImageStore | None = None,
    model: str = "",
    shard: tuple[int, int] = (0, 1),
) -> Iterator[tuple[range, list[str], list[Image.Image]]]:
    """``generate``, a batch at a time: (positions in ``prompts``, picture ids, pictures)."""
    family_of(pipe)
    seeds = check_list("seeds", seeds, int) or ()
    prompts = _one_prompt_a_seed(prompts, seeds)
    check_integer("batch", batch, 1)
    check_flag("autocast", autocast)
    check_kind("store", store, ImageStore, optional=True)
    check_text("model", model, empty=True)
    check_shard(shard)
    with sampled_by(pipe, sampling.scheduler), _quiet(pipe):
        sampling.check(pipe.scheduler)
        settings = {
            "steps": sampling.steps,
            "guidance_scale": sampling.guidance_scale,
            "size": [sampling.height, sampling.width],
            "scheduler": [type(pipe.scheduler).__name__, dict(pipe.scheduler.config)],
            "autocast": autocast,
        }
        # Weights are hashed only where pictures outlive the call.
        source = f"{model} {weights_digest(pipe) if store is not None else ''}"
        # The unit of work is a fixed slice of the list, whoever draws it: the last bits of a
        # picture may depend on the shape of its batch, never on the number of workers.
        starts = range(0, len(prompts), batch)[shard[0] :: shard[1]]
        parts = [range(start, min(start + batch, len(prompts))) for start in starts]
        names = [
            batch_ids(source, [prompts[i] for i in part], [seeds[i] for i in part], settings)
            for part in parts
        ]
        stored = [store is not None and all(name in store for name in ids) for ids in names]
        found = sum(len(part) for part, there in zip(parts, stored, strict=True) if there)
        # What is there already counts as done, but not for the time that is left.
        total = sum(map(len, parts))
        with progress(total=total, initial=found, desc="images", unit="img") as bar:
            for part, ids, there in zip(parts, names, stored, strict=True):
                if store is not None and there:
                    yield part, ids, [store.load(name) for name in ids]
                    continue
                # A batch of which some pictures are missing is drawn whole, see above.
                with _autocast(pipe, autocast):
                    images = _draw(pipe, prompts, seeds, part, sampling)
                if store is not None:
                    images = _stored(store, ids, images)
                bar.update(len(part))
                yield part, ids, images


def _one_prompt_a_seed(prompts: Sequence[str] | str, seeds: Sequence[int]) -> Sequence[str]:
    """A prompt for each seed; a single string is repeated."""
    listed = [prompts] * len(seeds) if isinstance(prompts, str) else prompts
    prompts = check_texts("prompts", listed) or ()
    if len(prompts) != len(seeds):
        raise InputError(
            f"{len(prompts)} prompts but {len(seeds)} seeds. Give one seed for each prompt, or a "
            "single prompt as a string to use it with every seed."
        )
    for seed in seeds:
        check_seed(seed)
    return prompts


def _draw(
    pipe: Any, prompts: Sequence[str], seeds: Sequence[int], part: range, sampling: Sampling
) -> list[Image.Image]:
    """The pictures at the positions ``part``, each from a generator of its own."""
    family = family_of(pipe)
    try:
        answer = pipe(
            prompt=[prompts[i] for i in part],
            num_inference_steps=sampling.steps,
            height=sampling.height,
            width=sampling.width,
            output_type="pil",
            generator=[torch.Generator().manual_seed(seeds[i]) for i in part],
            **family.guided_by(sampling.guidance_scale, len(part)),
            **family.call_options(pipe),
        )
    except ValueError as error:  # sizes and samplers that do not fit its networks
        raise InputError(
            f"this {type(pipe).__name__} cannot draw with {sampling}: {error} Change the setting."
        ) from error
    return family.pictures(answer)


def _stored(
    store: ImageStore, ids: Sequence[str], images: Sequence[Image.Image]
) -> list[Image.Image]:
    """The pictures as the store holds them, those that it lacked now saved."""
    for name, image in zip(ids, images, strict=True):
        if name not in store:
            store.save(name, image)
    return [store.load(name) for name in ids]


def _autocast(pipe: Any, on: bool) -> Any:
    return torch.autocast(pipe.device.type, torch.bfloat16) if on else nullcontext()


def generate(  # noqa: PLR0913 - a verb: its options are keyword-only
    pipe: Any,
    prompts: Sequence[str] | str,
    seeds: Sequence[int],
    *,
    steps: int = 20,
    guidance_scale: float = 3.5,
    batch: int = 50,
    height: int | None = None,
    width: int | None = None,
    scheduler: str | None = None,
    autocast: bool = False,
    store: ImageStore | None = None,
    model: str = "",
    shard: tuple[int, int] = (0, 1),
) -> list[Image.Image]:
    """Draws one picture for each (prompt, seed) with a text-to-image pipeline.

    Every picture has a CPU generator of its own: drawn alone or in a batch it is the same to 1e-5.
    Bit for bit it is decided by the list of prompts and seeds, ``batch``, and the machine with its
    number of threads: how the list is divided among workers, in which order they work, and how
    often they were killed changes nothing. A kill costs the pictures of the batch at work, a
    single one with ``batch=1``; those of it that are on disk stay, and the batch is drawn whole
    again for the others.

    Args:
        prompts: one for each seed; a single string is used with every seed.
        seeds: integers from 0 to 2⁴² (``utils.numbers.MAX_SEED``).
        steps: sampler steps.
        guidance_scale: classifier-free guidance; 1 is none.
        batch: pictures drawn at once, and the most that a killed run with a store loses.
        height, width: pixels, both or none; ``None`` is the model's own size.
        scheduler: a diffusers scheduler class to sample with; ``None`` is the pipeline's own.
        autocast: run the networks in bfloat16.
        store: pictures found there are not drawn again, new ones are added. Batches are shared,
            not single pictures: the same list again, or a shard of it, finds its own.
        model: a name that keeps stored pictures apart beyond their weights, for example where
            a hook changes the output.
        shard: (i, n): only batches i, i + n, i + 2n, …

    Returns:
        The pictures of this shard, in the order of ``prompts``.

    Raises:
        InputError: lengths differ, a setting is out of range, or the shard or scheduler does not
            exist.
    """
    sampling = Sampling(steps, guidance_scale, scheduler, height, width)
    batches = generate_batches(
        pipe,
        prompts,
        seeds,
        sampling,
        batch=batch,
        autocast=autocast,
        store=store,
        model=model,
        shard=shard,
    )
    return [image for _, _, images in batches for image in images]
