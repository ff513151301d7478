"""Judges: weights from a path or an error, the right logits, the right scores."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPModel, CLIPTokenizer, ResNetForImageClassification

from support.evaluation import LABELS, save_classifier, save_clip
from trace_erasure.errors import InputError
from trace_erasure.evaluation.judges.base import (
    ClipJudge,
    ImageClassifierJudge,
    Judge,
    Scorer,
    pixel_values,
    probabilities,
)
from trace_erasure.testing import tiny_stable_diffusion


@pytest.fixture
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    return [Image.fromarray(picture) for picture in pixels]


def test_a_classifier_gives_its_models_logits(tmp_path, images):
    judge = ImageClassifierJudge(save_classifier(tmp_path / "tiny"))
    assert isinstance(judge, Judge) and not isinstance(judge, Scorer)
    assert judge.labels == LABELS
    model = ResNetForImageClassification.from_pretrained(tmp_path / "tiny").float().eval()
    pixels = np.stack([np.asarray(image) for image in images]).transpose(0, 3, 1, 2)
    with torch.no_grad():
        expected = model(torch.from_numpy(pixels) / 127.5 - 1).logits
    torch.testing.assert_close(judge.classify(images), expected)
    torch.testing.assert_close(judge.classify(images[2:3]), expected[2:3])
    chance = probabilities(expected, LABELS)
    torch.testing.assert_close(chance[:, :3].sum(1), torch.ones(5))
    torch.testing.assert_close(chance[:, 3:].sum(1), torch.ones(5))
    assert judge.classify([]).shape == (0, 5)


def test_the_id_names_the_weights(tmp_path):
    one, other, copy = (
        ImageClassifierJudge(save_classifier(tmp_path / name / "tiny", seed=seed)).id
        for name, seed in (("a", 0), ("b", 1), ("c", 0))
    )
    assert one.startswith("tiny@")
    assert one == copy != other


def test_a_judge_without_its_weights_is_refused(tmp_path):
    with pytest.raises(InputError, match="no judge at"):
        ImageClassifierJudge(tmp_path / "none")
    folder = save_classifier(tmp_path / "part")
    weights = load_file(folder / "model.safetensors")
    weights.pop("classifier.1.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"lacks 1 of its weights, classifier\.1\.weight"):
        ImageClassifierJudge(folder)


def test_a_saved_image_processor_is_used(tmp_path, images):
    from transformers import ViTImageProcessorPil

    folder = save_classifier(tmp_path / "real")
    plain = ImageClassifierJudge(folder).id
    ViTImageProcessorPil(
        size={"height": 32, "width": 32}, image_mean=[0.0] * 3, image_std=[1.0] * 3
    ).save_pretrained(folder)
    judge = ImageClassifierJudge(folder)
    assert judge._pixels(images).shape == (5, 3, 32, 32)
    assert judge._pixels(images).min() >= 0
    assert judge.id != plain


def test_pictures_are_resized_only_where_needed(images):
    same = pixel_values(images, 16)
    torch.testing.assert_close(same, pixel_values(images, None))
    assert same.min() >= -1 and same.max() <= 1
    assert pixel_values(images, 8).shape == (5, 3, 8, 8)


def test_clip_scores_are_a_hundred_cosines(tmp_path, images):
    folder = save_clip(tmp_path / "clip", tiny_stable_diffusion().tokenizer)
    texts = ["a fox", "a cat on a red horse", "a dog", "a fox", "a painting"]
    judge = ClipJudge(folder, {"object/fox": "a fox", "object/dog": "a dog"})
    assert isinstance(judge, Judge) and isinstance(judge, Scorer)
    model = CLIPModel.from_pretrained(folder).float().eval()
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    expected = []
    for image, text in zip(images, texts, strict=True):
        tokens = tokenizer([text], return_tensors="pt")
        with torch.no_grad():
            output = model(**tokens, pixel_values=pixel_values([image], 16))
        expected.append(100 * torch.cosine_similarity(output.image_embeds, output.text_embeds))
    scores = judge.score(images, texts)
    torch.testing.assert_close(scores, torch.cat(expected), atol=1e-4, rtol=0)
    zero_shot = judge.classify(images)
    torch.testing.assert_close(zero_shot[[0, 3], 0], scores[[0, 3]], atol=1e-4, rtol=0)
    torch.testing.assert_close(zero_shot[2, 1], scores[2], atol=1e-4, rtol=0)
    assert ClipJudge(folder).labels == ()
    assert ClipJudge(folder).id != judge.id
