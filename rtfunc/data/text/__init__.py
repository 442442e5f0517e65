"""Preparing text: vocabularies, byte-pair encoding, windows for language models.

`vocabulary` has characters and bytes, `byte_pairs` learned pieces of words, `windows` the examples
of a language model. For texts of different lengths, `rtfunc.data.pad_collate` pads the batches and
`rtfunc.data.BucketSampler` puts texts of like length into one batch.
"""

from rtfunc.data.text.byte_pairs import BytePairEncoding as BytePairEncoding
from rtfunc.data.text.vocabulary import Bytes as Bytes
from rtfunc.data.text.vocabulary import Characters as Characters
from rtfunc.data.text.vocabulary import Tokenizer as Tokenizer
from rtfunc.data.text.windows import LanguageModelWindows as LanguageModelWindows
