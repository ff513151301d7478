"""The training loop of all embedded models: time-budgeted, resumable, with weight averaging."""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from threads import Threads

SAVE_SECONDS = 60


class Training:
    """Iterates over steps until ``minutes`` are used; resumes from ``checkpoint``.

    Only time that the process got counts: on a busy machine the clock on the wall runs ahead of it.
    The learning rate warms up and then falls with a cosine of the *time* used, so a run fits its
    budget on any machine. ``update`` takes one optimiser step and moves the averaged weights.
    """

    def __init__(  # noqa: PLR0913 - its options are keyword-only
        self,
        model: nn.Module,
        checkpoint: Path,
        *,
        peak_lr: float,
        minutes: float,
        ema_decay: float,
        warmup: int = 100,
        slow: tuple[nn.Module, float] | None = None,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.01,
    ) -> None:
        self.model, self.checkpoint = model, checkpoint
        self.peak_lr, self.budget = peak_lr, 60 * minutes
        self.ema_decay, self.warmup = ema_decay, warmup
        slow_ids = {id(p) for p in slow[0].parameters()} if slow else set()
        fast = [p for p in model.parameters() if id(p) not in slow_ids and p.requires_grad]
        groups = [{"params": fast, "scale": 1.0}]
        if slow:
            groups.append({"params": list(slow[0].parameters()), "scale": slow[1]})
        self.optimizer = torch.optim.AdamW(
            groups, lr=peak_lr, betas=betas, weight_decay=weight_decay, fused=True
        )
        self.ema = copy.deepcopy(model.state_dict())
        self.step, self.used, self.losses = 0, 0.0, []
        if checkpoint.exists():
            state = torch.load(checkpoint, weights_only=True, mmap=True)
            model.load_state_dict(state["model"])
            self.ema = {key: value.clone() for key, value in state["ema"].items()}
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.used, self.losses = state["step"], state["used"], state["losses"]

    @property
    def progress(self) -> float:
        """Share of the time budget used, 0 to 1."""
        return min(1.0, self.used / self.budget)

    def __iter__(self) -> Iterator[int]:
        self.model.train()
        threads = Threads()
        saved = last = time.monotonic()
        worked = time.process_time()
        bar = tqdm(total=round(self.budget), initial=round(self.used), unit="s", mininterval=10)
        while self.used < self.budget:
            yield self.step
            self.step += 1
            now, had = time.monotonic(), time.process_time()
            threads.adapt()
            self.used += min(now - last, had - worked)
            last, worked = now, had
            bar.update(round(self.used) - bar.n)
            bar.set_postfix(
                step=self.step,
                threads=torch.get_num_threads(),
                loss=f"{self.recent_loss:.4f}",
                refresh=False,
            )
            if now - saved > SAVE_SECONDS:
                self.save()
                saved = now
        bar.close()
        self.save()

    @property
    def recent_loss(self) -> float:
        tail = self.losses[-100:]
        return sum(tail) / max(1, len(tail))

    def update(self, loss: torch.Tensor) -> None:
        warm = min(1.0, (self.step + 1) / self.warmup)
        rate = self.peak_lr * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * self.progress)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.losses.append(loss.item())
        if not math.isfinite(self.losses[-1]):
            raise FloatingPointError(f"loss is {self.losses[-1]} at step {self.step}")
        decay = min(self.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.ema[key].lerp_(value, 1 - decay)

    def use_ema(self) -> None:
        """Puts the averaged weights into the model."""
        self.model.load_state_dict(self.ema)

    def save(self) -> None:
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        partial = self.checkpoint.with_suffix(".partial")
        state = {
            "model": self.model.state_dict(),
            "ema": self.ema,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "used": self.used,
            "losses": self.losses,
        }
        torch.save(state, partial)
        os.replace(partial, self.checkpoint)
