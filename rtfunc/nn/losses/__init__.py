"""Losses, with PyTorch's names, argument orders, formulas and reductions.

Each takes predictions first and targets second, and `reduction`: "mean" and "sum" give a scalar,
"none" a loss for each example. Shapes of predictions and targets must agree: a broadcast between
(N, 1) and (N,) is an error here, not an N by N loss.

`classification` has those of classes and probabilities, `regression` of numbers, `ranking` of
margins and distances, `sequence` of labels in time. Depends on `activations`, `distances`.
"""

from rtfunc.nn.losses.classification import *  # noqa: F403
from rtfunc.nn.losses.ranking import *  # noqa: F403
from rtfunc.nn.losses.regression import *  # noqa: F403
from rtfunc.nn.losses.sequence import *  # noqa: F403
