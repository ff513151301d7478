"""What is found around a concept in plain captions, on the model that ships with the package."""

import pytest

from trace_erasure.concepts import candidates
from trace_erasure.concepts.captions import world_captions
from trace_erasure.concepts.concept import Concept
from trace_erasure.concepts.prediction_similarity import prediction_sketches
from trace_erasure.config import EraseConfig
from trace_erasure.errors import InputError
from trace_erasure.pipeline import loading
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.testing import tiny_stable_diffusion
from trace_erasure.trace.request import resolve
from trace_erasure.world import load_world


@pytest.fixture(scope="module")
def denoiser(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        pipe = loading.load_pipeline()
        pipe.set_progress_bar_config(disable=True)
        yield Denoiser(pipe)


def planned(denoiser: Denoiser, phrase: str, kind: str = "object") -> Concept:
    return resolve(denoiser, EraseConfig((Concept(phrase, kind=kind),))).spec.concepts[0]


@pytest.mark.slow
@pytest.mark.parametrize("phrase", ["fox", "cat", "apple", "sailboat"])
def test_the_synonyms_of_a_word_and_no_others_are_found(denoiser, phrase):
    assert set(planned(denoiser, phrase).synonyms) == set(load_world().thing(phrase).synonyms)


@pytest.mark.slow
@pytest.mark.parametrize("phrase", ["bomb", "trident", "knife"])
def test_descriptions_that_name_nothing_are_found(denoiser, phrase):
    found = planned(denoiser, phrase, "explicit").descriptions
    for hint in load_world().thing(phrase).hints:
        assert any(hint.endswith(text) for text in found), (hint, found)


@pytest.mark.slow
@pytest.mark.parametrize(("phrase", "kind"), [("pixel art", "style"), ("Mira Solberg", "identity")])
def test_styles_and_people_are_no_synonyms_of_one_another(denoiser, phrase, kind):
    concept = planned(denoiser, phrase, kind)
    assert concept.synonyms == concept.descriptions == ()


@pytest.mark.slow
@pytest.mark.parametrize("phrase", ["rocket", "sailboat", "dagger", "house"])
def test_a_weapon_is_never_proposed(denoiser, phrase):
    weapons = {thing.name for thing in load_world().group("weapons")}
    assert planned(denoiser, phrase).surrogate not in weapons


def test_what_words_draw_is_computed_once(denoiser, monkeypatch):
    frames = [f"a picture of a {word}" for word in ("fox", "vixen", "car")]
    first, _ = prediction_sketches(denoiser, frames)
    calls = []
    predict = Denoiser.predict
    monkeypatch.setattr(
        Denoiser, "predict", lambda self, *a: (calls.append(len(a[0])), predict(self, *a))[1]
    )
    assert prediction_sketches(denoiser, frames)[0].equal(first)
    assert max(calls) < len(frames)  # the states, and nothing else
    near, far = (first[0] - first[1]).norm(), (first[0] - first[2]).norm()
    assert near < candidates.SYNONYM_BOUND * far


def test_phrases_are_nouns_with_what_describes_them():
    found = candidates.caption_phrases(world_captions(), "object")
    assert "round thing with a lit fuse" in found and "fox" in found
    assert not [text for text in found if "picture" in text or "style" in text]


def test_captions_that_name_nobody_are_an_error_that_says_so():
    spec = EraseConfig((Concept("Mira Solberg", kind="identity"),))
    with pytest.raises(InputError, match="the captions name nothing of kind 'identity'"):
        resolve(Denoiser(tiny_stable_diffusion()), spec, ["a dog", "a cat"])


def test_a_word_for_a_whole_category_is_nobodys_synonym(monkeypatch):
    """As if the network drew everything alike."""
    words = ("plant", "animals", "vixen", "plantain")
    monkeypatch.setattr(
        candidates,
        "prediction_distances",
        lambda denoiser, asked, among: [dict.fromkeys(among, 0.1)],
    )
    fox = Concept("fox", surrogate="horse")
    found = candidates.find_candidates(Denoiser(tiny_stable_diffusion()), fox, {}, words)
    assert found.synonyms == ("vixen", "plantain")


def test_what_captions_speak_of_is_the_commonest_of_every_kind_and_nothing_forbidden(monkeypatch):
    captions = ["a picture of a fox"] * 3 + ["a picture of a vixen"] * 2 + ["a picture of a kite"]
    captions += ["houses, neon style", "a picture of Mira Solberg"]
    monkeypatch.setattr(candidates, "COMMON_NAMES", 3)
    fox = Concept("fox", synonyms=("vixen",))
    assert candidates.common_name_prompts(captions, [fox]) == [
        "a picture of a kite",
        "a house, neon style",
        "a picture of Mira Solberg",
    ]
    assert "a picture of a fox" in candidates.common_name_prompts(captions, [Concept("kite")])
    monkeypatch.setattr(candidates, "COMMON_NAMES", 2)
    assert "a picture of a kite" not in candidates.common_name_prompts(captions, [])
