"""Trains the autoencoder of the embedded models and whitens its latents.

Usage: python training/vae.py DATA OUT [MINUTES]
Resumes from OUT/vae.ckpt. Writes OUT/vae/ (diffusers) and DATA/latents.npy.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from torch.nn import functional as F
from tqdm import tqdm

from loop import Training

BATCH = 32
CONFIG: dict[str, Any] = dict(
    in_channels=3,
    out_channels=3,
    down_block_types=["DownEncoderBlock2D"] * 3,
    up_block_types=["UpDecoderBlock2D"] * 3,
    block_out_channels=[16, 32, 64],
    layers_per_block=1,
    latent_channels=6,
    norm_num_groups=8,
    sample_size=64,
    scaling_factor=1.0,
)


def pixels(pictures: np.ndarray) -> torch.Tensor:
    """(n, 64, 64, 3) uint8 to (n, 3, 64, 64) in -1..1, the range that a VAE expects."""
    return torch.tensor(pictures).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def gradient_l1(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of horizontal and vertical gradients: rewards crisp contours."""
    difference = a - b
    return difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean()


def posterior_of(vae: AutoencoderKL, x: torch.Tensor) -> DiagonalGaussianDistribution:
    return vae.encode(x, return_dict=False)[0]


def decoded(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    z: Any = latents  # annotated as a tensor type of old
    return vae.decode(z, return_dict=False)[0]


def loss(vae: AutoencoderKL, x: torch.Tensor) -> torch.Tensor:
    with torch.autocast(x.device.type, torch.bfloat16):
        posterior = posterior_of(vae, x)
        y = decoded(vae, posterior.sample())
    y = y.float()
    kl = posterior.kl().mean() / posterior.mean[0].numel()
    return F.l1_loss(y, x) + 2 * F.mse_loss(y, x) + 0.5 * gradient_l1(y, x) + 1e-4 * kl


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: np.ndarray, batch: int = 100) -> torch.Tensor:
    means = []
    for i in tqdm(range(0, len(pictures), batch), desc="encode"):
        with torch.autocast("cpu", torch.bfloat16):
            means.append(posterior_of(vae, pixels(pictures[i : i + batch])).mean.float())
    return torch.cat(means)


@torch.no_grad()
def whiten(vae: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """Folds per-channel mean and deviation into the 1x1 convolutions around the latent. Exact.

    Returns the latents under the changed encoder: mean 0, deviation 1 in every channel.
    """
    mean = latents.mean(dim=(0, 2, 3))
    std = latents.std(dim=(0, 2, 3))
    channels = mean.numel()
    quant, post = vae.quant_conv, vae.post_quant_conv
    assert quant is not None and post is not None
    assert quant.bias is not None and post.bias is not None
    quant.weight[:channels] /= std[:, None, None, None]
    quant.bias[:channels] = (quant.bias[:channels] - mean) / std
    quant.bias[channels:] -= 2 * std.log()  # log-variance of the posterior
    post.bias += post.weight[:, :, 0, 0] @ mean
    post.weight *= std[None, :, None, None]
    return (latents - mean[:, None, None]) / std[:, None, None]


def main(data: Path, out: Path, minutes: float = 12) -> None:
    pictures = np.load(data / "pictures.npy", mmap_mode="r")
    torch.manual_seed(0)
    vae = AutoencoderKL(**CONFIG)
    training = Training(
        vae, out / "vae.ckpt", peak_lr=2e-3, minutes=minutes, ema_decay=0.995, warmup=100
    )
    for step in training:
        generator = torch.Generator().manual_seed(step)
        index = torch.randint(len(pictures) - 1000, (BATCH,), generator=generator)
        training.update(loss(vae, pixels(pictures[index.sort().values.numpy()])))
    training.use_ema()
    vae.eval()
    held_out = pixels(pictures[-256:])
    with torch.no_grad():
        y = decoded(vae, posterior_of(vae, held_out).mean).clamp(-1, 1)
    mse = ((y - held_out) / 2).square().mean()
    print(f"PSNR on 256 held-out pictures: {-10 * mse.log10():.2f} dB")
    latents = whiten(vae, encode(vae, pictures))
    np.save(data / "latents.npy", latents.half().numpy())
    vae.save_pretrained(out / "vae")


if __name__ == "__main__":
    started = time.time()
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:4]))
    print(f"{(time.time() - started) / 60:.1f} minutes")
