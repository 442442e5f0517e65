"""Neural networks: layers, activations, losses, initializers, with PyTorch's names and numbers.

A layer is a pair of pure functions (`nn.layer` has the contract):

    model = nn.sequential(nn.dense(64), nn.relu, nn.dropout(0.2), nn.dense(10))
    params, state = model.init(rtfunc.random.key(0), (1, 784))
    logits, state = model.apply(params, state, images, key=key, train=True)
    loss = nn.cross_entropy(logits, labels)

Names in this module are of three kinds: **layers** with parameters, state, randomness or settings are
made by a call (`dense(64)`, `dropout(0.2)`, `max_pool(2)`); **combinators** take layers (`sequential`,
`residual`, ...); **activations, losses and the like** are plain functions of arrays, which
combinators take in the place of layers. `nn.functional` has the plain function beneath every layer.
"""

from rtfunc.io.state_dict import load_state_dict as load_state_dict
from rtfunc.io.state_dict import state_dict as state_dict
from rtfunc.nn import functional as functional
from rtfunc.nn import initializers as initializers
from rtfunc.nn import models as models
from rtfunc.nn.activations import *  # noqa: F403
from rtfunc.nn.attention import grouped_query_attention as grouped_query_attention
from rtfunc.nn.attention import join_heads as join_heads
from rtfunc.nn.attention import multi_head_attention as multi_head_attention
from rtfunc.nn.attention import split_heads as split_heads
from rtfunc.nn.combinators import branch as branch
from rtfunc.nn.combinators import identity as identity
from rtfunc.nn.combinators import parallel as parallel
from rtfunc.nn.combinators import repeat as repeat
from rtfunc.nn.combinators import residual as residual
from rtfunc.nn.combinators import sequential as sequential
from rtfunc.nn.convolution import conv as conv
from rtfunc.nn.convolution import conv_transpose as conv_transpose
from rtfunc.nn.directions import bidirectional as bidirectional
from rtfunc.nn.distances import cosine_similarity as cosine_similarity
from rtfunc.nn.distances import normalize as normalize
from rtfunc.nn.distances import pairwise_distance as pairwise_distance
from rtfunc.nn.dropout import alpha_dropout as alpha_dropout
from rtfunc.nn.dropout import dropout as dropout
from rtfunc.nn.dropout import spatial_dropout as spatial_dropout
from rtfunc.nn.functional import alibi_bias as alibi_bias
from rtfunc.nn.functional import causal_mask as causal_mask
from rtfunc.nn.functional import masked_softmax as masked_softmax
from rtfunc.nn.functional import rotary_embedding as rotary_embedding
from rtfunc.nn.functional import scaled_dot_product_attention as scaled_dot_product_attention
from rtfunc.nn.functional import sinusoidal_encoding as sinusoidal_encoding
from rtfunc.nn.functional.convolution import conv1d as conv1d
from rtfunc.nn.functional.convolution import conv2d as conv2d
from rtfunc.nn.functional.convolution import conv3d as conv3d
from rtfunc.nn.functional.convolution import conv_transpose1d as conv_transpose1d
from rtfunc.nn.functional.convolution import conv_transpose2d as conv_transpose2d
from rtfunc.nn.functional.convolution import conv_transpose3d as conv_transpose3d
from rtfunc.nn.functional.padding import pad as pad
from rtfunc.nn.functional.pooling import adaptive_avg_pool1d as adaptive_avg_pool1d
from rtfunc.nn.functional.pooling import adaptive_avg_pool2d as adaptive_avg_pool2d
from rtfunc.nn.functional.pooling import adaptive_avg_pool3d as adaptive_avg_pool3d
from rtfunc.nn.functional.pooling import adaptive_max_pool1d as adaptive_max_pool1d
from rtfunc.nn.functional.pooling import adaptive_max_pool2d as adaptive_max_pool2d
from rtfunc.nn.functional.pooling import adaptive_max_pool3d as adaptive_max_pool3d
from rtfunc.nn.functional.pooling import avg_pool1d as avg_pool1d
from rtfunc.nn.functional.pooling import avg_pool2d as avg_pool2d
from rtfunc.nn.functional.pooling import avg_pool3d as avg_pool3d
from rtfunc.nn.functional.pooling import global_avg_pool as global_avg_pool
from rtfunc.nn.functional.pooling import global_max_pool as global_max_pool
from rtfunc.nn.functional.pooling import lp_pool1d as lp_pool1d
from rtfunc.nn.functional.pooling import lp_pool2d as lp_pool2d
from rtfunc.nn.functional.pooling import lp_pool3d as lp_pool3d
from rtfunc.nn.functional.pooling import max_pool1d as max_pool1d
from rtfunc.nn.functional.pooling import max_pool2d as max_pool2d
from rtfunc.nn.functional.pooling import max_pool3d as max_pool3d
from rtfunc.nn.functional.pooling import max_unpool1d as max_unpool1d
from rtfunc.nn.functional.pooling import max_unpool2d as max_unpool2d
from rtfunc.nn.functional.pooling import max_unpool3d as max_unpool3d
from rtfunc.nn.functional.resizing import interpolate as interpolate
from rtfunc.nn.generation import generate as generate
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
from rtfunc.nn.linear import rrelu as rrelu
from rtfunc.nn.losses import *  # noqa: F403
from rtfunc.nn.modules import Parts as Parts
from rtfunc.nn.modules import initial_state as initial_state
from rtfunc.nn.modules import module as module
from rtfunc.nn.normalization import batch_norm as batch_norm
from rtfunc.nn.normalization import group_norm as group_norm
from rtfunc.nn.normalization import instance_norm as instance_norm
from rtfunc.nn.normalization import layer_norm as layer_norm
from rtfunc.nn.normalization import local_response_norm as local_response_norm
from rtfunc.nn.normalization import rms_norm as rms_norm
from rtfunc.nn.padding import circular_pad as circular_pad
from rtfunc.nn.padding import constant_pad as constant_pad
from rtfunc.nn.padding import reflection_pad as reflection_pad
from rtfunc.nn.padding import replication_pad as replication_pad
from rtfunc.nn.padding import zero_pad as zero_pad
from rtfunc.nn.parametrizations import Parametrization as Parametrization
from rtfunc.nn.parametrizations import orthogonal as orthogonal
from rtfunc.nn.parametrizations import parametrized as parametrized
from rtfunc.nn.parametrizations import spectral_norm as spectral_norm
from rtfunc.nn.parametrizations import weight_norm as weight_norm
from rtfunc.nn.pooling import adaptive_avg_pool as adaptive_avg_pool
from rtfunc.nn.pooling import adaptive_max_pool as adaptive_max_pool
from rtfunc.nn.pooling import avg_pool as avg_pool
from rtfunc.nn.pooling import fractional_max_pool as fractional_max_pool
from rtfunc.nn.pooling import lp_pool as lp_pool
from rtfunc.nn.pooling import max_pool as max_pool
from rtfunc.nn.pooling import max_unpool as max_unpool
from rtfunc.nn.positions import key_value_cache as key_value_cache
from rtfunc.nn.positions import learned_positions as learned_positions
from rtfunc.nn.positions import rotary_positions as rotary_positions
from rtfunc.nn.positions import sinusoidal_positions as sinusoidal_positions
from rtfunc.nn.precision import Policy as Policy
from rtfunc.nn.precision import mixed_precision as mixed_precision
from rtfunc.nn.rearrangement import channel_shuffle as channel_shuffle
from rtfunc.nn.rearrangement import fold as fold
from rtfunc.nn.rearrangement import pixel_shuffle as pixel_shuffle
from rtfunc.nn.rearrangement import pixel_unshuffle as pixel_unshuffle
from rtfunc.nn.rearrangement import unflatten as unflatten
from rtfunc.nn.rearrangement import unfold as unfold
from rtfunc.nn.recurrent import gru as gru
from rtfunc.nn.recurrent import lstm as lstm
from rtfunc.nn.recurrent import rnn as rnn
from rtfunc.nn.recurrent_cells import gru_cell as gru_cell
from rtfunc.nn.recurrent_cells import lstm_cell as lstm_cell
from rtfunc.nn.recurrent_cells import rnn_cell as rnn_cell
from rtfunc.nn.resizing import upsample as upsample
from rtfunc.nn.summary import Summary as Summary
from rtfunc.nn.summary import summary as summary
from rtfunc.nn.transformers import transformer as transformer
from rtfunc.nn.transformers import transformer_decoder as transformer_decoder
from rtfunc.nn.transformers import transformer_decoder_layer as transformer_decoder_layer
from rtfunc.nn.transformers import transformer_encoder as transformer_encoder
from rtfunc.nn.transformers import transformer_encoder_layer as transformer_encoder_layer
