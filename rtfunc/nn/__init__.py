"""Neural networks: layers, activations, losses, initializers, with PyTorch's names and numbers.

A layer is a pair of pure functions (`nn.layer` has the contract):

    model = nn.sequential(nn.dense(64), nn.relu, nn.dropout(0.2), nn.dense(10))
    params, state = model.init(rtfunc.random.key(0), (1, 784))
    logits, state = model.apply(params, state, images, key=key, train=True)
    loss = nn.cross_entropy(logits, labels)

Names in this module are of three kinds: **layers** with parameters, state or randomness are made by
a call (`dense(64)`, `dropout(0.2)`, `batch_norm()`); **combinators** take layers (`sequential`,
`residual`, ...); **activations, losses and the like** are plain functions of arrays, which
combinators take in the place of layers. `nn.functional` has the plain function beneath every layer.
"""

from rtfunc.nn import functional as functional
from rtfunc.nn import initializers as initializers
from rtfunc.nn.activations import *  # noqa: F403
from rtfunc.nn.combinators import branch as branch
from rtfunc.nn.combinators import identity as identity
from rtfunc.nn.combinators import parallel as parallel
from rtfunc.nn.combinators import repeat as repeat
from rtfunc.nn.combinators import residual as residual
from rtfunc.nn.combinators import sequential as sequential
from rtfunc.nn.convolution import conv as conv
from rtfunc.nn.convolution import conv_transpose as conv_transpose
from rtfunc.nn.dropout import dropout as dropout
from rtfunc.nn.dropout import spatial_dropout as spatial_dropout
from rtfunc.nn.functional.convolution import conv1d as conv1d
from rtfunc.nn.functional.convolution import conv2d as conv2d
from rtfunc.nn.functional.convolution import conv3d as conv3d
from rtfunc.nn.functional.convolution import conv_transpose1d as conv_transpose1d
from rtfunc.nn.functional.convolution import conv_transpose2d as conv_transpose2d
from rtfunc.nn.functional.convolution import conv_transpose3d as conv_transpose3d
from rtfunc.nn.functional.padding import pad as pad
from rtfunc.nn.layer import InputSpec as InputSpec
from rtfunc.nn.layer import Layer as Layer
from rtfunc.nn.layer import as_spec as as_spec
from rtfunc.nn.layer import from_function as from_function
from rtfunc.nn.linear import bilinear as bilinear
from rtfunc.nn.linear import dense as dense
from rtfunc.nn.linear import embedding as embedding
from rtfunc.nn.linear import flatten as flatten
from rtfunc.nn.linear import linear as linear
from rtfunc.nn.linear import prelu as prelu
from rtfunc.nn.losses import *  # noqa: F403
from rtfunc.nn.normalization import batch_norm as batch_norm
from rtfunc.nn.normalization import group_norm as group_norm
from rtfunc.nn.normalization import instance_norm as instance_norm
from rtfunc.nn.normalization import layer_norm as layer_norm
from rtfunc.nn.normalization import rms_norm as rms_norm
from rtfunc.nn.state_dict import load_state_dict as load_state_dict
from rtfunc.nn.state_dict import state_dict as state_dict
from rtfunc.nn.summary import Summary as Summary
from rtfunc.nn.summary import summary as summary
