"""Optimizers: pairs of pure functions `(init, update)`, in optax's protocol with PyTorch's numbers.

    optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(3e-4))
    state = optimizer.init(params)
    updates, state = optimizer.update(grads, state, params)
    params = optim.apply_updates(params, updates)

`optimizers` has the named ones, each a chain of links from `scaling`, `adaptive` and `clipping`;
`muon`, and `lbfgs` with its `line_search`, stand for themselves. `schedules` and `plateau` have what
a learning rate can be, `wrappers` and `loss_scale` optimizers around optimizers, `base` the protocol
and settings for parts of a tree.
"""

from rtfunc.optim.adaptive import scale_by_adadelta as scale_by_adadelta
from rtfunc.optim.adaptive import scale_by_adam as scale_by_adam
from rtfunc.optim.adaptive import scale_by_adamax as scale_by_adamax
from rtfunc.optim.adaptive import scale_by_lion as scale_by_lion
from rtfunc.optim.adaptive import scale_by_nadam as scale_by_nadam
from rtfunc.optim.adaptive import scale_by_radam as scale_by_radam
from rtfunc.optim.adaptive import scale_by_rms as scale_by_rms
from rtfunc.optim.adaptive import scale_by_rss as scale_by_rss
from rtfunc.optim.base import EmptyState as EmptyState
from rtfunc.optim.base import GradientTransformation as GradientTransformation
from rtfunc.optim.base import apply_updates as apply_updates
from rtfunc.optim.base import chain as chain
from rtfunc.optim.base import global_norm as global_norm
from rtfunc.optim.base import identity as identity
from rtfunc.optim.base import labels_by_path as labels_by_path
from rtfunc.optim.base import masked as masked
from rtfunc.optim.base import multi_transform as multi_transform
from rtfunc.optim.base import paths_matching as paths_matching
from rtfunc.optim.base import set_to_zero as set_to_zero
from rtfunc.optim.base import stateless as stateless
from rtfunc.optim.clipping import adaptive_grad_clip as adaptive_grad_clip
from rtfunc.optim.clipping import clip as clip
from rtfunc.optim.clipping import clip_by_global_norm as clip_by_global_norm
from rtfunc.optim.lbfgs import lbfgs as lbfgs
from rtfunc.optim.lbfgs import scale_by_lbfgs as scale_by_lbfgs
from rtfunc.optim.line_search import scale_by_backtracking as scale_by_backtracking
from rtfunc.optim.line_search import scale_by_strong_wolfe as scale_by_strong_wolfe
from rtfunc.optim.line_search import value_and_grad_from_state as value_and_grad_from_state
from rtfunc.optim.loss_scale import dynamic_loss_scale as dynamic_loss_scale
from rtfunc.optim.loss_scale import scale_loss as scale_loss
from rtfunc.optim.muon import muon as muon
from rtfunc.optim.muon import orthogonalize as orthogonalize
from rtfunc.optim.muon import scale_by_muon as scale_by_muon
from rtfunc.optim.optimizers import adadelta as adadelta
from rtfunc.optim.optimizers import adagrad as adagrad
from rtfunc.optim.optimizers import adam as adam
from rtfunc.optim.optimizers import adamax as adamax
from rtfunc.optim.optimizers import adamw as adamw
from rtfunc.optim.optimizers import lamb as lamb
from rtfunc.optim.optimizers import lars as lars
from rtfunc.optim.optimizers import lion as lion
from rtfunc.optim.optimizers import nadam as nadam
from rtfunc.optim.optimizers import radam as radam
from rtfunc.optim.optimizers import rmsprop as rmsprop
from rtfunc.optim.optimizers import sgd as sgd
from rtfunc.optim.plateau import reduce_on_plateau as reduce_on_plateau
from rtfunc.optim.scaling import add_decayed_weights as add_decayed_weights
from rtfunc.optim.scaling import centralize as centralize
from rtfunc.optim.scaling import scale as scale
from rtfunc.optim.scaling import scale_by_layerwise_rate as scale_by_layerwise_rate
from rtfunc.optim.scaling import scale_by_learning_rate as scale_by_learning_rate
from rtfunc.optim.scaling import scale_by_schedule as scale_by_schedule
from rtfunc.optim.scaling import scale_by_trust_ratio as scale_by_trust_ratio
from rtfunc.optim.scaling import trace as trace
from rtfunc.optim.schedules import constant_schedule as constant_schedule
from rtfunc.optim.schedules import cosine_schedule as cosine_schedule
from rtfunc.optim.schedules import exponential_schedule as exponential_schedule
from rtfunc.optim.schedules import join_schedules as join_schedules
from rtfunc.optim.schedules import linear_schedule as linear_schedule
from rtfunc.optim.schedules import multi_step_schedule as multi_step_schedule
from rtfunc.optim.schedules import one_cycle_schedule as one_cycle_schedule
from rtfunc.optim.schedules import piecewise_constant_schedule as piecewise_constant_schedule
from rtfunc.optim.schedules import polynomial_schedule as polynomial_schedule
from rtfunc.optim.schedules import step_schedule as step_schedule
from rtfunc.optim.schedules import warm_restarts_schedule as warm_restarts_schedule
from rtfunc.optim.schedules import warm_up_cosine_schedule as warm_up_cosine_schedule
from rtfunc.optim.schedules import warm_up_schedule as warm_up_schedule
from rtfunc.optim.wrappers import accumulate as accumulate
from rtfunc.optim.wrappers import apply_if_finite as apply_if_finite
from rtfunc.optim.wrappers import ema as ema
from rtfunc.optim.wrappers import inject_hyperparameters as inject_hyperparameters
from rtfunc.optim.wrappers import lookahead as lookahead
from rtfunc.optim.wrappers import sam as sam
