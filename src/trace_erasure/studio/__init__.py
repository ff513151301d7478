"""The studio: erasing in the browser. Nothing here imports Gradio until a page is opened."""
