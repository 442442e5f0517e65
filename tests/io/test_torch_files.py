"""`load_torch` and `save_torch`: Arrays in what PyTorch's files hold."""

import argparse
import io
from collections import Counter, OrderedDict
from pathlib import Path

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import nn, optim
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, DtypeError
from rtfunc.io import FileFormatError, load_torch, save_torch, torch_reader

FILES = Path(__file__).with_name("files")


def round_trip(value):
    file = io.BytesIO()
    save_torch(value, file)
    file.seek(0)
    return load_torch(file)


def test_recorded_files_hold_arrays():
    state = load_torch(FILES / "state.pt")
    plain = torch_reader.read(FILES / "state.pt")
    assert type(state) is type(plain)
    assert any(isinstance(value, Array) for value in state.values())
    for name, value in plain.items():
        if isinstance(value, np.ndarray):
            assert isinstance(state[name], Array)
            np.testing.assert_array_equal(state[name], value)
    trainer = load_torch(FILES / "trainer_legacy.pt")
    moments = trainer["optimizer"]["state"][0]
    assert isinstance(moments["exp_avg"], Array)
    assert trainer["others"][:2] == [1, 2.5]


def test_arrays_and_containers_come_back():
    value = OrderedDict(
        a=rnp.arange(6.0).reshape(2, 3),
        half=rnp.ones(2, dtype="bfloat16"),
        rest=[(rnp.zeros((), dtype="int32"), None), {"b": 1.5, 3: "x"}],
        tail=np.arange(4)[::2],
    )
    result = round_trip(value)
    assert type(result) is OrderedDict
    assert result["a"].aval == rf.ShapeDtypeStruct((2, 3), "float32")
    assert result["half"].dtype == rf.bfloat16
    assert isinstance(result["rest"][0], tuple)
    assert result["rest"][0][0] == 0
    assert result["rest"][1] == {"b": 1.5, 3: "x"}
    assert result["tail"].tolist() == [0, 2]


def test_what_is_one_object_or_one_memory_stays_so():
    weight = rnp.arange(6.0).reshape(2, 3)
    inner = {"w": weight}
    result = round_trip({"a": weight, "b": weight, "view": weight.T, "c": inner, "d": inner})
    assert result["a"] is result["b"]
    assert result["c"] is result["d"]
    assert np.shares_memory(np.asarray(result["a"]), np.asarray(result["view"]))
    assert rf.jit(lambda x: x @ x.T)(result["view"]).shape == (3, 3)


def test_versions_of_modules_and_foreign_values_are_kept(monkeypatch):
    state = OrderedDict(w=np.zeros(1))
    state._metadata = OrderedDict({"": {"version": 2}})
    assert round_trip(state)._metadata == state._metadata
    held = {
        "options": argparse.Namespace(x=np.ones(1)),
        "count": Counter("aab"),
        "names": np.array(["x"]),
    }
    monkeypatch.setattr(torch_reader, "read", lambda *_, **__: held)
    result = load_torch("anything")
    assert isinstance(result["options"].x, Array)
    assert result["count"] == Counter("aab")
    assert isinstance(result["names"], np.ndarray)


def test_mapped_arrays(tmp_path):
    save_torch({"w": rnp.arange(1000.0)}, tmp_path / "w.pth")
    assert load_torch(tmp_path / "w.pth", mmap=True)["w"].sum() == 499500


def test_what_cannot_be_written_is_named(tmp_path):
    with pytest.raises(DtypeError, match=r"cannot write the object\['a'\]\[1\], a set") as caught:
        save_torch({"a": [rnp.ones(1), {1}]}, tmp_path / "x.pth")
    assert "test_torch_files.py" in str(caught.value)
    itself = {}
    itself["again"] = itself
    with pytest.raises(ArgumentError, match="contains itself"):
        save_torch(itself, tmp_path / "x.pth")
    state = optim.adam(0.1).init({"w": rnp.ones(1)})
    with pytest.raises(DtypeError, match="AdamState"):
        save_torch(state, tmp_path / "x.pth")
    assert not list(tmp_path.iterdir())


def test_bad_files_raise_one_error():
    for data in (b"", b"PK\x03\x04", b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.", b"text"):
        with pytest.raises(FileFormatError, match="<BytesIO>"):
            load_torch(io.BytesIO(data))


@pytest.mark.oracle
def test_pytorch_reads_what_is_written_and_the_other_way_round(tmp_path):
    torch = pytest.importorskip("torch")
    model = nn.sequential(nn.dense(4), nn.relu, nn.batch_norm(), nn.dense(2))
    params, state = model.init(rf.random.key(0), (1, 3))
    path = tmp_path / "model.pth"
    save_torch(nn.state_dict(params, state), path)
    theirs = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2)
    )
    theirs.load_state_dict(torch.load(path, weights_only=True))
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    theirs.train()(x)  # the statistics of the batch norm move
    torch.save(theirs.state_dict(), path)
    params, state = nn.load_state_dict(load_torch(path), params, state)
    ours, _ = model.apply(params, state, x.numpy())
    # Sums of at most four products, in another order: some units in the last place.
    np.testing.assert_allclose(ours, theirs.eval()(x).detach().numpy(), rtol=1e-5, atol=1e-6)
