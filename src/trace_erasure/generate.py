"""Prompts and seeds in, pictures out: reproducible one by one, resumable, and shardable."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from PIL import Image
from torch import nn
from tqdm import tqdm

from trace_erasure.errors import InputError
from trace_erasure.families.table import family_of
from trace_erasure.files import atomic
from trace_erasure.fingerprint import tensor_bytes
from trace_erasure.shard import check_shard


class ImageStore:
    """A folder of PNG files named by what they show, so that nothing is ever drawn twice."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, image_id: str) -> Path:
        return self.folder / f"{image_id}.png"

    def __contains__(self, image_id: str) -> bool:
        return self.path(image_id).exists()

    def load(self, image_id: str) -> Image.Image:
        """The stored picture. Raises ``InputError`` when there is none."""
        if image_id not in self:
            raise InputError(
                f"no picture {image_id} in {self.folder}. Generate it again, or point to the "
                "folder that the verdicts were made with."
            )
        with Image.open(self.path(image_id)) as image:
            return image.convert("RGB")

    def save(self, image_id: str, image: Image.Image) -> None:
        """Writes a complete file or none. Raises ``InputError`` where it cannot."""
        with atomic(self.path(image_id)) as partial:
            image.save(partial, format="PNG")


def batch_ids(
    model: str, prompts: Sequence[str], seeds: Sequence[int], settings: dict[str, Any]
) -> list[str]:
    """The names of a batch's pictures: hashes of everything that decides their pixels.

    Their companions are part of it, since the last bits of a picture depend on the shape of the
    batch that it was drawn in.
    """
    unit = json.dumps([model, list(prompts), list(seeds), settings], sort_keys=True, default=str)
    digest = hashlib.sha256(unit.encode()).hexdigest()
    return [
        hashlib.sha256(f"{digest} {seed} {prompt}".encode()).hexdigest()[:24]
        for prompt, seed in zip(prompts, seeds, strict=True)
    ]


def weights_digest(pipe: Any) -> str:
    """Hash of a pipeline's weights as they stand, attached adapters and their strength included.

    Two models can then never share stored pictures by being given the same name.
    """
    digest = hashlib.sha256()
    for name, component in sorted(pipe.components.items()):
        if not isinstance(component, nn.Module):
            continue
        for key, tensor in component.state_dict().items():
            digest.update(f"{name}.{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor_bytes(tensor.reshape(-1)))
        for path, module in component.named_modules():
            # An adapter's strength and whether it is on are attributes, not weights.
            if isinstance(module, LoraLayer):
                state = sorted(module.scaling.items()), module.active_adapters
                digest.update(f"{path} {state} {module.disable_adapters}".encode())
    return digest.hexdigest()[:16]


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
            f"diffusers has no scheduler called {scheduler!r}. Give a class name such as "
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


def generate_batches(
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
) -> Iterator[tuple[range, list[str], list[Image.Image]]]:
    """``generate``, a batch at a time: (positions in ``prompts``, picture ids, pictures)."""
    if isinstance(prompts, str):
        prompts = [prompts] * len(seeds)
    if len(prompts) != len(seeds):
        raise InputError(
            f"{len(prompts)} prompts but {len(seeds)} seeds. Give one seed for each prompt, or a "
            "single prompt as a string to use it with every seed."
        )
    if batch < 1:
        raise InputError(f"batch {batch} is too small: it must be 1 or more.")
    check_shard(shard)

    options = family_of(pipe).call_options(pipe)
    with sampled_by(pipe, scheduler), _quiet(pipe):
        settings = {
            "steps": steps,
            "guidance_scale": guidance_scale,
            "size": [height, width],
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
        with tqdm(total=total, initial=found, desc="images", unit="img", delay=2) as bar:
            for part, ids, there in zip(parts, names, stored, strict=True):
                if store is not None and there:
                    yield part, ids, [store.load(name) for name in ids]
                    continue
                # A batch of which some pictures are missing is drawn whole, see above.
                with _autocast(pipe, autocast):
                    images = pipe(
                        prompt=[prompts[i] for i in part],
                        num_inference_steps=steps,
                        guidance_scale=guidance_scale,
                        height=height,
                        width=width,
                        generator=[torch.Generator().manual_seed(seeds[i]) for i in part],
                        **options,
                    ).images
                if store is not None:
                    for name, image in zip(ids, images, strict=True):
                        if name not in store:
                            store.save(name, image)
                    images = [store.load(name) for name in ids]
                bar.update(len(part))
                yield part, ids, images


def _autocast(pipe: Any, on: bool) -> Any:
    return torch.autocast(pipe.device.type, torch.bfloat16) if on else nullcontext()


def generate(
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
        steps: sampler steps.
        guidance_scale: classifier-free guidance; 1 is none.
        batch: pictures drawn at once, and the most that a killed run with a store loses.
        height, width: pixels; ``None`` is the model's own size.
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
        InputError: lengths differ, or batch, shard or scheduler do not exist.
    """
    batches = generate_batches(
        pipe,
        prompts,
        seeds,
        steps=steps,
        guidance_scale=guidance_scale,
        batch=batch,
        height=height,
        width=width,
        scheduler=scheduler,
        autocast=autocast,
        store=store,
        model=model,
        shard=shard,
    )
    return [image for _, _, images in batches for image in images]
