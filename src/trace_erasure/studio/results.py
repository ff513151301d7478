"""What stands beside the form: progress, preview, verdict, pictures, attack, file."""

from typing import Any

from trace_erasure.pipeline.strength import MAX_STRENGTH
from trace_erasure.studio.handlers import Handlers
from trace_erasure.studio.session import Session
from trace_erasure.studio.trial import BY_PROMPTS

ONE_AT_A_TIME: dict[str, Any] = dict(concurrency_limit=1, concurrency_id="bench")
"""There is one model on the bench."""


def said_here(gr: Any, name: str) -> Any:
    """A place where HTML is said."""
    return gr.HTML("", elem_id=name, elem_classes="said")


def results(
    gr: Any, handlers: Handlers, session: Any, form: list[Any], drawing: list[Any],
    buttons: list[Any],
) -> None:  # fmt: skip
    """Everything beside the form, and what its buttons do."""
    look, erase = buttons
    hidden: dict[str, Any] = dict(show_progress="hidden")
    with gr.Column(elem_id="running"):  # stays in sight while something runs
        status = said_here(gr, "status")
        stop = gr.Button("Stop", variant="stop", elem_id="stop", min_width=90)
    seen = said_here(gr, "looked")
    with gr.Accordion("What stage 2 could do at best", open=False, elem_id="oracle-panel"):
        gr.Markdown(
            "Perfect steering, before anything is trained: what is left of the concept when the "
            "steps up to a noise level aim at its absence."
        )
        scenes = gr.Textbox(
            label="Prompts that show it and do not name it", placeholder="a chef; a cook at work",
            info="With semicolons between them; without any, prompts that name it.", max_lines=2,
        )  # fmt: skip
        ask = gr.Button("Show it", elem_id="oracle")
        windows = said_here(gr, "windows")
    with gr.Column(visible=False, elem_id="made") as made:
        result = said_here(gr, "verdict")
        weight = gr.Slider(
            0, MAX_STRENGTH, value=1, step=0.1, label="Strength", elem_id="strength",
            info="0 is the model as it was, 1 the erasure as it was made.",
        )  # fmt: skip
        gr.Markdown("### The concept")
        concept = said_here(gr, "concept-grid")
        gr.Markdown("### Its neighbours")
        neighbours = said_here(gr, "neighbours-grid")
        with gr.Accordion("A prompt of your own", open=False):
            prompt = gr.Textbox(show_label=False, placeholder="a fox on a hill", max_lines=1)
            draw = gr.Button("Draw it, before and after")
            drawn = said_here(gr, "own-grid")
        with gr.Accordion("Attack it", open=False, elem_id="attack-panel"):
            gr.Markdown("Prompts that try to bring the concept back.")
            attack = gr.Radio(list(BY_PROMPTS), value=BY_PROMPTS[0], show_label=False)
            start = gr.Button("Attack", elem_id="attack")
            tried = said_here(gr, "tried")
        gr.Markdown("### Take it with you")
        tool = gr.Radio([], label="For", elem_id="tool")
        force = gr.Checkbox(label="Even if the verdict is failed", value=False)
        problem = said_here(gr, "download-problem")
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

    def on_ask(own: Session, text: str, *values: Any) -> Any:
        for step in handlers.oracle(own, text, *values):
            yield shown(step)

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
    ask.click(
        on_ask, [session, scenes, *form], [status, windows], **ONE_AT_A_TIME, **hidden
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
