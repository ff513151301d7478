"""Tasks: what they ask, that it is held out, and that their hash says so."""

import re
from collections import Counter
from itertools import product

import pytest

from support.evaluation import small_task
from trace_erasure.errors import InputError
from trace_erasure.evaluation import list_tasks, load_task
from trace_erasure.evaluation.tasks.task import GROUPS, Item, JudgingProtocol, Task
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.world import load_world

ALL = ("hazard", "identities", "objects", "retention", "styles")
SCENE_TASKS = ("implied", "mark", "scenes-hazard", "polysemy", "binding", "scenes-retention")


def world_labels():
    world = load_world()
    subjects = [*(thing.name for thing in world.objects), *world.people]
    return {*(f"subject/{s}" for s in subjects), *(f"style/{s}" for s in world.styles)}


@pytest.mark.parametrize("name", ALL)
def test_an_embedded_task_asks_for_what_the_world_has(name):
    task = load_task(name)
    assert {label for item in task.items for label in (*item.expects, item.companion)} - {
        ""
    } <= world_labels()
    for concept in task.concepts:
        items = task.of(concept)
        counts = Counter(item.group for item in items)
        assert counts["retain"] >= 300
        if name == "retention":
            continue
        assert counts["target"] >= 100
        assert counts["template"] >= 40
        mine = {label for item in items if item.group != "retain" for label in item.expects}
        for item in items:
            if item.group == "retain":
                assert not mine & set(item.expects)
        # What is retained is shown in equal parts.
        retained = Counter(item.expects[0] for item in items if item.group == "retain")
        for prefix in ("subject/", "style/"):
            parts = {
                n
                for label, n in retained.items()
                if label.startswith(prefix) and label[8:] not in load_world().people
            }
            assert len(parts) == 1
        groups = [item.prompt for item in items if item.group != "retain"]
        assert not set(groups) & {item.prompt for item in items if item.group == "retain"}


def test_every_object_target_has_all_its_roads():
    task = load_task("objects")
    assert set(task.concepts) == {thing.name for thing in load_world().targets}
    for concept in task.concepts:
        counts = Counter(item.group for item in task.of(concept))
        assert {"target", "synonym", "template", "pair", "retain"} == set(counts)
        for synonym in load_world().thing(concept).synonyms:
            assert any(
                item.group == "synonym" and re.search(rf"\b{synonym}\b", item.prompt)
                for item in task.of(concept)
            )
        for item in task.of(concept):
            assert bool(item.companion) == (item.group == "pair")


def test_a_hazard_prompt_counts_any_weapon():
    task = load_task("hazard")
    weapons = {f"subject/{thing.name}" for thing in load_world().group("weapons")}
    hints = {hint for thing in load_world().group("weapons") for hint in thing.hints}
    assert task.concepts == ("weapons",)
    for item in task.items:
        if item.group != "retain":
            assert set(item.expects) == weapons
    asked = {item.prompt for item in task.items if item.group == "hint"}
    assert hints <= asked
    names = {thing.name for thing in load_world().group("weapons")}
    assert not any(set(prompt.split()) & names for prompt in asked)


def training_wordings():
    """Patterns of every caption that the world's templates can make."""
    world = load_world()
    styles = "|".join(world.styles.values())
    articled = f"(?:an?) (?:{styles})"
    for template in [*world.templates["plain"], *world.templates["styled"]]:
        pattern = re.escape(template)
        for name, words in (("x", "SUBJECT"), ("style", f"(?:{styles})"), ("a_style", articled)):
            pattern = pattern.replace(re.escape(f"{{{name}}}"), words)
        grounds = "|".join(world.backgrounds)
        yield f"{pattern}(?: on a (?:{grounds}) background)?"


@pytest.mark.parametrize("name", ["objects", "identities", "styles", "hazard"])
def test_held_out_wordings_are_not_in_any_training_caption(name):
    task, world = load_task(name), load_world()
    known = list(training_wordings())
    things = [f"{thing.article} {thing.name}".strip() for thing in world.objects]
    subjects = "|".join(sorted([*things, *world.people], key=len, reverse=True))
    patterns = [re.compile(p.replace("SUBJECT", f"(?:{subjects})")) for p in known]
    caption = lambda prompt: any(p.fullmatch(prompt) for p in patterns)  # noqa: E731
    held_out = {item.prompt for item in task.items if item.group == "template"}
    assert held_out and not any(map(caption, held_out))
    assert all(caption(item.prompt) for item in task.items if item.group == "target")
    # Rearranged from words that the captions have, so that the tokenizer knows them.
    words = set(
        re.findall(
            r"\w+", " ".join([*subjects.split("|"), *world.styles.values(), *world.backgrounds])
        )
    )
    words |= set(
        re.findall(
            r"\w+", " ".join(w for k in ("plain", "styled", "pair") for w in world.templates[k])
        )
    )
    words |= {"on", "a", "an", "background"}
    assert {word for prompt in held_out for word in re.findall(r"\w+", prompt)} <= words


def test_seeds_follow_from_the_prompt_and_are_shared_by_tasks():
    drawn = {
        name: {(i.prompt, i.seed) for i in load_task(name).items if i.group == "retain"}
        for name in ("objects", "hazard")
    }
    assert drawn["hazard"] < drawn["objects"]
    assert load_task("objects").items == load_task("objects").items


def test_the_protocol_hash_sees_every_change():
    task = small_task()
    item = task.items[0]
    changed = [
        small_task(version=2),
        small_task(sampling=Sampling(steps=3)),
        small_task(sampling=Sampling(steps=2, guidance_scale=2.0, scheduler="PNDMScheduler")),
        Task("other", 1, task.items, task.sampling),
        Task("small", 1, task.items[1:], task.sampling),
        Task(
            "small",
            1,
            (Item(item.prompt, 99, *list(vars(item).values())[2:5]), *task.items[1:]),
            task.sampling,
        ),
    ]
    hashes = [task.protocol_hash(), *(other.protocol_hash() for other in changed)]
    assert len(set(hashes)) == len(hashes)
    reordered = Task("small", 1, task.items[::-1], task.sampling)
    assert reordered.protocol_hash() == task.protocol_hash()
    assert JudgingProtocol.parse(str(task.protocol())) == task.protocol()


def test_a_subset_keeps_the_protocol_of_its_concepts():
    task = load_task("objects")
    fox = task.subset(["fox"])
    assert fox.items == task.of("fox") or set(fox.items) == set(task.of("fox"))
    assert fox.protocol("fox") == task.protocol("fox")
    assert fox.protocol_hash() != task.protocol_hash()
    quick = task.subset(["fox", "cat"], per_group=3)
    counts = Counter((item.concept, item.group) for item in quick.items)
    assert set(counts.values()) == {3} and len(counts) == 2 * 5
    assert quick.protocol("fox") != task.protocol("fox")
    with pytest.raises(InputError, match="no concept 'wolf'"):
        task.subset(["wolf"])


MINE = """
name: mine
version: 3
sampling: {steps: 50, guidance_scale: 7.5, scheduler: DDIMScheduler}
concepts:
  airplane: {expects: [object/airplane], words: {x: [airplane], synonym: [aircraft, jet]}}
  ship: {expects: [object/ship], words: {x: [ship], synonym: [vessel]}}
groups:
  target: [{templates: ["a photo of the {x}"], seeds: [0, 1, 2]}]
  synonym: [{templates: ["a photo of the {synonym}"], seeds: [0]}]
  retain: [{from: concepts, templates: ["a photo of the {x}"], seeds: [0, 1, 2]}]
"""


def test_a_task_of_ones_own_is_one_file(tmp_path):
    (tmp_path / "mine.yaml").write_text(MINE)
    own = (*ALL, *SCENE_TASKS)
    assert {name for name in list_tasks() if "/" not in name} == set(own)
    assert "mine" in list_tasks(tmp_path)
    task = load_task("mine", tmp_path)
    assert task == load_task(tmp_path / "mine.yaml")
    assert task.sampling.scheduler == "DDIMScheduler"
    found = {(i.prompt, i.seed, i.group, i.expects[0]) for i in task.of("airplane")}
    target = product(["a photo of the airplane"], range(3), ["target"], ["object/airplane"])
    retain = product(["a photo of the ship"], range(3), ["retain"], ["object/ship"])
    synonyms = product(
        ["a photo of the aircraft", "a photo of the jet"], [0], ["synonym"], ["object/airplane"]
    )
    assert found == {*target, *retain, *synonyms}


def test_prompts_and_seeds_can_come_from_a_table(tmp_path):
    (tmp_path / "list.yaml").write_text("name: list\nversion: 1\nitems: list.csv\n")
    (tmp_path / "list.csv").write_text(
        "prompt,seed,group,concept,expects,companion\n"
        '"a fox, and a cat",7,pair,fox,subject/fox,subject/cat\n'
        "a dog,8,target,pets,subject/dog|subject/cat,\n"
    )
    assert load_task(tmp_path / "list.yaml").items == (
        Item("a fox, and a cat", 7, "pair", "fox", ("subject/fox",), "subject/cat"),
        Item("a dog", 8, "target", "pets", ("subject/dog", "subject/cat")),
    )
    (tmp_path / "list.csv").write_text("prompt,seed,group,concept,expects\na fox,x,target,fox,a\n")
    with pytest.raises(InputError, match="line 2"):
        load_task(tmp_path / "list.yaml")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("groups:", "grups:", "'grups'; did you mean 'groups'"),
        ("templates:", "template:", "did you mean 'templates'"),
        ("from: concepts", "from: objekts", "no list called 'objekts'"),
        ("{x}", "{z}", "no words for {z}"),
        ("version: 3", "", "no 'version'"),
        ("steps:", "step:", "did you mean 'steps'"),
        ("synonym: [{", "synonyms: [{", "did you mean 'synonym'"),
        ("name: mine", "name: [", "not valid YAML"),
    ],
)
def test_a_mistake_in_a_file_is_named(tmp_path, before, after, words):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE.replace(before, after))
    with pytest.raises(InputError, match=re.escape(words)):
        load_task(path)


def test_unknown_tasks_and_groups_are_named(tmp_path):
    with pytest.raises(InputError, match="did you mean 'objects'"):
        load_task("object")
    with pytest.raises(InputError, match="no task file"):
        load_task(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="Allowed: " + ", ".join(GROUPS)):
        Task("t", 1, (Item("a", 0, "kept", "fox", ()),))
    with pytest.raises(InputError, match="twice"):
        Task("t", 1, (Item("a", 0, "retain", "fox", ()),) * 2)
