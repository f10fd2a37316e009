"""The tokenizer: byte-level BPE of 512 entries whose digits stand alone and whose words carry their trailing space.

All 256 bytes stay in the vocabulary, so any text comes back byte for byte. Left out: normalisation of any kind.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

PIECES = r"[^\W\d_]+ ?|\d| ?[^\w\s] ?|_|\s"
"""What a token may span: a word and one space; one digit; one sign between optional spaces; one space."""

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def build(texts: Iterable[str], *, vocabulary: int = 512, positions: int = 1024) -> "PreTrainedTokenizerFast":
    """Train the tokenizer on `texts`.

    Args:
        texts: samples of the text it will see.
        vocabulary: entries, the 256 bytes and 3 special ones included.
        positions: longest input of the model, in tokens.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        chat_template=CHAT_TEMPLATE,
        model_max_length=positions,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
