"""Models: the originals' names, numbers and gradients, with their weights; and their sizes."""

import hashlib

import numpy as np
import pytest

from rtfunc import nn, random, tree
from rtfunc import numpy as rnp
from rtfunc.core.aval import Aval
from rtfunc.core.errors import ArgumentError, TreeError
from rtfunc.io import torch_reader
from rtfunc.transforms.jit import jit
from rtfunc.transforms.stage import eval_shape

KEY = random.key(0)
models = nn.models


@pytest.fixture
def oracle():
    pytest.importorskip("torch")
    from tests.nn import layer_oracle, oracle
    from tests.nn.models import torch_models

    return layer_oracle, torch_models, oracle


def tokens(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 11, shape)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("norm", [False, True])
def test_mlp(oracle, dtype, norm):
    layers, theirs, o = oracle
    model = models.mlp([7, 8, 3], norm=nn.layer_norm if norm else None)
    module = theirs.mlp(5, [7, 8, 3], layers.torch.nn.LayerNorm if norm else None)
    layers.assert_same_layer(model, module, o.numbers(4, 5), dtype=dtype)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_lenet(oracle, dtype):
    layers, theirs, o = oracle
    x = o.numbers(2, 1, 32, 32)
    layers.assert_same_layer(models.lenet(), theirs.lenet(), x, dtype=dtype)


@pytest.mark.oracle
@pytest.mark.parametrize("bottleneck", [False, True])
@pytest.mark.parametrize("train", [False, True])
def test_resnet(oracle, bottleneck, train):
    layers, theirs, o = oracle
    options = {"bottleneck": bottleneck, "num_classes": 3, "width": 4}
    model, module = models.resnet([1, 2], **options), theirs.resnet([1, 2], **options)
    layers.assert_same_layer(model, module, o.numbers(4, 3, 24, 24), train=train)


@pytest.mark.oracle
def test_the_running_statistics_of_a_resnet_move_as_pytorchs(oracle):
    layers, theirs, o = oracle
    options = {"num_classes": 3, "width": 4}
    model, module = models.resnet([1, 1], **options), theirs.resnet([1, 1], **options)
    x = o.numbers(4, 3, 24, 24, dtype="float32")
    params, state = layers.loaded(model, module, x)
    for _ in range(2):
        module.train()(layers.torch.tensor(x))
        _, state = model.apply(params, state, x, train=True)
    moved = nn.state_dict(params, state)
    for name, value in module.state_dict().items():
        o.assert_close(moved[name], value.numpy(), "float32", name)


@pytest.mark.oracle
@pytest.mark.parametrize("batch_norm", [False, True])
def test_vgg(oracle, batch_norm):
    layers, theirs, o = oracle
    options = {"batch_norm": batch_norm, "num_classes": 3, "width": 2, "hidden": 5}
    model, module = models.vgg(11, **options), theirs.vgg11(**options)
    layers.assert_same_layer(model, module, o.numbers(2, 3, 32, 32))


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("pre", [None, 5])
def test_vision_transformer(oracle, dtype, pre):
    layers, theirs, o = oracle
    model = models.vision_transformer(8, 4, 2, 2, 6, 7, num_classes=3, representation_size=pre)
    module = theirs.vision_transformer(8, 4, 2, 2, 6, 7, 3, pre)
    layers.assert_same_layer(model, module, o.numbers(2, 3, 8, 8), dtype=dtype)


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("bias", [False, True])
def test_gpt(oracle, dtype, bias):
    layers, theirs, _ = oracle
    model = models.gpt(11, 16, layers=2, heads=2, features=8, bias=bias)
    module = theirs.gpt(11, 16, 2, 2, 8, bias)
    layers.assert_same_layer(model, module, tokens(3, 7), dtype=dtype, tied=models.GPT_TIED)


@pytest.mark.oracle
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN_TANH", "RNN_RELU"])
@pytest.mark.parametrize("tie", [False, True])
def test_word_language_model(oracle, kind, tie):
    layers, theirs, _ = oracle
    model = models.word_language_model(11, 6, 6, 2, kind=kind.lower(), tie_weights=tie)
    module = theirs.word_language_model(11, 6, 6, 2, kind, tie)
    tied = models.WORD_LANGUAGE_MODEL_TIED if tie else None
    layers.assert_same_layer(model, module, tokens(5, 3), tied=tied)


@pytest.mark.oracle
@pytest.mark.parametrize("options", [{}, {"bias": True}, {"bilinear": True}])
@pytest.mark.parametrize("size", [(16, 16), (20, 18)])
def test_unet(oracle, options, size):
    layers, theirs, o = oracle
    model = models.unet(2, width=2, **options)
    module = theirs.unet(2, width=2, **options)
    x = o.numbers(2, 3, *size)
    layers.assert_same_layer(model, module, x, compiled=size == (20, 18))


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_vae(oracle, dtype):
    layers, theirs, o = oracle
    x = o.numbers(3, 4, 4, low=0.0, high=1.0)
    layers.assert_same_layer(models.vae(16, 8, 2), theirs.vae(16, 8, 2), x, dtype=dtype)


IMAGE = (1, 3, 224, 224)
WORDS = Aval((1, 5), "int32")
FULL = {
    # The numbers of parameters that torchvision's documentation gives.
    "resnet18": (models.resnet18, lambda t: t.resnet([2, 2, 2, 2]), IMAGE, 11689512),
    "resnet34": (models.resnet34, lambda t: t.resnet([3, 4, 6, 3]), IMAGE, 21797672),
    "resnet50": (models.resnet50, lambda t: t.resnet([3, 4, 6, 3], True), IMAGE, 25557032),
    "vgg11": (models.vgg11, lambda t: t.vgg11(), IMAGE, 132863336),
    "vgg11_bn": (models.vgg11_bn, lambda t: t.vgg11(True), IMAGE, 132868840),
    "vit_b_16": (
        models.vit_b_16,
        lambda t: t.vision_transformer(224, 16, 12, 12, 768, 3072),
        IMAGE,
        86567656,
    ),
    # nanoGPT's "124M", of which 123.65 are not positions; U-Net as its project says, 31M.
    "gpt": (models.gpt, lambda t: t.gpt(50257, 1024, 12, 12, 768), WORDS, 124439808),
    "unet": (lambda: models.unet(2), lambda t: t.unet(2), (1, 3, 64, 64), 31037698),
}


def shapes_of(model, spec):
    return eval_shape(lambda key: model.init(key, spec), KEY)


@pytest.mark.parametrize("which", FULL)
def test_full_sizes_are_the_documented_ones(which):
    make, _, spec, expected = FULL[which]
    params, _ = shapes_of(make(), spec)
    assert sum(p.size for p in nn.state_dict(params).values()) == expected


@pytest.mark.oracle
@pytest.mark.parametrize("which", FULL)
def test_names_and_shapes_at_full_size_are_the_originals(oracle, which):
    layers, theirs, _ = oracle
    make, reference, spec, _ = FULL[which]
    with layers.torch.device("meta"):
        expected = {k: tuple(v.shape) for k, v in reference(theirs).state_dict().items()}
    tied = models.GPT_TIED if which == "gpt" else None
    ours = nn.state_dict(*shapes_of(make(), spec), tied=tied)
    assert {k: v.shape for k, v in ours.items()} == expected


@pytest.mark.oracle
def test_a_file_of_the_original_loads(oracle, tmp_path):
    layers, theirs, _ = oracle
    module = theirs.gpt(11, 16, 1, 2, 8)
    layers.torch.save(module.state_dict(), tmp_path / "gpt.pth")
    model = models.gpt(11, 16, layers=1, heads=2, features=8)
    words = tokens(2, 5)
    weights = torch_reader.read(tmp_path / "gpt.pth")
    params, state = nn.load_state_dict(weights, *model.init(KEY, words), tied=models.GPT_TIED)
    expected = module(layers.torch.tensor(words)).detach().numpy()
    np.testing.assert_allclose(model.apply(params, state, words)[0], expected, 1e-5, 1e-5)
    back = nn.state_dict(params, tied=models.GPT_TIED)
    assert back.keys() == module.state_dict().keys()
    module.load_state_dict({k: layers.torch.tensor(np.asarray(v)) for k, v in back.items()})


def test_tied_weights_that_differ_are_named():
    model = models.gpt(11, 16, layers=1, heads=2, features=8)
    params, _ = model.init(KEY, tokens(1, 2))
    flat = nn.state_dict(params, tied=models.GPT_TIED)
    flat["lm_head.weight"] = flat["lm_head.weight"] + 1
    with pytest.raises(TreeError, match=r"lm_head\.weight and transformer\.wte\.weight are one"):
        nn.load_state_dict(flat, params, tied=models.GPT_TIED)
    del flat["transformer.wte.weight"]
    loaded, _ = nn.load_state_dict(flat, params, tied=models.GPT_TIED)
    np.testing.assert_array_equal(loaded["transformer"]["wte"]["weight"], flat["lm_head.weight"])


def test_heads_that_are_not_tied_have_a_weight():
    model = models.gpt(11, 16, layers=1, heads=2, features=8, tie_weights=False)
    params, _ = model.init(KEY, tokens(1, 2))
    assert params["lm_head"]["weight"].shape == (11, 8)


def test_initial_values_are_the_originals():
    params, _ = models.gpt(301, 64, layers=2, heads=2, features=64).init(KEY, tokens(1, 2))
    block = params["transformer"]["h"]["0"]
    # Standard deviations estimated from thousands of normal numbers: 5 % is several sigma.
    for values, stddev in (
        (params["transformer"]["wte"]["weight"], 0.02),
        (params["transformer"]["wpe"]["weight"], 0.02),
        (block["attn"]["c_attn"]["weight"], 0.02),
        (block["attn"]["c_proj"]["weight"], 0.01),
        (block["mlp"]["c_proj"]["weight"], 0.01),
    ):
        assert float(values.std()) == pytest.approx(stddev, rel=0.05)
    assert not np.any(block["attn"]["c_attn"]["bias"])
    params, _ = models.resnet([1, 1], width=16).init(KEY, (1, 3, 16, 16))
    weight = params["layer2"]["0"]["conv1"]["weight"]  # fan-out 32 * 9
    assert float(weight.std()) == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.05)


#: Of torchvision 0.28: the first digits of the SHA-256 of its models' names and shapes in
#: alphabetical order, "name (shape)" on each line, without num_batches_tracked.
TORCHVISION = {
    "resnet18": "2bb53b15765c4651",
    "resnet34": "b945021fb00b779b",
    "resnet50": "cf11dad974eadeaa",
    "vgg11": "b11acd4f90d9643f",
    "vgg11_bn": "eb52f2d89ad478d4",
    "vit_b_16": "2c2360f6707280a8",
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_names_and_shapes_are_those_of_torchvisions_weight_files(name):
    made = eval_shape(lambda key: getattr(models, name)().init(key, (1, 3, 224, 224)), KEY)
    lines = []
    for part in made:
        tree.map_with_path(lambda path, x: lines.append(f"{tree.keystr(path)} {x.shape}"), part)
    text = "\n".join(sorted(x for x in lines if "num_batches_tracked" not in x))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == TORCHVISION[name]


def test_a_residual_network_can_begin_as_the_identity():
    model = models.resnet([1], width=4, zero_init_residual=True)
    params, _ = model.init(KEY, (1, 3, 16, 16))
    assert not np.any(params["layer1"]["0"]["bn2"]["weight"])
    assert np.all(params["layer1"]["0"]["bn1"]["weight"] == 1)


def test_a_code_is_drawn_with_a_key():
    model = models.vae(16, 8, 4)
    x = random.uniform(KEY, (3, 16))
    params, state = model.init(KEY, x)
    (plain, mean, log_variance), _ = model.apply(params, state, x)
    first, again = (model.apply(params, state, x, key=random.key(5))[0][0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, plain)
    np.testing.assert_allclose(models.vae_decode(params, mean), plain, rtol=1e-6)
    # The divergence from the standard normal, against its integral over a grid for one code.
    m, s = 0.3, 0.7
    grid = np.linspace(-8, 8, 20001)
    density = np.exp(-((grid - m) ** 2) / (2 * s * s)) / (s * np.sqrt(2 * np.pi))
    ratio = np.log(density) + grid**2 / 2 + np.log(2 * np.pi) / 2
    divergence = np.trapezoid(density * ratio, grid)
    half = rnp.full((1, 1), 0.5)
    value = models.vae_loss(
        half, rnp.ones((1, 1)), rnp.full((1, 1), m), rnp.full((1, 1), 2 * np.log(s))
    )
    assert float(value) == pytest.approx(np.log(2) + divergence, rel=1e-5)  # float32


@pytest.mark.parametrize("which", ["resnet", "vgg", "gpt", "vit", "unet", "words"])
def test_models_train_under_jit_with_dropout(which):
    made = {
        "resnet": (models.resnet([1, 1], num_classes=2, width=2), (2, 3, 16, 16)),
        "vgg": (models.vgg(11, num_classes=2, width=2, hidden=4), (2, 3, 32, 32)),
        "gpt": (models.gpt(11, 8, layers=1, heads=2, features=4, dropout=0.1), None),
        "vit": (
            models.vision_transformer(8, 4, 1, 2, 4, 4, dropout=0.1, attention_dropout=0.1),
            (2, 3, 8, 8),
        ),
        "unet": (models.unet(2, width=2), (2, 3, 32, 32)),
        "words": (models.word_language_model(11, 4, 4, 2), None),
    }
    model, shape = made[which]
    x = tokens(2, 5) if shape is None else random.normal(KEY, shape)
    params, state = model.init(KEY, x)
    # Heads that begin as zeros would hide what is dropped out.
    params = tree.map(lambda p: p + 0.1 * random.normal(KEY, p.shape), params)
    apply = jit(lambda k: model.apply(params, state, x, key=k, train=True)[0])
    first, again, other = (nn.state_dict({"out": apply(random.key(i))}) for i in (0, 0, 1))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    drawn = any(not np.array_equal(first[n], other[n]) for n in first)
    assert drawn == (which not in ("resnet", "unet"))


def test_what_is_refused_is_named():
    with pytest.raises(ArgumentError, match="the depth is one of 11, 13, 16, 19"):
        models.vgg(12)
    with pytest.raises(ArgumentError, match="cache_length 32 is beyond max_length 16"):
        models.gpt(11, 16, cache_length=32)
    with pytest.raises(ArgumentError, match="an image of 9 does not divide into patches of 4"):
        models.vision_transformer(9, 4, 1, 1, 4, 4)
    with pytest.raises(ArgumentError, match="with tied weights features 4 and hidden_size 5 are"):
        models.word_language_model(11, 4, 5, tie_weights=True)
    with pytest.raises(ArgumentError, match="the kind is lstm, gru, rnn_tanh, rnn_relu, not 'x'"):
        models.word_language_model(11, kind="x")
