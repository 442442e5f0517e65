"""`rtfunc.tree`."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc import tree
from rtfunc.core.errors import TreeError
from tests.messages import raises

Point = collections.namedtuple("Point", "x y")
TREE = {"b": [1, (2, None)], "a": Point(3, {"k": 4})}


def test_flatten_and_unflatten():
    leaves, treedef = tree.flatten(TREE)
    assert leaves == [3, 4, 1, 2]  # keys in sorted order
    assert tree.unflatten(treedef, leaves) == TREE
    assert tree.leaves(TREE) == leaves
    assert tree.structure(TREE) == treedef
    assert hash(tree.structure(TREE)) == hash(treedef)
    assert tree.structure([1]) != tree.structure((1,))
    assert treedef.num_leaves == 4


def test_containers():
    ordered = collections.OrderedDict([("z", 1), ("a", 2)])
    assert tree.leaves(ordered) == [1, 2]  # in their own order
    assert list(tree.map(lambda x: -x, ordered)) == ["z", "a"]
    default = collections.defaultdict(list, {"a": 1})
    assert tree.map(lambda x: x, default).default_factory is list
    assert tree.map(lambda x: x + 1, collections.deque([1, 2])) == collections.deque([2, 3])
    assert tree.leaves(None) == []
    assert tree.leaves([None, 1], is_leaf=lambda x: x is None) == [None, 1]
    assert tree.leaves("text") == ["text"]
    assert len(tree.leaves(np.ones(3))) == 1


def test_map():
    assert tree.map(lambda x, y: x * y, TREE, TREE)["a"].y == {"k": 16}
    assert tree.map(lambda x, y: (x, y), {"a": 1}, {"a": [5, 6]}) == {"a": (1, [5, 6])}
    assert tree.map(lambda x: None, [1, 2]) == [None, None]
    assert tree.map(sum, [[1, 2], [3]], is_leaf=lambda x: x and isinstance(x[0], int)) == [3, 3]


def test_map_names_the_place_where_structures_differ():
    with raises(TreeError, "tree.map", "at ['w'][0]", "a tuple of 2 does not match a leaf (int)"):
        tree.map(lambda x, y: x, {"w": [(1, 2)]}, {"w": [1]})
    with raises(TreeError, "at the top", "the second lacks ['b'] and the first lacks ['c']"):
        tree.map(lambda x, y: x, {"a": 1, "b": 2}, {"a": 1, "c": 2})
    with raises(TreeError, "at ['a']", "a list of 1 does not match None"):
        tree.map(lambda x, y: x, {"a": [1]}, {"a": None})
    with raises(TreeError, "at [0]", "a tuple of 1 does not match a list of 1"):
        tree.map(lambda x, y: x, [(1,)], [[1]])


def test_reduce_and_all():
    assert tree.reduce(lambda a, b: a + b, TREE) == 10
    assert tree.reduce(lambda a, b: a + b, TREE, 100) == 110
    assert tree.reduce(lambda a, b: a + b, {}, 7) == 7
    assert tree.all({"a": True, "b": rnp.asarray(1)})
    assert not tree.all([1, [0]])
    assert tree.all({})


def test_transpose():
    outer, inner = tree.structure([0, 0]), tree.structure({"a": 0, "b": (0, 0)})
    got = tree.transpose(outer, inner, [{"a": 1, "b": (2, 3)}, {"a": 4, "b": (5, 6)}])
    assert got == {"a": [1, 4], "b": ([2, 5], [3, 6])}
    assert tree.transpose(outer, None, [{"a": 1}, {"a": 2}]) == {"a": [1, 2]}
    with raises(TreeError, "tree.transpose"):
        tree.transpose(outer, inner, [{"a": 1}, {"a": 4}])


def test_paths():
    assert tree.paths(TREE) == [("a", 0), ("a", 1, "k"), ("b", 0), ("b", 1, 0)]
    assert tree.leaves_with_path({"a": [7]}) == [(("a", 0), 7)]
    pairs, treedef = tree.flatten_with_path({"a": [7]})
    assert pairs == [(("a", 0), 7)]
    assert treedef == tree.structure({"a": [7]})
    assert tree.map_with_path(lambda p, x, y: (tree.keystr(p), x + y), {"a": [1]}, {"a": [2]}) == {
        "a": [("a.0", 3)]
    }
    assert tree.keystr(("a", 0, "w"), separator="/") == "a/0/w"
    with raises(TreeError, "tree.map_with_path", "the second lacks ['b']"):
        tree.map_with_path(lambda p, x, y: x, {"a": 1, "b": 2}, {"a": 1})


def test_broadcast_prefix():
    assert tree.broadcast_prefix(0, TREE) == [0] * 4
    assert tree.broadcast_prefix({"a": None, "b": [1, 2]}, TREE) == [None, None, 1, 2]
    with raises(TreeError, "is not a prefix"):
        tree.broadcast_prefix({"a": 1}, TREE)


# Types of the user's own


@tree.register_dataclass
@dataclasses.dataclass(frozen=True)
class Layer:
    weight: object
    bias: object = None
    name: str = dataclasses.field(default="layer", metadata={"static": True})


class Pair:
    def __init__(self, first, second, tag):
        self.first, self.second, self.tag = first, second, tag


tree.register_node(
    Pair, lambda p: ((p.first, p.second), p.tag), lambda tag, children: Pair(*children, tag)
)


def test_dataclasses():
    layer = Layer(np.ones(2), 0.5, "out")
    doubled = tree.map(lambda x: 2 * x, layer)
    assert (doubled.bias, doubled.name) == (1.0, "out")
    assert tree.paths(layer) == [("weight",), ("bias",)]
    assert tree.structure(layer) != tree.structure(Layer(np.ones(2), 0.5, "in"))
    assert tree.leaves(Layer(1)) == [1]
    g = rf.jit(rf.grad(lambda m: (m.weight * m.bias).sum()))(layer)
    assert isinstance(g, Layer)
    assert g.name == "out"
    assert float(g.bias) == 2.0
    rows = rf.vmap(lambda m: m.weight * m.bias, in_axes=(Layer(0, None, "out"),))(layer)
    np.testing.assert_array_equal(rows, [0.5, 0.5])


def test_static_fields_trace_again():
    count = []
    f = rf.jit(lambda m: (count.append(m.name), m.weight)[1])
    f(Layer(1.0, None, "a")), f(Layer(2.0, None, "a")), f(Layer(1.0, None, "b"))
    assert count == ["a", "b"]


def test_registered_nodes():
    out = rf.jit(lambda p: tree.map(lambda x: x + 1, p))(Pair(1.0, [2.0], "t"))
    assert isinstance(out, Pair)
    assert out.tag == "t"
    assert float(out.second[0]) == 3.0


def test_deep_and_wide_trees():
    deep = 1.0
    for _ in range(200):
        deep = [deep, {"x": 1.0}]
    assert len(tree.leaves(rf.jit(lambda t: tree.map(lambda x: x + 1, t))(deep))) == 201
    wide = {f"layer{i}": np.ones(2, "float32") for i in range(500)}
    g = rf.grad(lambda t: sum(tree.leaves(tree.map(rnp.sum, t))))(wide)
    assert len(g) == 500
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(RecursionError):
        tree.leaves(deep)
