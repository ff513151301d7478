"""Pure tensor functions. Nothing here imports diffusers, transformers or peft."""
