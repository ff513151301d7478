"""The page, in Gradio. Annotations are real here, and Gradio is imported when it is built."""

from typing import Any

from trace_erasure.concepts.kinds import AUTO, KINDS
from trace_erasure.concepts.pack import shipped_packs
from trace_erasure.config import PRESETS
from trace_erasure.pipeline.shipped import GUIDANCE, STEPS
from trace_erasure.studio.handlers import Handlers
from trace_erasure.studio.hints import hint
from trace_erasure.studio.results import results, said_here
from trace_erasure.studio.session import Session
from trace_erasure.studio.wording import hint_html

TITLE = "trace-erasure studio"
LEAD = "Take something out of an image model, and see what that did."
NO_PACK = ("none: what is typed above", "")


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
                    results(gr, handlers, session, form, drawing, buttons)
            with gr.Tab("Takedown list"):
                gr.Markdown(f"The ledger `{handlers.ledger}`, to look at.")
                listed = said_here(gr, "ledger")
                again = gr.Button("Read it again", elem_id="read-ledger")
                again.click(handlers.show_ledger, None, listed)
                page.load(handlers.show_ledger, None, listed)
    return page


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
    said = said_here(gr, "hint")
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
    return form, [steps, guidance], [look, erase]
