"""The tokenizer of the embedded models: CLIP-style byte pair encoding learnt on world captions."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from trace_erasure.world import Scene, caption

BOS, EOS = "<|startoftext|>", "<|endoftext|>"
MAX_LENGTH = 24
VOCABULARY = 1000


def read_scenes(path: Path) -> list[Scene]:
    rows = (json.loads(line) for line in path.read_text().splitlines())
    return [Scene(**{**row, "objects": tuple(row["objects"])}) for row in rows]


def train_tokenizer(scenes: list[Scene]) -> CLIPTokenizer:
    """A ``CLIPTokenizer`` for the captions of ``scenes``."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=EOS))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Punctuation(),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        special_tokens=[],
    )
    random = Random(0)
    tokenizer.train_from_iterator((caption(scene, random) for scene in scenes), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocab = dict(model["vocab"])
    for character in pre_tokenizers.ByteLevel.alphabet():  # any byte may end a word
        vocab.setdefault(character + "</w>", len(vocab))
    for token in (BOS, EOS):
        vocab[token] = len(vocab)
    merges = [tuple(merge) for merge in model["merges"]]
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=MAX_LENGTH)
