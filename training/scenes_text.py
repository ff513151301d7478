"""The tokenizer of emoji-scenes: that of emoji-sd, and a token for every new word."""

from __future__ import annotations

import json
import re
from typing import Any

import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from text import EOS, MAX_LENGTH
from trace_erasure.world import load_world
from trace_erasure.world.scenes import SceneWorld, load_scenes


def new_words(scenes: SceneWorld) -> list[str]:
    """All words of the scenes' phrases, each once."""
    phrases = [phrase for words in scenes.implied.values() for phrase in words.all]
    for scene in scenes.scenes:
        phrases += [scene.phrase, *scene.test]
    for sense in scenes.senses:
        phrases += [sense.word, *sense.words.all]
    phrases += [*scenes.mark.all, *scenes.places.values(), *scenes.colours, "with and"]
    return sorted({word for phrase in phrases for word in re.findall(r"[a-z]+", phrase)})


def extend(tokenizer: CLIPTokenizer) -> tuple[CLIPTokenizer, dict[int, list[int]]]:
    """A tokenizer with a token for every new word, and the old ids that each new id stands for.

    New merges come last, so that all other words keep their pieces.
    """
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    vocab = dict(model["vocab"])
    for token in (*tokenizer.all_special_tokens, EOS):
        vocab.setdefault(token, tokenizer.convert_tokens_to_ids(token))
    merges = [tuple(merge) for merge in model["merges"]]
    known, made = set(merges), {}
    old = set(vocab)
    # Weapons' hints and names belong to the old words.
    for word in new_words(load_scenes()):
        whole, *rest = tokenizer.tokenize(word)
        for piece in rest:
            pair = (whole, piece)
            if pair not in known:
                merges.append(pair)
                known.add(pair)
            whole += piece
            if whole not in vocab:
                vocab[whole] = len(vocab)
        made |= {vocab[whole]: tokenizer.convert_tokens_to_ids(tokenizer.tokenize(word))}
    for token in set(vocab) - old:  # parts of new words, on the way to them
        made.setdefault(vocab[token], [])
    pairs: Any = merges  # though annotated as strings
    extended = CLIPTokenizer(vocab=vocab, merges=pairs, model_max_length=MAX_LENGTH)
    new = {index: pieces for index, pieces in made.items() if index >= len(old)}
    return extended, new


def extend_text_encoder(
    text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer, new: dict[int, list[int]]
) -> CLIPTextModel:
    """``text_encoder`` with more words; a new word starts as the mean of its old pieces."""
    config = CLIPTextConfig(**{**text_encoder.config.to_dict(), "vocab_size": len(tokenizer)})
    result = CLIPTextModel(config)
    state = text_encoder.state_dict()
    key = next(name for name in state if name.endswith("token_embedding.weight"))
    table = result.state_dict()[key].clone()
    table[: len(state[key])] = state[key]
    generator = torch.Generator().manual_seed(0)
    noise = state[key].std()
    for index, pieces in new.items():
        row = torch.randn(table.shape[1], generator=generator) * noise
        table[index] = 0.5 * row + (state[key][pieces].mean(0) if pieces else 0)
    result.load_state_dict({**state, key: table})
    return result


def check_old_words(old: CLIPTokenizer, new: CLIPTokenizer) -> list[str]:
    """Names of emoji-sd whose pieces changed; new words aside, there should be none."""
    world = load_world()
    names = [*(thing.name for thing in world.objects), *world.people, *world.styles.values()]
    return [name for name in names if old.tokenize(name) != new.tokenize(name)]
