"""The page, in Gradio. Annotations are real here, and Gradio is imported when it is built."""

from typing import Any

from trace_erasure.concepts.kinds import AUTO, KINDS
from trace_erasure.concepts.pack import shipped_packs
from trace_erasure.config import PRESETS
from trace_erasure.pipeline.shipped import GUIDANCE, STEPS
from trace_erasure.pipeline.strength import MAX_STRENGTH
from trace_erasure.studio.handlers import Handlers
from trace_erasure.studio.hints import hint
from trace_erasure.studio.session import Session
from trace_erasure.studio.trial import BY_PROMPTS
from trace_erasure.studio.wording import hint_html

TITLE = "trace-erasure studio"
LEAD = "Take something out of an image model, and see what that did."
NO_PACK = ("none: what is typed above", "")
ONE_AT_A_TIME: dict[str, Any] = dict(concurrency_limit=1, concurrency_id="bench")
"""There is one model on the bench."""


def build(handlers: Handlers) -> Any:
    """The page as Gradio ``Blocks``."""
    import gradio as gr  # type: ignore  # of the extra

    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        session = gr.State(handlers.open, time_to_live=None, delete_callback=Session.stop)
        gr.Markdown(f"# Studio\n{LEAD}")
        with gr.Tabs():
            with gr.Tab("Erase"), gr.Row():
                with gr.Column(scale=2, min_width=300):
                    form, drawing, buttons = _form(gr, handlers)
                with gr.Column(scale=3, min_width=300):
                    _results(gr, handlers, session, form, drawing, buttons)
            with gr.Tab("Takedown list"):
                gr.Markdown(f"The ledger `{handlers.ledger}`, to look at.")
                listed = _said(gr, "ledger")
                again = gr.Button("Read it again", elem_id="read-ledger")
                again.click(handlers.show_ledger, None, listed)
                page.load(handlers.show_ledger, None, listed)
    return page


def _said(gr: Any, name: str) -> Any:
    """A place where HTML is said."""
    return gr.HTML("", elem_id=name, elem_classes="said")


def _form(gr: Any, handlers: Handlers) -> tuple[list[Any], list[Any], list[Any]]:
    """The form's fields, how to draw, and the buttons below."""
    bench = handlers.bench
    note = "A shipped model." if bench.closed else "A shipped one, a folder, or user/name."
    model = gr.Dropdown(
        bench.choices, value=bench.choices[0], label="Model", info=note, elem_id="model",
        allow_custom_value=not bench.closed,
    )  # fmt: skip
    phrase = gr.Textbox(
        label="What to erase", placeholder="fox", elem_id="concept", max_lines=1, autofocus=True
    )
    said = _said(gr, "hint")
    words = gr.Radio([], label="Words", elem_id="words", visible=False)
    kind = gr.Radio([AUTO, *KINDS], value=AUTO, label="Kind", elem_id="kind")
    pack = gr.Dropdown(
        [NO_PACK, *shipped_packs()], value="", label="Or a pack of concepts", elem_id="pack"
    )
    with gr.Accordion("More", open=False):
        surrogate = gr.Textbox(label="Show instead", placeholder="one is proposed", max_lines=1)
        synonyms = gr.Textbox(label="Erase along", placeholder="vixen, reynard")
        retain = gr.Textbox(label="Keep", placeholder="wolf, dog")
        preset = gr.Radio(list(PRESETS), value="fast", label="Preset")
        sensitive = gr.Checkbox(label="Sensitive: hide its words, blur its pictures")
        steps = gr.Slider(1, 100, value=STEPS, step=1, label="Steps of a picture")
        guidance = gr.Slider(1, 15, value=GUIDANCE, step=0.5, label="Guidance scale")
    with gr.Row():
        look = gr.Button("Preview", elem_id="preview", min_width=90)
        erase = gr.Button("Erase", variant="primary", elem_id="erase", min_width=90)
        stop = gr.Button("Stop", variant="stop", elem_id="stop", min_width=90)

    def on_typing(typed: str) -> tuple[str, Any]:
        found = hint(typed)
        choices = list(found.words)
        return hint_html(found), gr.Radio(choices=choices, value=None, visible=bool(choices))

    def on_word(word: str) -> tuple[str, str, Any]:
        return word, hint_html(hint(word)), gr.Radio(choices=[], value=None, visible=False)

    phrase.input(
        on_typing, phrase, [said, words], trigger_mode="always_last", show_progress="hidden",
        queue=False,
    )  # fmt: skip
    words.input(on_word, words, [phrase, said, words], show_progress="hidden", queue=False)
    form = [model, phrase, pack, kind, surrogate, synonyms, retain, preset, sensitive]
    return form, [steps, guidance], [look, erase, stop]


def _results(
    gr: Any, handlers: Handlers, session: Any, form: list[Any], drawing: list[Any],
    buttons: list[Any],
) -> None:  # fmt: skip
    look, erase, stop = buttons
    hidden: dict[str, Any] = dict(show_progress="hidden")
    status = _said(gr, "status")
    seen = _said(gr, "looked")
    with gr.Column(visible=False, elem_id="made") as made:
        result = _said(gr, "verdict")
        weight = gr.Slider(
            0, MAX_STRENGTH, value=1, step=0.1, label="Strength", elem_id="strength",
            info="0 is the model as it was, 1 the erasure as it was made.",
        )  # fmt: skip
        gr.Markdown("### The concept")
        concept = _said(gr, "concept-grid")
        gr.Markdown("### Its neighbours")
        neighbours = _said(gr, "neighbours-grid")
        with gr.Accordion("A prompt of your own", open=False):
            prompt = gr.Textbox(show_label=False, placeholder="a fox on a hill", max_lines=1)
            draw = gr.Button("Draw it, before and after")
            drawn = _said(gr, "own-grid")
        with gr.Accordion("Attack it", open=False, elem_id="attack-panel"):
            gr.Markdown("Prompts that try to bring the concept back.")
            attack = gr.Radio(list(BY_PROMPTS), value=BY_PROMPTS[0], show_label=False)
            start = gr.Button("Attack", elem_id="attack")
            tried = _said(gr, "tried")
        gr.Markdown("### Take it with you")
        tool = gr.Radio([], label="For", elem_id="tool")
        force = gr.Checkbox(label="Even if the verdict is failed", value=False)
        problem = _said(gr, "download-problem")
        file = gr.DownloadButton("Choose a tool first", interactive=False, elem_id="download")
        gr.Markdown(
            "A LoRA file can be left out by whoever holds the model. Where the erasure must hold, "
            "merge it: `trace-erasure export FILE --for checkpoint --model MODEL`."
        )

    def shown(values: Any) -> Any:
        return tuple(gr.skip() if value is None else value for value in values)

    def on_look(own: Session, *values: Any) -> Any:
        yield "", "", gr.Column(visible=False)
        for step in handlers.look(own, *values):
            yield *shown(step), gr.skip()

    def on_erase(own: Session, *values: Any) -> Any:
        yield "", "", gr.skip(), gr.Column(visible=False)
        for status_, result_ in handlers.erase(own, *values):
            there = gr.skip() if result_ is None else gr.Column(visible=True)
            looked = gr.skip() if result_ is None else handlers.preview_of(own)
            yield *shown((status_, result_)), looked, there

    def on_made(own: Session) -> Any:
        closed = gr.DownloadButton("Choose a tool first", value=None, interactive=False)
        return gr.Radio(choices=own.tools(), value=None), closed, 1, "", "", "", "", ""

    def on_compare(own: Session, *values: Any) -> Any:
        for step in handlers.compare(own, *values):
            yield shown(step)

    def on_prompt(own: Session, *values: Any) -> Any:
        for step in handlers.own_prompt(own, *values):
            yield shown(step)

    def on_attack(own: Session, *values: Any) -> Any:
        for step in handlers.attack(own, *values):
            yield shown(step)

    def on_tool(own: Session, name: str | None, forced: bool) -> Any:
        if name is None:
            return "", gr.skip()
        said, path = handlers.download(own, name, forced)
        if path is None:
            return said, gr.DownloadButton("Choose a tool first", value=None, interactive=False)
        return said, gr.DownloadButton(f"Download {path.name}", value=str(path), interactive=True)

    look.click(
        on_look, [session, *form], [status, seen, made], **ONE_AT_A_TIME, **hidden
    )  # fmt: skip
    erased = erase.click(
        on_erase, [session, *form], [status, result, seen, made], **ONE_AT_A_TIME, **hidden
    )
    fresh = [tool, file, weight, concept, neighbours, drawn, tried, problem]
    grids = [status, concept, neighbours]
    compare = [session, weight, *drawing]
    erased.then(on_made, session, fresh, **hidden).then(
        on_compare, compare, grids, **ONE_AT_A_TIME, **hidden
    )
    weight.release(on_compare, compare, grids, **ONE_AT_A_TIME, **hidden)
    draw.click(
        on_prompt, [session, prompt, weight, *drawing], [status, drawn], **ONE_AT_A_TIME, **hidden
    )
    start.click(on_attack, [session, attack, *drawing], [status, tried], **ONE_AT_A_TIME, **hidden)
    tool.input(on_tool, [session, tool, force], [problem, file], **hidden)
    force.input(on_tool, [session, tool, force], [problem, file], **hidden)
    stop.click(Session.stop, session, None, queue=False)
