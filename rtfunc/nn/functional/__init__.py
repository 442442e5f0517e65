"""Plain functions of arrays, weights included, under the names of torch.nn.functional.

In `rtfunc.nn` a name that a layer has (`dropout`, `embedding`, `layer_norm`, ...) is the layer; the
plain function that it applies is here, with its weights as arguments. Functions whose names no
layer has (activations, losses, `linear`, `conv2d`) are the same in both places.
"""

from rtfunc.nn.activations import *  # noqa: F403
from rtfunc.nn.distances import cosine_similarity as cosine_similarity
from rtfunc.nn.distances import normalize as normalize
from rtfunc.nn.distances import pairwise_distance as pairwise_distance
from rtfunc.nn.functional.attention import alibi_bias as alibi_bias
from rtfunc.nn.functional.attention import causal_mask as causal_mask
from rtfunc.nn.functional.attention import masked_softmax as masked_softmax
from rtfunc.nn.functional.attention import (
    scaled_dot_product_attention as scaled_dot_product_attention,
)
from rtfunc.nn.functional.convolution import conv as conv
from rtfunc.nn.functional.convolution import conv1d as conv1d
from rtfunc.nn.functional.convolution import conv2d as conv2d
from rtfunc.nn.functional.convolution import conv3d as conv3d
from rtfunc.nn.functional.convolution import conv_transpose as conv_transpose
from rtfunc.nn.functional.convolution import conv_transpose1d as conv_transpose1d
from rtfunc.nn.functional.convolution import conv_transpose2d as conv_transpose2d
from rtfunc.nn.functional.convolution import conv_transpose3d as conv_transpose3d
from rtfunc.nn.functional.dropout import alpha_dropout as alpha_dropout
from rtfunc.nn.functional.dropout import dropout as dropout
from rtfunc.nn.functional.fractional_pooling import fractional_max_pool as fractional_max_pool
from rtfunc.nn.functional.linear import bilinear as bilinear
from rtfunc.nn.functional.linear import embedding as embedding
from rtfunc.nn.functional.linear import linear as linear
from rtfunc.nn.functional.normalization import batch_norm as batch_norm
from rtfunc.nn.functional.normalization import batch_statistics as batch_statistics
from rtfunc.nn.functional.normalization import group_norm as group_norm
from rtfunc.nn.functional.normalization import instance_norm as instance_norm
from rtfunc.nn.functional.normalization import layer_norm as layer_norm
from rtfunc.nn.functional.normalization import local_response_norm as local_response_norm
from rtfunc.nn.functional.normalization import rms_norm as rms_norm
from rtfunc.nn.functional.padding import pad as pad
from rtfunc.nn.functional.pooling import adaptive_avg_pool as adaptive_avg_pool
from rtfunc.nn.functional.pooling import adaptive_avg_pool1d as adaptive_avg_pool1d
from rtfunc.nn.functional.pooling import adaptive_avg_pool2d as adaptive_avg_pool2d
from rtfunc.nn.functional.pooling import adaptive_avg_pool3d as adaptive_avg_pool3d
from rtfunc.nn.functional.pooling import adaptive_max_pool as adaptive_max_pool
from rtfunc.nn.functional.pooling import adaptive_max_pool1d as adaptive_max_pool1d
from rtfunc.nn.functional.pooling import adaptive_max_pool2d as adaptive_max_pool2d
from rtfunc.nn.functional.pooling import adaptive_max_pool3d as adaptive_max_pool3d
from rtfunc.nn.functional.pooling import avg_pool as avg_pool
from rtfunc.nn.functional.pooling import avg_pool1d as avg_pool1d
from rtfunc.nn.functional.pooling import avg_pool2d as avg_pool2d
from rtfunc.nn.functional.pooling import avg_pool3d as avg_pool3d
from rtfunc.nn.functional.pooling import global_avg_pool as global_avg_pool
from rtfunc.nn.functional.pooling import global_max_pool as global_max_pool
from rtfunc.nn.functional.pooling import lp_pool as lp_pool
from rtfunc.nn.functional.pooling import lp_pool1d as lp_pool1d
from rtfunc.nn.functional.pooling import lp_pool2d as lp_pool2d
from rtfunc.nn.functional.pooling import lp_pool3d as lp_pool3d
from rtfunc.nn.functional.pooling import max_pool as max_pool
from rtfunc.nn.functional.pooling import max_pool1d as max_pool1d
from rtfunc.nn.functional.pooling import max_pool2d as max_pool2d
from rtfunc.nn.functional.pooling import max_pool3d as max_pool3d
from rtfunc.nn.functional.pooling import max_unpool as max_unpool
from rtfunc.nn.functional.pooling import max_unpool1d as max_unpool1d
from rtfunc.nn.functional.pooling import max_unpool2d as max_unpool2d
from rtfunc.nn.functional.pooling import max_unpool3d as max_unpool3d
from rtfunc.nn.functional.positions import rotary_embedding as rotary_embedding
from rtfunc.nn.functional.positions import sinusoidal_encoding as sinusoidal_encoding
from rtfunc.nn.functional.rearrangement import channel_shuffle as channel_shuffle
from rtfunc.nn.functional.rearrangement import fold as fold
from rtfunc.nn.functional.rearrangement import pixel_shuffle as pixel_shuffle
from rtfunc.nn.functional.rearrangement import pixel_unshuffle as pixel_unshuffle
from rtfunc.nn.functional.rearrangement import unflatten as unflatten
from rtfunc.nn.functional.rearrangement import unfold as unfold
from rtfunc.nn.functional.recurrent import gru as gru
from rtfunc.nn.functional.recurrent import gru_cell as gru_cell
from rtfunc.nn.functional.recurrent import lstm as lstm
from rtfunc.nn.functional.recurrent import lstm_cell as lstm_cell
from rtfunc.nn.functional.recurrent import rnn as rnn
from rtfunc.nn.functional.recurrent import rnn_cell as rnn_cell
from rtfunc.nn.functional.resizing import interpolate as interpolate
from rtfunc.nn.losses import *  # noqa: F403
