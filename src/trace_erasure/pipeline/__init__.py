"""All that touches diffusers or peft."""
