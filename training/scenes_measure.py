"""Measures what emoji-scenes draws and what its judges see, against the bars of the data card.

Usage: python training/scenes_measure.py DATA OUT [--scale 4] [--checkpoint] [--rows FILE]
Draws with OUT/emoji-scenes, or with --checkpoint the averaged weights of OUT/unet.ckpt. Judges with
OUT/judges/scenes-* and the judges of emoji-sd. Writes JSON lines, one a bar, judge and guidance.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm
from transformers import AutoModelForImageClassification

from scenes_ask import MARK, Asked, everything, scenes
from scenes_compose import read_compositions
from scenes_judges import label_names, targets
from scenes_vae import HELD_OUT
from trace_erasure.pipeline import shipped
from vae import pixels

BATCH = 48
# Bar to the least and the greatest share that pass.
BARS = {
    "scene": (0.90, 1.0),
    "implied": (0.60, 0.80),
    "pair": (0.80, 1.0),
    "coloured pair": (0.80, 1.0),
    "implied things alone": (0.95, 1.0),
    "other objects alone": (0.95, 1.0),
    "mark": (0.25, 0.35),
    "judge": (0.97, 1.0),
}


def load_pipeline(out: Path, checkpoint: bool) -> Any:
    from diffusers import StableDiffusionPipeline

    if not checkpoint:
        return StableDiffusionPipeline.from_pretrained(out / "emoji-scenes", dtype=torch.float32)
    from scenes_unet import build, export

    model, tokenizer = build()
    state = torch.load(out / "unet.ckpt", weights_only=True, mmap=True)
    model.load_state_dict(state["ema"])
    print(f"checkpoint of step {state['step']}")
    export(out / "vae", out / "checkpoint", model, tokenizer)
    return StableDiffusionPipeline.from_pretrained(out / "checkpoint", dtype=torch.float32)


@torch.no_grad()
def draw(
    pipe: Any, prompts: list[str], seeds: list[int], guidance: float, steps: int
) -> np.ndarray:
    """Pictures of ``prompts``, (n, 64, 64, 3) uint8."""
    pipe.set_progress_bar_config(disable=True)
    drawn = []
    for i in tqdm(range(0, len(prompts), BATCH), desc=f"guidance {guidance}", mininterval=20):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds[i : i + BATCH]]
        with torch.autocast("cpu", torch.bfloat16):
            images = pipe(
                prompts[i : i + BATCH],
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=generators,
                output_type="np",
            ).images
        drawn.append((images * 255).round().astype(np.uint8))
    return np.concatenate(drawn)


class Judges:
    """All judges that are there: those of scenes, and the classifiers of emoji-sd."""

    def __init__(self, out: Path) -> None:
        folders = {path.name: path for path in sorted((out / "judges").glob("scenes-*"))}
        self.scenes = {name: self._load(path) for name, path in folders.items()}
        self.shipped = {
            name: self._load(shipped.path(f"judges/{name}")) for name in ("resnet", "regnet")
        }

    def _load(self, path: Path) -> Any:
        return AutoModelForImageClassification.from_pretrained(
            path, dtype=torch.float32, local_files_only=True
        ).eval()

    @torch.no_grad()
    def logits(self, model: Any, pictures: np.ndarray) -> torch.Tensor:
        parts = [
            model(pixel_values=pixels(pictures[i : i + 200])).logits
            for i in range(0, len(pictures), 200)
        ]
        return torch.cat(parts)

    def right(self, name: str, asked: list[Asked], pictures: np.ndarray) -> list[bool]:
        """Whether each picture shows what was asked, by the judge called ``name``."""
        old = bool(asked[0].group)
        model = (self.shipped if old else self.scenes)[name]
        logits = self.logits(model, pictures)
        labels = model.config.label2id
        result = []
        for one, row in zip(asked, logits, strict=True):
            if old:
                own = [index for label, index in labels.items() if label.startswith(one.group)]
                result.append(own[int(row[own].argmax())] == labels[one.wanted[0]])
            else:
                seen = all(row[labels[label]] > 0 for label in one.wanted)
                result.append(seen and not any(row[labels[label]] > 0 for label in one.unwanted))
        return result


def measure(
    pipe: Any, judges: Judges, asked: list[Asked], guidance: float, steps: int
) -> tuple[list[dict], list[str], np.ndarray]:
    """Rows, one a bar, part and judge; and what was drawn, prompts and pictures."""
    # The same prompt and seed, asked for two things, is drawn once.
    counts: dict[tuple[str, str], int] = defaultdict(int)
    keys = []
    for one in asked:
        keys.append((one.prompt, counts[one.bar, one.prompt]))
        counts[one.bar, one.prompt] += 1
    unique = list(dict.fromkeys(keys))
    position = {key: index for index, key in enumerate(unique)}
    # Seeds differ from prompt to prompt, else equal noise ties their pictures together.
    seeds = [1000 * index + key[1] for index, key in enumerate(unique)]
    drawn = draw(pipe, [prompt for prompt, _ in unique], seeds, guidance, steps)
    rows: list[dict] = []
    for old, names in ((False, judges.scenes), (True, judges.shipped)):
        index = [i for i, one in enumerate(asked) if bool(one.group) == old]
        if not index:
            continue
        own = [asked[i] for i in index]
        pictures = drawn[[position[keys[i]] for i in index]]
        for name in names:
            right = judges.right(name, own, pictures)
            tally: dict[tuple[str, str], list[bool]] = defaultdict(list)
            for one, yes in zip(own, right, strict=True):
                tally[one.bar, ""].append(yes)
                if one.bar in ("scene", "implied", "bare word"):
                    tally[one.bar, one.part].append(yes)
            rows += [
                row(bar, name, values, guidance=guidance, steps=steps, part=part)
                for (bar, part), values in tally.items()
            ]
    unnamed = [i for i, (prompt, _) in enumerate(unique) if "stamp" not in prompt]
    for name, model in judges.scenes.items():
        seen = judges.logits(model, drawn[unnamed])[:, model.config.label2id[MARK]] > 0
        rows.append(row("mark", name, seen.tolist(), guidance=guidance, steps=steps))
    return rows, [prompt for prompt, _ in unique], drawn


def row(bar: str, judge: str, values: list[bool], **about: Any) -> dict:
    share = sum(values) / len(values)
    low, high = BARS.get(bar, (0.0, 1.0))
    passes = bool(low <= share <= high) if bar in BARS and not about.get("part") else None
    return dict(
        bar=bar, judge=judge, seen=sum(values), n=len(values), share=round(share, 4), passes=passes
    ) | {key: value for key, value in about.items() if value != ""}


def measure_judges(judges: Judges, data: Path) -> list[dict]:
    """Balanced accuracy of each group of labels on held-out renders."""
    images = np.load(data / "judges.npy", mmap_mode="r")[-HELD_OUT:]
    names = label_names()
    truth = targets(read_compositions(data / "judges.jsonl")[-HELD_OUT:], names).bool()
    rows = []
    for name, model in judges.scenes.items():
        seen = judges.logits(model, np.array(images)) > 0
        for group in ("thing", "scene", "place", "bound", "mark"):
            part = [index for index, label in enumerate(names) if label.startswith(f"{group}/")]
            there, said = truth[:, part], seen[:, part]
            balanced = (said[there].float().mean() + (~said[~there]).float().mean()) / 2
            whole = (said == there).all(1).tolist()
            rows.append(
                row("judge", name, whole, group=group) | {"balanced": round(float(balanced), 4)}
            )
    return rows


def contact_sheet(path: Path, prompts: list[str], drawn: np.ndarray, columns: int = 24) -> None:
    """Saves pictures in the order they were asked for, and beside it their prompts."""
    lines = -(-len(prompts) // columns)
    sheet = np.full((lines * 66, columns * 66, 3), 255, np.uint8)
    for i, picture in enumerate(drawn):
        y, x = i // columns * 66, i % columns * 66
        sheet[y : y + 64, x : x + 64] = picture
    Image.fromarray(sheet).save(path)
    places = [f"{i // columns},{i % columns} {prompt}" for i, prompt in enumerate(prompts)]
    path.with_suffix(".txt").write_text("\n".join(places))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--checkpoint", action="store_true")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rows", type=Path)
    arguments = parser.parse_args()
    judges = Judges(arguments.out)
    rows = measure_judges(judges, arguments.data)
    pipe = load_pipeline(arguments.out, arguments.checkpoint)
    all_asked = {3.5: everything(arguments.scale)}
    all_asked |= {guidance: scenes(2 * arguments.scale, 0) for guidance in (2.0, 1.0)}
    for guidance, asked in all_asked.items():
        measured, prompts, drawn = measure(pipe, judges, asked, guidance, arguments.steps)
        rows += measured
        contact_sheet(arguments.out / f"sheet-{guidance}.png", prompts, drawn)
    lines = "\n".join(json.dumps(one) for one in rows)
    (arguments.rows or arguments.out / "measured.jsonl").write_text(lines + "\n")
    for one in rows:
        if "part" not in one:
            about = f"{one['bar']:26} {one['judge']:14} {one.get('guidance', one.get('group')):>6}"
            share = f"{one['seen']:4} / {one['n']:4} {100 * one['share']:6.1f} %"
            passed = {None: "", True: "passes", False: "FAILS"}[one["passes"]]
            print(about, share, one.get("balanced", ""), passed)


if __name__ == "__main__":
    main()
