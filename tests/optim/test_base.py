"""The protocol: chains, masks, groups by path, applying updates; and clipping."""

import numpy as np
import pytest

from rtfunc import numpy as rnp
from rtfunc import optim, tree
from rtfunc.core.errors import ArgumentError, ShapeError, TreeError
from rtfunc.transforms.jit import jit

PARAMS = {"0": {"weight": rnp.ones((2, 3)), "bias": rnp.ones(2)}, "1": {"weight": rnp.ones((1, 2))}}
GRADS = tree.map(lambda p: p * 2.0, PARAMS)


def test_chain_applies_links_in_order():
    link = optim.chain(optim.clip(1.0), optim.scale(3.0))
    updates, _ = link.update(5.0, link.init(0.0))
    assert float(updates) == 3.0


def test_chain_passes_extra_arguments_on():
    seen = []

    def update(updates, state, params=None, *, loss, **extra):
        seen.append(loss)
        return updates, state

    link = optim.GradientTransformation(lambda params: (), update)
    both = optim.chain(optim.chain(link), optim.sgd(0.1))
    both.update(1.0, both.init(0.0), 0.0, loss=7)
    assert seen == [7]


def test_apply_updates_keeps_dtypes_and_names_differences():
    moved = optim.apply_updates({"w": rnp.ones(2, "bfloat16")}, {"w": rnp.ones(2, "float32")})
    assert str(moved["w"].dtype) == "bfloat16"
    with pytest.raises(TreeError, match=r"at \['0'\], the second lacks \['bias'\]"):
        optim.apply_updates(PARAMS, {"0": {"weight": 1.0}, "1": {"weight": 1.0}})


def test_masked_leaves_the_others_alone_and_keeps_no_state_for_them():
    link = optim.masked(optim.scale_by_adam(), optim.paths_matching("*.weight"))
    state = link.init(PARAMS)
    assert len(tree.leaves(state.inner.mu)) == 2
    updates, state = jit(link.update)(GRADS, state, PARAMS)
    np.testing.assert_array_equal(updates["0"]["bias"], GRADS["0"]["bias"])
    # One step of Adam's direction is the sign, up to float32 rounding.
    np.testing.assert_allclose(updates["0"]["weight"], np.ones((2, 3)), rtol=1e-6)


def test_a_single_array_can_be_masked_or_in_a_group():
    optimizer = optim.multi_transform({"a": optim.adamw(0.1), "b": optim.adamw(1.0)}, "a")
    updates, _ = jit(optimizer.update)(2.0, optimizer.init(1.0), 1.0)
    assert float(updates) == pytest.approx(-0.101, rel=1e-6)


def test_a_mask_can_be_a_prefix():
    link = optim.masked(optim.set_to_zero(), {"0": True, "1": False})
    updates, _ = link.update(GRADS, link.init(PARAMS), PARAMS)
    assert float(updates["0"]["weight"].sum()) == 0
    assert float(updates["1"]["weight"].sum()) == 4


def test_groups_have_optimizers_of_their_own():
    labels = optim.labels_by_path({"0.*": "slow", "*.bias": "unused"}, default="fast")
    optimizer = optim.multi_transform(
        {"slow": optim.sgd(0.1), "fast": optim.adam(1.0), "unused": optim.sgd(9.0)}, labels
    )
    state = optimizer.init(PARAMS)
    updates, state = jit(optimizer.update)(GRADS, state, PARAMS)
    # float32 roundings
    np.testing.assert_allclose(updates["0"]["weight"], np.full((2, 3), -0.2), rtol=1e-6)
    np.testing.assert_allclose(updates["0"]["bias"], np.full(2, -0.2), rtol=1e-6)
    np.testing.assert_allclose(updates["1"]["weight"], np.full((1, 2), -1.0), rtol=1e-6)


def test_a_label_without_an_optimizer_is_named():
    optimizer = optim.multi_transform({"a": optim.sgd(0.1)}, {"0": "a", "1": "b"})
    with pytest.raises(ArgumentError, match="labels b have no optimizer; there are a"):
        optimizer.init(PARAMS)


def test_global_norm_of_half_precision_does_not_overflow():
    assert float(optim.global_norm({"w": rnp.full((100,), 300.0, "float16")})) == 3000.0


def test_global_norm_of_nothing_is_0():
    assert float(optim.global_norm({})) == 0.0


@pytest.mark.oracle
@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_clipping_is_pytorchs(limit):
    torch = pytest.importorskip("torch")
    grads = {"a": np.array([3.0, -4.0]), "b": np.array([[12.0]])}
    tensors = [torch.zeros(v.shape, dtype=torch.float64) for v in grads.values()]
    for link, clip in (
        (optim.clip_by_global_norm(limit), torch.nn.utils.clip_grad_norm_),
        (optim.clip(limit), torch.nn.utils.clip_grad_value_),
    ):
        for t, g in zip(tensors, grads.values()):
            t.grad = torch.tensor(g)
        clip(tensors, limit)
        updates, _ = link.update(grads, link.init(grads))
        for t, u in zip(tensors, updates.values()):
            np.testing.assert_allclose(u, t.grad.numpy(), rtol=1e-12)


def test_adaptive_clipping_limits_each_unit_by_its_weights():
    params = {"w": rnp.array([[3.0, 4.0], [0.0, 0.0]])}
    grads = {"w": rnp.array([[30.0, 40.0], [0.0, 1e-6]])}
    link = optim.adaptive_grad_clip(0.1)
    updates, _ = link.update(grads, link.init(params), params)
    # The first row is cut to a tenth of the norm 5; the second is below a tenth of 1e-3.
    np.testing.assert_allclose(updates["w"], [[0.3, 0.4], [0.0, 1e-6]], rtol=1e-6)


def test_centralized_gradients_have_mean_0_for_each_unit():
    link = optim.centralize()
    updates, _ = link.update({"w": rnp.array([[1.0, 3.0]]), "b": rnp.array([5.0])}, link.init(None))
    np.testing.assert_array_equal(updates["w"], [[-1.0, 1.0]])
    np.testing.assert_array_equal(updates["b"], [5.0])


def test_what_is_not_a_link_is_named():
    with pytest.raises(ArgumentError, match=r"chain takes optimizers .* argument 1 is a function"):
        optim.chain(optim.sgd(0.1), optim.adam)


def test_a_state_that_is_not_the_chains_is_refused():
    optimizer = optim.adam(0.1)
    with pytest.raises(TreeError, match="The state of a chain of 2 links is a tuple of as many"):
        optimizer.update(GRADS, PARAMS, optimizer.init(PARAMS))


def test_links_that_need_the_parameters_say_so():
    for link in (
        optim.add_decayed_weights(0.1),
        optim.scale_by_trust_ratio(),
        optim.scale_by_layerwise_rate(),
        optim.adaptive_grad_clip(),
    ):
        with pytest.raises(
            ArgumentError, match=r"needs the parameters: write .*\(grads, state, par"
        ):
            link.update(1.0, link.init(1.0))


def test_gradients_of_another_structure_are_refused():
    optimizer = optim.adam(0.1)
    with pytest.raises(TreeError, match=r"optimizer\.update: the trees have different structures"):
        optimizer.update({"w": 1.0}, optimizer.init({"v": 1.0}), {"w": 1.0})


def test_an_update_of_another_shape_is_named():
    for shape in ((4,), (1,)):
        with pytest.raises(ShapeError, match=r"an update of shape .* a parameter of shape \(3,\)"):
            optim.apply_updates({"a": rnp.ones(3)}, {"a": rnp.ones(shape)})
