"""The two stages of TRACE: a closed-form redirect, then a trajectory-aware finetune."""
