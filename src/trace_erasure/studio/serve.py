"""Opens the studio: checks the extra, builds the page, listens."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from trace_erasure.errors import InputError
from trace_erasure.evaluation.report.html import styles
from trace_erasure.studio.access import USER, Access
from trace_erasure.studio.bench import Bench
from trace_erasure.studio.handlers import Handlers

INSTALL = "pip install 'trace-erasure[studio]'"
FONTS = (["system-ui", "sans-serif"], ["ui-monospace", "monospace"])
"""Nothing is loaded from elsewhere."""


def check_installed() -> None:
    """Raises ``InputError`` with the command to install where Gradio is missing."""
    if importlib.util.find_spec("gradio") is None:
        raise InputError(f"the studio needs Gradio. Install it with {INSTALL}.")


def serve(bench: Bench, access: Access, ledger: Path, *, browse: bool = False) -> None:
    """Opens the studio, and returns when it is closed with Ctrl-C.

    Raises ``InputError`` where the extra is not installed or the port is taken.
    """
    check_installed()
    # Before Gradio is imported: it reports home otherwise.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr  # type: ignore  # of the extra

    from trace_erasure.studio.page import build

    sans, mono = FONTS
    own = files("trace_erasure.studio").joinpath("studio.css").read_text("utf-8")
    with tempfile.TemporaryDirectory(prefix="trace-erasure-studio-") as folder:
        page = build(Handlers(bench, Path(folder), ledger))
        try:
            _, local, public = page.queue().launch(
                server_name=access.host,
                server_port=access.port,
                share=access.share,
                auth=access.login,
                auth_message=f"The name is {USER}.",
                prevent_thread_lock=True,
                inbrowser=browse,
                quiet=True,
                ssr_mode=False,
                footer_links=[],
                theme=gr.themes.Soft(font=sans, font_mono=mono),
                css=styles("cards.css") + own,
            )
        except OSError as error:
            raise InputError(
                f"cannot listen on {access.host}, port {access.port or '7860 and above'}: {error}. "
                "Choose another --port."
            ) from error
        print(f"The studio is open at {public or local}; Ctrl-C closes it.", flush=True)
        with suppress(KeyboardInterrupt):
            page.block_thread()
        page.close()
