"""The tokenizer of the embedded models: CLIP-style byte pair encoding learnt on world captions."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer, T5Tokenizer

from trace_erasure.world import Scene, caption

BOS, EOS = "<|startoftext|>", "<|endoftext|>"
MAX_LENGTH = 24
VOCABULARY = 1000
SPACE = "▁"


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
    merges: Any = [tuple(merge) for merge in model["merges"]]  # pairs, though annotated as strings
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=MAX_LENGTH)


def train_t5_tokenizer(scenes: list[Scene]) -> T5Tokenizer:
    """A ``T5Tokenizer`` for the captions of ``scenes``: a piece a word, and one a character."""
    random = Random(0)
    words = Counter(word for scene in scenes for word in _words(caption(scene, random)))
    total = words.total()
    pieces = [(piece, 0.0) for piece in ("<pad>", "</s>", "<unk>")]
    pieces += [(word, math.log(count / total)) for word, count in words.most_common(VOCABULARY)]
    known = {piece for piece, _ in pieces}
    characters = [character for character in (SPACE, *map(chr, range(33, 127)))]
    pieces += [(character, -20.0) for character in characters if character not in known]
    return T5Tokenizer(pieces, extra_ids=0, model_max_length=MAX_LENGTH)


def _words(text: str) -> list[str]:
    """Words with the mark of the space before them; punctuation apart."""
    return re.findall(rf"{SPACE}\w+|[^\w{SPACE}]|\w+", SPACE + text.replace(" ", SPACE))
