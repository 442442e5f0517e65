"""Any pytree in a safetensors file: what comes back, what fits an example, what is refused."""

import dataclasses
import json
import math
import random
from collections import OrderedDict, deque, namedtuple

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import io, nn, optim, tree
from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, DtypeError, ShapeError, TreeError
from rtfunc.io import safetensors, trees
from rtfunc.io.files import FileFormatError

Pair = namedtuple("Pair", "left right")


@tree.register_dataclass
@dataclasses.dataclass
class Model:
    weight: object
    bias: object
    name: str = dataclasses.field(default="", metadata={"static": True})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tree.safetensors"


def same(a, b):
    """Equal bit for bit, with types, dtypes and weakness."""
    assert tree.structure(a) == tree.structure(b)
    for x, y in zip(tree.leaves(a), tree.leaves(b)):
        assert type(x) is type(y)
        if isinstance(x, Array):
            assert x.aval == y.aval
            assert np.asarray(x).tobytes() == np.asarray(y).tobytes()
        elif isinstance(x, float):
            assert x.hex() == y.hex()
        else:
            assert x == y


PLAIN = {
    "numbers": [0, -1, 2**200, True, 1.5, -0.0, math.inf, -math.inf, math.nan, 1e-320, 1 - 2j],
    "text": ("", "naïve ☺", "\ud800", b"", b"\x00\xff"),
    "nothing": [None, (), [], {}, OrderedDict()],
    1: {None: {True: 2.5}, 2.5: 0},
    "order": OrderedDict(b=1, a=2),
    "deque": deque([1, 2]),
}


def test_plain_values_and_containers_come_back(path):
    io.save(PLAIN, path)
    result = io.load(path)
    same(result, PLAIN)
    assert list(result) == list(PLAIN)
    assert list(result["order"]) == ["b", "a"]


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("dtype", dtypes.storable, ids=str)
def test_arrays_of_every_dtype_and_shape_come_back(path, dtype, mmap):
    values = np.array([0, 1, 0, 1, 1, 0], np.float32).astype(dtype)
    saved = {
        "a": [
            Array(values.reshape(2, 3)),
            Array(values[:0].reshape(0, 2)),
            Array(values[1:2].reshape(())),
        ]
    }
    io.save(saved, path)
    same(io.load(path, mmap=mmap), saved)
    same(io.load(path, like=saved, mmap=mmap), saved)


def test_weak_types_and_views_come_back(path):
    saved = [rnp.asarray(1.0), rnp.arange(6.0).reshape(2, 3).T, rnp.arange(6)[::-2]]
    assert saved[0].weak_type
    io.save(saved, path)
    same(io.load(path), saved)


@pytest.mark.parametrize("value", [rnp.ones(2), 3, None, "text", [], Pair(1, rnp.ones(1))])
def test_the_whole_tree_may_be_anything(path, value):
    io.save(value, path)
    same(io.load(path, like=value), value)


def test_registered_types_come_back_through_an_example(path):
    saved = Pair(Model(rnp.ones(2), None, "small"), {"x": Pair(rnp.zeros(1), 5)})
    io.save(saved, path)
    same(io.load(path, like=saved), saved)
    assert io.load(path, like=saved).left.name == "small"
    plain = io.load(path)
    assert plain["left"]["weight"].tolist() == [1, 1]
    assert plain["left"]["bias"] is None
    assert plain["right"] == {"x": {"left": rnp.zeros(1), "right": 5}}


def test_an_optimizer_goes_on_from_its_file(path):
    optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(1e-2))
    params = {"w": rnp.ones((3, 2)), "b": rnp.zeros(2)}
    _, state = optimizer.update(params, optimizer.init(params), params)
    io.save((params, state), path)
    shapes = rf.eval_shape(lambda: (params, optimizer.init(params)))
    for like in ((params, optimizer.init(params)), shapes):
        loaded_params, loaded = io.load(path, like=like)
        same(loaded, state)
        same(
            optimizer.update(params, loaded, loaded_params), optimizer.update(params, state, params)
        )


def test_loaded_arrays_can_be_used_everywhere(path):
    """Also those that lie unaligned in the mapped file."""
    saved = {"a": rnp.ones(3, dtype="int8"), "b": rnp.arange(3.0), "c": np.arange(5.0)}
    io.save(saved, path)
    loaded = io.load(path)
    assert rf.jit(lambda t: t["b"] @ t["b"] + t["a"].sum())(loaded) == 8
    assert not np.asarray(loaded["c"]).flags.writeable


def test_a_file_in_use_can_be_replaced(path):
    io.save(rnp.zeros(5000), path)
    before = io.load(path)
    io.save(before + 1, path)
    assert before.sum() == 0
    assert io.load(path).sum() == 5000


def test_metadata_is_read_without_the_arrays(path):
    io.save({"a": rnp.ones(3)}, path, metadata={"author": "me"})
    assert io.read_metadata(path) == {"author": "me"}
    with pytest.raises(ArgumentError, match=r"cannot have a 'rtfunc.tree'"):
        io.save(1, path, metadata={"rtfunc.tree": ""})


def test_files_of_other_programs(path):
    arrays = {"0.weight": np.ones((2, 3), "f4"), "0.bias": np.zeros(2, "f4")}
    safetensors.write(arrays, path)
    flat = io.load(path)
    assert sorted(flat) == sorted(arrays)
    params, _ = nn.sequential(nn.dense(2)).init(rf.random.key(0), (1, 3))
    loaded = io.load(path, like=params)
    assert loaded["0"]["weight"].tolist() == [[1] * 3] * 2
    with pytest.raises(TreeError, match=r"0.weight is unexpected; 1.w is missing"):
        io.load(path, like={"0": {"bias": np.zeros(2, "f4")}, "1": {"w": np.zeros(1)}})


def test_other_programs_find_dotted_names(path):
    io.save({"layers": [{"w": rnp.ones(1)}], "x": (rnp.zeros(1),)}, path)
    tensors, _ = safetensors.read(path)
    assert sorted(tensors) == ["layers.0.w", "x.0"]
    hostile = {"a.b": rnp.ones(1), "a": {"b": rnp.zeros(1)}, "__metadata__": rnp.full(1, 2.0)}
    io.save(hostile, path)
    same(io.load(path), hostile)


def test_what_does_not_fit_the_example_is_named(path):
    io.save({"a": rnp.ones((2, 3)), "b": [rnp.ones(2), 3], "c": {"d": None}}, path)

    def refused(error, match, **changed):
        like = {"a": rnp.ones((2, 3)), "b": [rnp.ones(2), 3], "c": {"d": None}, **changed}
        with pytest.raises(error, match=match):
            io.load(path, like=like)

    refused(ShapeError, r"a has shape \(2, 3\) and not \(2, 4\)", a=rnp.ones((2, 4)))
    refused(DtypeError, "a has dtype float32 and not float64", a=np.ones((2, 3)))
    refused(TreeError, "e is missing", e=rnp.ones(1))
    refused(TreeError, "b.1 is unexpected", b=[rnp.ones(2)])
    refused(TreeError, "b.2 is missing", b=[rnp.ones(2), 3, 4])
    refused(TreeError, "b.1 is a int and not an array", b=[rnp.ones(2), rnp.ones(2)])
    refused(TreeError, "b.0 is an array and not a float", b=[1.0, 3])
    refused(TreeError, "b is a container in the file and a leaf in `like`", b=rnp.ones(2))
    refused(TreeError, "a is a leaf in the file and a container in `like`", a=[rnp.ones(2)])
    refused(TreeError, r"a has shape .*; e is missing", a=rnp.ones((2, 4)), e=1)


def test_what_cannot_be_stored_is_named(path):
    for value, match in [
        ({"a": [1, {2}]}, "the leaf at a.1 is a set"),
        ({"a": np.array(["x"])}, "the array at a has the dtype <U1"),
        ({(1, 2): 3}, r"the dict has the key \(1, 2\)"),
        (lambda: 0, "the leaf is a function"),
    ]:
        with pytest.raises(DtypeError, match=match):
            io.save(value, path)
    deep = []
    for _ in range(300):
        deep = [deep]
    with pytest.raises(ArgumentError, match="nests deeper than 200"):
        io.save(deep, path)
    assert not path.exists()


def test_arrays_that_may_change_are_copied():
    array, constant = np.zeros(3), np.zeros(3)
    constant.flags.writeable = False
    _, tensors = trees.describe("test", [array, constant, rnp.ones(2)])
    array[:] = 1
    assert tensors["0"].sum() == 0
    assert tensors["1"] is constant


@pytest.mark.parametrize(
    ("structure", "match"),
    [
        ("", "malformed"),
        ("[]", "malformed"),
        ("{}", "malformed"),
        ("5", "malformed"),
        ("[" * 100_000, "malformed"),
        ('{"list":' * 300 + "null" + "}" * 300, "malformed"),
        ('{"list":[' * 300 + "null" + "]}" * 300, "malformed"),
        ('{"list":5}', "malformed"),
        ('{"dict":5}', "malformed"),
        ('{"dict":[[1]]}', "malformed"),
        ('{"dict":[[[1],null]]}', "unsuitable key"),
        ('{"dict":[["a",null],["a",null]]}', "unsuitable key"),
        (
            json.dumps({"dict": [[n * (2**61 - 1), None] for n in range(200)]}),
            "more than 100 keys of one hash",
        ),
        ('{"exec":"print(1)"}', "unknown 'exec'"),
        ('{"int":"x"}', "malformed"),
        ('{"float":[]}', "malformed"),
        ('{"complex":["0x0","0x0","0x0"]}', "malformed"),
        ('{"bytes":"0"}', "malformed"),
        ('{"int":"1","x":2}', "malformed"),
        ('{"array":"b"}', "an array 'b', which the file does not hold"),
        ('{"array":["a"]}', "does not hold"),
        ('{"array":"a","dtype":"complex128"}', "not stored as its dtype"),
        ('{"array":"a","dtype":"object"}', "not stored as its dtype"),
    ],
)
def test_malformed_structures_are_refused(path, structure, match):
    safetensors.write({"a": np.ones(3, "f4")}, path, {trees.STRUCTURE: structure})
    with pytest.raises(FileFormatError, match=match) as caught:
        io.load(path)
    assert str(caught.value).startswith(str(path))


def test_mutated_files_are_read_or_refused(path):
    io.save(PLAIN | {"a": rnp.ones(3), "c": np.ones(2, complex), "p": Pair(1, None)}, path)
    data, generator = path.read_bytes(), random.Random(0)
    outcomes = {True: 0, False: 0}
    for _ in range(600):
        changed = bytearray(data)
        for _ in range(generator.choice((1, 1, 2, 5))):
            changed[generator.randrange(8, len(data))] = generator.choice(b'{}[]",:0x\\ aZ\xff')
        path.write_bytes(changed)
        try:
            io.load(path, mmap=False)
        except FileFormatError:
            outcomes[False] += 1
        else:
            outcomes[True] += 1
    assert min(outcomes.values()) > 20


def test_structures_hold_no_names_of_python(path):
    """So that nothing in a file can choose what is imported or called."""
    io.save(Pair(Model(rnp.ones(1), 2, "x"), None), path)
    text = json.loads(safetensors.read_metadata(path)[trees.STRUCTURE])
    assert "Model" not in str(text)
