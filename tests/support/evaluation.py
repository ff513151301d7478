"""Tiny judges, tasks and verdicts for the evaluation's tests."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    ResNetConfig,
    ResNetForImageClassification,
)

from trace_erasure.evaluation.judges.base import ImageClassifierJudge
from trace_erasure.evaluation.runs.records import Verdict
from trace_erasure.evaluation.tasks.task import Item, JudgingProtocol, Task, items_digest
from trace_erasure.pipeline.sampling import Sampling

LABELS = ("subject/fox", "subject/cat", "subject/nothing", "style/cartoon", "style/neon")
SAMPLING = Sampling(steps=2, guidance_scale=2.0)

# Acc_e 1/4; synonyms 1/2, wordings 0/1, pairs 1/1, so Acc_g 2/4; Acc_s 3/4.
FLAGS = [
    *zip(["target"] * 4, [True, False, False, False], strict=True),
    *zip(["synonym"] * 2, [True, False], strict=True),
    ("template", False),
    ("pair", True),
    *zip(["retain"] * 4, [True, True, True, False], strict=True),
]
BETTER = [(group, group == "retain") for group, _ in FLAGS]


def save_classifier(folder, labels=LABELS, seed=0):
    """A random image classifier with the label scheme of the embedded judges, in fp16."""
    torch.manual_seed(seed)
    config = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    ResNetForImageClassification(config).half().save_pretrained(folder)
    return folder


def save_clip(folder, tokenizer):
    """A random CLIP for 16x16 pictures with its tokenizer."""
    torch.manual_seed(0)
    tower = dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2)
    text = dict(
        **tower,
        vocab_size=len(tokenizer),
        max_position_embeddings=77,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    vision = dict(**tower, image_size=16, patch_size=8)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return ImageClassifierJudge(save_classifier(tmp_path_factory.mktemp("judges") / "tiny"))


def small_task(concepts=("fox", "cat"), version=1, sampling=SAMPLING):
    """Two concepts that are each other's retained item; shared prompts are drawn once."""
    items = []
    for concept in concepts:
        label = (f"subject/{concept}",)
        other = "cat" if concept == "fox" else "fox"
        items += [
            Item(f"a {concept}", 1, "target", concept, label),
            Item(f"a picture of a {concept}", 2, "target", concept, label),
            Item(f"a {concept} and a {other}", 3, "pair", concept, label, f"subject/{other}"),
            Item(f"a {other}", 1, "retain", concept, (f"subject/{other}",)),
            Item("a red fox, neon style", 4, "retain", concept, ("style/neon",)),
        ]
    return Task("small", version, tuple(items), sampling)


def verdicts(flags, *, concept="fox", method="trace", scores=None, judge="judge@1", **changes):
    """Verdicts from ``[(group, correct)]``; every prompt is its own."""
    items = [
        Item(f"{group} {i}", i, group, concept, (f"subject/{concept}",))
        for i, (group, _) in enumerate(flags)
    ]
    protocol = JudgingProtocol(
        task="small",
        version="1",
        items=items_digest(item.id for item in items),
        scheduler="DDIMScheduler",
        steps="20",
        guidance_scale="3.5",
        size="native",
    )
    return [
        Verdict(
            **{
                "model": "tiny",
                "task": "small",
                "method": method,
                "seed": 0,
                "concept": concept,
                "judge": judge,
                "protocol": str(protocol),
                "item": item.id,
                "group": item.group,
                "prompt": item.prompt,
                "image_seed": item.seed,
                "image": "",
                "expected": item.expects,
                "labels": ("subject/fox", "subject/cat") if correct else ("subject/cat",),
                "probability": 0.9 if correct else 0.1,
                "correct": correct,
                "nothing": False,
                "score": None if scores is None else scores[i],
                **changes,
            }
        )
        for i, (item, (_, correct)) in enumerate(zip(items, flags, strict=True))
    ]
