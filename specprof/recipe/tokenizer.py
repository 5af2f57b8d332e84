"""The family's tokenizer: byte-level BPE of 1,024 tokens, trained on the non-test sources."""

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY = 1024
END_OF_TEXT = "<|endoftext|>"
PIECES = r" ?[A-Za-z_]+| ?[0-9]|\n[ ]*| ?[^\sA-Za-z_0-9]+|\s"
"""Words, single digits, a newline with its indent, punctuation: what a merge may not cross."""


def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Learn the merges from `texts`; decoding gives back every byte that was encoded."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT
    )
