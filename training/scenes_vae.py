"""Fine-tunes the autoencoder of emoji-sd on the pictures of emoji-scenes.

Usage: python training/scenes_vae.py DATA OUT [MINUTES]
Resumes from OUT/vae.ckpt. Writes OUT/vae/ (diffusers) and DATA/latents.npy, puts every
other picture of DATA/judges.npy through the autoencoder, and prints PSNR.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from loop import Training
from trace_erasure.pipeline import shipped
from vae import BATCH, decoded, encode, loss, pixels, posterior_of, whiten

HELD_OUT = 1000  # pictures at the end of the set that no model trains on


@torch.no_grad()
def psnr(vae: AutoencoderKL, pictures: np.ndarray) -> float:
    x = pixels(pictures)
    y = decoded(vae, posterior_of(vae, x).mean).clamp(-1, 1)
    return float(-10 * ((y - x) / 2).square().mean().log10())


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, pictures: np.ndarray, batch: int = 100) -> np.ndarray:
    """``pictures`` through the autoencoder, as blurred as a generator's.

    A little noise on the latents stands for what a generator gets wrong.
    """
    generator = torch.Generator().manual_seed(0)
    result = np.empty_like(pictures)
    for i in range(0, len(pictures), batch):
        with torch.autocast("cpu", torch.bfloat16):
            mean = posterior_of(vae, pixels(pictures[i : i + batch])).mean.float()
            level = 0.25 * torch.rand(len(mean), 1, 1, 1, generator=generator)
            noisy = mean + level * torch.randn(mean.shape, generator=generator)
            y = decoded(vae, noisy).float()
        values = y.clamp(-1, 1).add(1).mul(127.5).round().byte()
        result[i : i + batch] = values.permute(0, 2, 3, 1).numpy()
    return result


def main(data: Path, out: Path, minutes: float = 4) -> None:
    pictures = np.load(data / "generator.npy", mmap_mode="r")
    torch.manual_seed(0)
    vae = AutoencoderKL.from_pretrained(shipped.path("emoji-sd") / "vae", torch_dtype=torch.float32)
    print(f"before: {psnr(vae.eval(), pictures[-256:]):.2f} dB on 256 held-out pictures")
    training = Training(
        vae, out / "vae.ckpt", peak_lr=1e-3, minutes=minutes, ema_decay=0.99, warmup=50
    )
    for step in training:
        generator = torch.Generator().manual_seed(step)
        index = torch.randint(len(pictures) - HELD_OUT, (BATCH,), generator=generator)
        training.update(loss(vae, pixels(pictures[index.sort().values.numpy()])))
    training.use_ema()
    vae.eval()
    print(f"after {training.step} steps: {psnr(vae, pictures[-256:]):.2f} dB")
    latents = whiten(vae, encode(vae, pictures))
    np.save(data / "latents.npy", latents.half().numpy())
    # Judges see every other picture as the autoencoder gives it back.
    judged = np.load(data / "judges.npy", mmap_mode="r+")
    judged[::2] = reconstruct(vae, np.array(judged[::2]))
    judged.flush()
    vae.save_pretrained(out / "vae")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:4]))
