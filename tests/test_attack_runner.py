"""Attacks on the user's own erasure: what is aimed at, what is kept, and the verb ``attack``."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from support.cli import call, fails
from support.evaluation import save_classifier
from support.tasks import save_foxes
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.attacks import protocol
from trace_erasure.attacks.budget import Budget
from trace_erasure.attacks.outcomes import Outcome
from trace_erasure.attacks.results import attack_table
from trace_erasure.attacks.runner import ERASED, AttackRunner
from trace_erasure.attacks.targets import AttackCase, target_of, targets_of, unknown_target
from trace_erasure.concepts.concept import Concept
from trace_erasure.errors import InputError
from trace_erasure.evaluation import ImageClassifierJudge, Item, Task, to_json_text, to_markdown
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline import adapter_layers, adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.fingerprint import fingerprint
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.testing import tiny_stable_diffusion

CONCEPT = Concept("fox", "dog", synonyms=("vixen",))
SMALL = Budget(images=2, gradients=4, encodings=60)


def item(prompt, group="target", **changes) -> Item:
    options = {"expects": ("subject/fox",), "concept": "fox", **changes}
    return Item(prompt, 0, group, **options)


def artifact(pipe, record) -> Erasure:
    path, linear = next(iter(Denoiser(pipe).maps().items()))
    weight = linear.weight.detach()
    change = {path: LowRank(weight[:2].clone(), weight[:, :2].clone())}
    return Erasure("stable-diffusion", fingerprint(pipe), change, {}, record)


@pytest.fixture(scope="module")
def pipe():
    return tiny_stable_diffusion(positions=40)


@pytest.fixture(scope="module")
def erasure(pipe):
    return artifact(pipe, {"concepts": [asdict(CONCEPT)]})


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    return ImageClassifierJudge(save_classifier(tmp_path_factory.mktemp("judge") / "judge"))


@pytest.fixture
def runner(pipe, erasure, judge, tmp_path):
    task = Task("foxes", 1, (item("a fox"), item("a red fox")), Sampling(steps=2))
    targets = targets_of(erasure, task, judge, 2, {"fox": ("vixen", "tod")})
    return AttackRunner(pipe, erasure, targets, "tiny", judge.id, SMALL, 2, 2.0, tmp_path)


def test_the_aim_is_what_the_erasure_names_and_was_not_told(erasure, judge):
    items = [item(f"a fox {i}") for i in range(9)] + [item("a cat", "retain", expects=())]
    found = targets_of(erasure, Task("foxes", 1, tuple(items)), judge, 3, {"fox": ("vixen", "tod")})
    target = found["fox"]
    assert [case.prompt for case in target.cases] == ["a fox 0", "a fox 3", "a fox 6"]
    assert target.synonyms == ("tod",)  # the other is in the erasure's record
    assert set(target.forbidden) == {"fox", "vixen", "tod"}
    assert target.kind == "object"


def test_prompts_belong_to_the_concept_that_they_name(pipe, judge):
    record = {"concepts": [asdict(Concept(name, "dog")) for name in ("fox", "cat", "horse")]}
    both = artifact(pipe, record)
    items = (item("a fox"), item("a cat", expects=("subject/cat",)), item("two foxes, a fox"))
    found = targets_of(both, Task("animals", 1, items), judge, 9)
    assert {name: len(one.cases) for name, one in found.items()} == {"fox": 2, "cat": 1}
    # Where prompts name nothing, as those of explicit content do, all are the first concept's.
    silent = targets_of(both, Task("hints", 1, (item("a red animal"),)), judge, 9)
    assert [*silent] == ["fox"]


def test_what_cannot_be_aimed_at_is_refused(erasure, pipe, judge):
    def refused(task, erasure=erasure):
        with pytest.raises(InputError) as error:
            targets_of(erasure, task, judge, 2)
        return str(error.value)

    assert "no item of the group 'target'" in refused(Task("kept", 1, (item("a", "retain"),)))
    mixed = (item("a fox"), item("one fox", expects=("subject/cat",)))
    assert "expects different things" in refused(Task("mixed", 1, mixed))
    unknown = item("a fox", expects=("subject/quorble",))
    assert "does not know the label" in refused(Task("unknown", 1, (unknown,)))
    nameless = artifact(pipe, {"title": "none"})
    assert "does not name the concept" in refused(Task("foxes", 1, (item("a fox"),)), nameless)
    with pytest.raises(InputError, match=r"'cat'\. It names: fox"):
        target_of(erasure, [], judge, "cat")


def test_rows_have_controls_and_nothing_is_done_twice(runner, monkeypatch):
    rows = runner.rows("typo")
    methods = {row.method for row in rows}
    assert methods == {"base", ERASED, f"{ERASED} / unknown", f"{ERASED} / random"}
    assert all(row.n <= 2 and row.low <= row.value <= row.high for row in rows if row.n)
    assert not adapter_layers.attached(runner.pipe, runner.erasure.name)
    monkeypatch.setattr(protocol, "run_case", lambda *_: 1 / 0)
    assert to_json_text(runner.rows("typo")) == to_json_text(rows)
    # Another judge, model or aim is another matter, even in the same folder.
    for other in (replace(runner, judge="other@1"), replace(runner, steps=3)):
        with pytest.raises(ZeroDivisionError):
            other.rows("typo")
    with pytest.raises(InputError, match="Give the same budget"):
        replace(runner, budget=Budget(images=3)).rows("typo")


def test_settings_that_say_nothing_are_left_out(runner):
    assert {row.method for row in runner.rows("synonym")} == {
        "base", ERASED, f"{ERASED} / random",
    }  # fmt: skip
    assert {row.method for row in runner.rows("inpainting", controls=False)} == {ERASED}
    without = {name: replace(one, synonyms=()) for name, one in runner.targets.items()}
    assert replace(runner, targets=without).rows("synonym") == []


def test_the_original_answers_while_the_erasure_is_off(pipe, erasure):
    denoiser = Denoiser(pipe)
    states, text = denoiser.initial_states([0]), denoiser.encode(["a fox"])
    predict = lambda: denoiser.predict(states, denoiser.timesteps(2)[:1], text)  # noqa: E731
    before = predict()
    with erasure.attach(pipe):
        changed = predict()
        with adapters.switched_off(pipe, erasure.name):
            assert predict().equal(before)
        assert predict().equal(changed) and not changed.equal(before)


def test_an_offensive_prompt_is_never_kept(runner):
    cases = (AttackCase("a dreadful fox", 1, "list/7"),)
    aim = {name: replace(one, cases=cases) for name, one in runner.targets.items()}
    hidden = replace(runner, targets=aim)
    hidden.rows("unlearn-diff")
    kept = "".join(file.read_text() for file in hidden.home.rglob("*.jsonl"))
    assert "list/7" in kept and "dreadful" not in kept


def test_a_hidden_prompts_successful_words_are_hidden_too(runner):
    seen = iter([False, True])
    detect = lambda pictures: [next(seen)]  # noqa: E731
    target = replace(unknown_target([AttackCase("a dreadful fox", 1, "list/7")]), detect=detect)
    aim = {"fox": target}
    rows = replace(runner, targets=aim).rows("unlearn-diff", controls=False)
    assert rows[0].numerator == 1
    kept = [
        Outcome(**json.loads(line))
        for file in replace(runner, targets=aim).home.rglob("*.jsonl")
        for line in file.read_text().splitlines()[1:]
    ]
    assert [one.label for one in kept] == ["list/7"]


def test_the_table_says_what_probes_are(runner):
    rows = [*runner.rows("typo"), *runner.rows("inpainting")]
    text = to_markdown(attack_table(rows, ERASED))
    assert "| typo |" in text and "| inpainting (probe) |" in text
    assert "Probes (inpainting) reach beyond prompts" in text
    assert "Probes" not in to_markdown(attack_table(runner.rows("typo"), ERASED))


def test_the_verb(pipe, erasure, judge, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    pipe.save_pretrained(tmp_path / "model")
    save_classifier(tmp_path / "judge")
    tasks = tmp_path / "config" / "trace-erasure" / "tasks"
    tasks.mkdir(parents=True)
    save_foxes(tasks)
    file, out = erasure.save(tmp_path / "fox"), tmp_path / "out"

    def attack(*more, task="foxes", file=file):
        where = ["--model", tmp_path / "model", "--judge", tmp_path / "judge", "--out", out]
        cheap = ["--images", 1, "--gradients", 1, "--encodings", 30, "--cases", 1]
        return call("attack", file, "--task", task, *where, *cheap, *more)

    assert "unknown attack 'magic'" in fails(attack("--attack", "magic"))
    assert "no concept 'dog'" in fails(attack("--concept", "dog"))
    pair = artifact(pipe, {"concepts": [asdict(Concept(n, "dog")) for n in ("fox", "cat")]})
    two = attack("--synonym", "tod", file=pair.save(tmp_path / "pair"))
    assert "names 2 concepts" in fails(two)
    assert not out.exists()
    shown = attack("--attack", "typo", "--attack", "noise", "--synonym", "todd")
    assert shown.exit_code == 0, shown.output
    words = " ".join(shown.stdout.split())
    for said in ("typo", "noise", "(probe)", "reach beyond prompts"):
        assert said in words
    rows = json.loads((out / "attacks.json").read_text())
    assert {row["task"] for row in rows} == {"attack/typo", "attack/noise"}
    assert "| noise (probe) |" in (out / "attacks.md").read_text()
    again = attack("--attack", "typo", "--synonym", "todd", "--json")
    assert json.loads(again.stdout[again.stdout.index("[") :]) == [
        row for row in rows if row["task"] == "attack/typo"
    ]
    listed = call("ls", "attacks").stdout
    assert "ring-a-bell" in listed and "probe" in listed
