"""A recurrent language model, that of PyTorch's example `word_language_model`.

Depends on `rtfunc.nn`.
"""

from __future__ import annotations

from typing import Any

from rtfunc import nn
from rtfunc.core.errors import ArgumentError, at_user_line

#: The name under which a file with tied weights repeats the table of words: for
#: `nn.load_state_dict` and `nn.state_dict`.
WORD_LANGUAGE_MODEL_TIED = {"decoder.weight": "encoder.weight"}


def word_language_model(
    vocabulary: int,
    features: int = 200,
    hidden_size: int = 200,
    num_layers: int = 2,
    *,
    kind: str = "lstm",
    dropout: float = 0.2,
    tie_weights: bool = False,
) -> nn.Layer:
    """An embedding, recurrent layers and a dense one, of PyTorch's example.

    Inputs: words, integers (time, batch), and the initial state of the recurrent layers, zeros by
    default. Output: log-probabilities of the next words (time * batch, vocabulary), and the final
    state. Parameters: "encoder", "rnn", "decoder".

    Arguments: features: of the embedding; kind: "lstm", "gru", "rnn_tanh" or "rnn_relu"; dropout:
    rate in training, before, between and after the recurrent layers; tie_weights: whether the table
    of words is the decoder's weight as well; then features and hidden_size are equal.

    Zaremba et al. 2014, https://arxiv.org/abs/1409.2329; tied weights: Press and Wolf 2016,
    https://arxiv.org/abs/1608.05859.

    >>> import rtfunc.numpy as rnp
    >>> from rtfunc import nn, random
    >>> model = nn.models.word_language_model(11, 8, 8)
    >>> words = rnp.array([[1, 2], [3, 4], [5, 6]])
    >>> params, state = model.init(random.key(0), words)
    >>> (out, (hidden, cell)), state = model.apply(params, state, words)
    >>> out.shape, hidden.shape
    ((6, 11), (2, 2, 8))
    """
    if tie_weights and features != hidden_size:
        raise ArgumentError(
            at_user_line(
                f"word_language_model: with tied weights features {features} and hidden_size "
                f"{hidden_size} are equal."
            )
        )
    kinds: dict[str, Any] = {
        "lstm": lambda: nn.lstm(hidden_size, num_layers, dropout=dropout),
        "gru": lambda: nn.gru(hidden_size, num_layers, dropout=dropout),
        "rnn_tanh": lambda: nn.rnn(hidden_size, num_layers, dropout=dropout),
        "rnn_relu": lambda: nn.rnn(hidden_size, num_layers, nonlinearity="relu", dropout=dropout),
    }
    if kind not in kinds:
        raise ArgumentError(
            at_user_line(f"word_language_model: the kind is {', '.join(kinds)}, not {kind!r}.")
        )
    initial = nn.initializers.uniform(-0.1, 0.1)
    zeros = nn.initializers.zeros
    if tie_weights:
        decoder = nn.module(
            {},
            lambda part, x, weight: nn.linear(x, weight, part.bias),
            parameters={"bias": (zeros, (vocabulary,))},
            name="decoder",
        )
    else:
        decoder = nn.dense(vocabulary, weight_init=initial, bias_init=zeros)

    def forward(part: nn.Parts, words: Any, state: Any = None) -> Any:
        x = part.drop(part.encoder(words))
        x, state = part.rnn(x, state)
        x = part.drop_out(x)
        if tie_weights:
            x = part.decoder(x, part.parameters("encoder")["weight"])
        else:
            x = part.decoder(x)
        return nn.log_softmax(x.reshape((-1, vocabulary))), state

    parts = {
        "drop": nn.dropout(dropout),
        "encoder": nn.embedding(vocabulary, features, weight_init=initial),
        "rnn": kinds[kind](),
        "drop_out": nn.dropout(dropout),
        "decoder": decoder,
    }
    return nn.module(parts, forward, name="word_language_model")
