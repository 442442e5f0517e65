"""Where arrays lie: moving them, what meets what, what leaves the GPU, and the errors."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import io, nn
from rtfunc.core.errors import ArgumentError, DeviceError, DonatedArrayError, DtypeError
from tests.gpu.comparison import assert_close, assert_on_gpu, on_gpu


@pytest.fixture
def x():
    return on_gpu(rnp.arange(6.0).reshape(2, 3))


def test_devices_are_listed_and_named(x):
    gpus = rf.devices("gpu")
    assert rf.devices() == [*gpus, *rf.devices("cpu")]
    assert x.device == gpus[0] == rf.Device("gpu", 0)
    assert x.devices() == {gpus[0]}
    assert str(x.device) == "gpu:0"
    for name in ("gpu", "gpu:0", "cuda:0", x.device):
        assert_on_gpu(rnp.zeros(3, device=name))
    with pytest.raises(DeviceError, match=r"no device gpu:99: CuPy found \d+ GPU"):
        rf.device_put(1.0, "gpu:99")


def test_arrays_move_there_and_back(x):
    assert rf.device_put(x, "gpu")._buffer is x._buffer
    back = rf.device_put(x, "cpu")
    assert back.device.platform == "cpu"
    np.testing.assert_array_equal(back, np.arange(6.0).reshape(2, 3))
    tree = on_gpu({"a": [rnp.ones(2), 1.0], "b": np.arange(3)})
    assert_on_gpu(tree)
    assert tree["b"].dtype == np.int64
    assert x.to_device("cpu").device.platform == "cpu"
    assert isinstance(rf.device_get(tree)["b"], np.ndarray)


def test_values_are_read_as_from_the_cpu(x):
    assert float(x[1, 2]) == 5.0
    assert int(x.astype(int).sum()) == 15
    assert bool(x.any())
    assert x.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert x[0, 1].item() == 1.0
    assert repr(x) == repr(rf.device_put(x, "cpu"))
    assert str(x) == str(np.arange(6.0, dtype="float32").reshape(2, 3))
    assert f"{x[0, 1]:.2f}" == "1.00"
    assert [float(row.sum()) for row in x] == [3.0, 12.0]
    assert 5.0 in x
    host = np.asarray(x)  # JAX copies to the host here, and so does rtfunc
    assert isinstance(host, np.ndarray)
    assert np.sin(x).shape == (2, 3)
    for moved in (pickle.loads(pickle.dumps(x)), rf.device_get(copy.deepcopy(x))):
        np.testing.assert_array_equal(moved, host)


def test_arrays_of_the_cpu_follow(x):
    host = rnp.ones((2, 3))
    assert_on_gpu([x + host, host + x, x + np.ones(3, "float32"), rnp.where(host > 0, x, 0.0)])
    assert_on_gpu(rf.jit(lambda a, b: a + b)(x, host))
    assert_on_gpu(rf.jit(lambda b: b + x)(host))  # captured
    assert_on_gpu(rf.grad(lambda a: (a * host).sum())(x))


def test_transfers_can_be_forbidden(x):
    host = rnp.ones((2, 3))
    with rf.transfer_guard("disallow"):
        assert_on_gpu([x + 1, x * rnp.float32(2), x @ rf.device_put(host.T, "gpu")])
        with pytest.raises(DeviceError, match=r"add got arrays on different devices") as error:
            x + host
        with pytest.raises(DeviceError, match="jit got arrays on different devices"):
            rf.jit(lambda a, b: a + b)(x, host)
    assert "rtfunc.device_put(x, device)" in str(error.value)
    assert "test_placement.py" in str(error.value)
    assert_on_gpu(x + host)


def test_compiled_executables_know_their_device(x):
    host = rnp.ones((2, 3))
    function = rf.jit(lambda a: rnp.tanh(a) * 2)
    assert_close(function(x), function(rf.device_put(x, "cpu")))
    on_cpu, placed = function.lower(host).compile(), function.lower(x).compile()
    assert on_cpu(host).device.platform == "cpu"
    assert_on_gpu(placed(x))
    assert_on_gpu(placed(host))
    with pytest.raises(DeviceError, match="compiled for cpu, but was called with arrays on gpu:0"):
        on_cpu(x)


def test_the_code_can_be_read(x):
    lowered = rf.jit(lambda a: rnp.tanh(a) * 2).lower(x)
    assert "__global__" in lowered.as_text("cuda")
    assert "tanh" in lowered.as_text("kernels")
    with pytest.raises(ArgumentError, match="'kernels' or 'cuda', not 'llvm'"):
        lowered.as_text("llvm")


def test_donated_arrays_are_gone(x):
    rf.jit(lambda a: a + 1, donate_argnums=0)(x)
    with pytest.raises(DonatedArrayError, match="donated"):
        x + 1


def test_work_can_be_waited_for(x):
    y = rf.block_until_ready(x @ x.T)
    assert y is y.block_until_ready()


@pytest.mark.parametrize("dtype", ["float32", "int32", "complex64", "float16", "bfloat16", "bool"])
def test_dtypes_move_unchanged(dtype):
    x = rnp.asarray([0, 1, 2]).astype(dtype)
    np.testing.assert_array_equal(on_gpu(x), x, strict=True)


def test_dtypes_that_cupy_lacks_stay_on_the_cpu():
    with pytest.raises(DtypeError, match="CuPy has no dtype float8_e4m3fn"):
        on_gpu(rnp.ones(3).astype("float8_e4m3fn"))


def test_dlpack_with_cupy(x):
    cupy = pytest.importorskip("cupy")
    theirs = cupy.from_dlpack(x)
    np.testing.assert_array_equal(theirs.get(), x)
    for back in (rnp.from_dlpack(theirs), rnp.asarray(theirs)):
        assert_on_gpu(back)
        np.testing.assert_array_equal(back, x)
    assert x.__dlpack_device__() == theirs.__dlpack_device__()


@pytest.mark.oracle
def test_dlpack_with_torch(x):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch has no GPU")
    theirs = torch.from_dlpack(x)
    assert theirs.is_cuda
    np.testing.assert_array_equal(theirs.cpu().numpy(), x)
    back = rnp.from_dlpack(theirs * 2)
    assert_on_gpu(back)
    np.testing.assert_array_equal(back, np.asarray(x) * 2)


@pytest.mark.oracle
def test_dlpack_with_jax(x):
    jax = pytest.importorskip("jax")
    if jax.default_backend() != "gpu":
        pytest.skip("jax has no GPU")
    theirs = jax.dlpack.from_dlpack(x)
    np.testing.assert_array_equal(np.asarray(theirs), x)
    back = rnp.from_dlpack(theirs * 2)
    assert_on_gpu(back)
    np.testing.assert_array_equal(back, np.asarray(x) * 2)


def test_trees_are_saved_and_loaded(x, tmp_path):
    tree = {"w": x, "step": on_gpu(rnp.asarray(3))}
    io.save(tree, tmp_path / "tree.safetensors")
    loaded = io.load(tmp_path / "tree.safetensors")
    assert_close(loaded, tree)
    assert_on_gpu(on_gpu(loaded))


def test_checkpoints_of_arrays_on_the_gpu(x, tmp_path):
    with io.Checkpointer(tmp_path) as checkpoints:
        checkpoints.save(1, {"w": x})
        checkpoints.wait()
        assert_close(checkpoints.restore({"w": x}).tree, {"w": x})


def test_layers_work_on_parameters_that_lie_there():
    layer = nn.dense(3)
    params, state = layer.init(rf.random.key(0), (1, 4))
    out, _ = layer.apply(on_gpu(params), state, np.ones((2, 4), "float32"))
    assert_on_gpu(out)
