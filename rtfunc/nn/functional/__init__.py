"""Plain functions of arrays, weights included, under the names of torch.nn.functional.

In `rtfunc.nn` a name that a layer has (`dropout`, `embedding`, `layer_norm`, ...) is the layer; the
plain function that it applies is here, with its weights as arguments. Functions whose names no
layer has (activations, losses, `linear`, `conv2d`) are the same in both places.
"""

from rtfunc.nn.activations import *  # noqa: F403
from rtfunc.nn.functional.convolution import conv as conv
from rtfunc.nn.functional.convolution import conv1d as conv1d
from rtfunc.nn.functional.convolution import conv2d as conv2d
from rtfunc.nn.functional.convolution import conv3d as conv3d
from rtfunc.nn.functional.convolution import conv_transpose as conv_transpose
from rtfunc.nn.functional.convolution import conv_transpose1d as conv_transpose1d
from rtfunc.nn.functional.convolution import conv_transpose2d as conv_transpose2d
from rtfunc.nn.functional.convolution import conv_transpose3d as conv_transpose3d
from rtfunc.nn.functional.dropout import dropout as dropout
from rtfunc.nn.functional.linear import bilinear as bilinear
from rtfunc.nn.functional.linear import embedding as embedding
from rtfunc.nn.functional.linear import linear as linear
from rtfunc.nn.functional.normalization import batch_norm as batch_norm
from rtfunc.nn.functional.normalization import batch_statistics as batch_statistics
from rtfunc.nn.functional.normalization import group_norm as group_norm
from rtfunc.nn.functional.normalization import instance_norm as instance_norm
from rtfunc.nn.functional.normalization import layer_norm as layer_norm
from rtfunc.nn.functional.normalization import rms_norm as rms_norm
from rtfunc.nn.functional.padding import pad as pad
from rtfunc.nn.losses import *  # noqa: F403
