"""matmul, einsum and their relatives against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rtfunc.numpy as rnp
from rtfunc.core.array import Array
from rtfunc.core.errors import ArgumentError, AxisError, ShapeError
from rtfunc.core.reverse import vjp_flat
from rtfunc.core.staging import trace_to_graph
from rtfunc.numpy.contraction import (
    cross,
    dot,
    einsum,
    inner,
    kron,
    matmul,
    multi_dot,
    outer,
    tensordot,
    trace,
    vdot,
    vecdot,
)
from rtfunc.numpy.diagonals import diagonal

RNG = np.random.default_rng(0)
#: float64 sums of a few hundred products, in another order.
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}


def values(*shape):
    return np.asarray(RNG.normal(size=shape))


def check(found, reference):
    found = np.asarray(found)
    reference = np.asarray(reference)
    assert found.shape == reference.shape
    assert found.dtype == reference.dtype
    np.testing.assert_allclose(found, reference, **TOLERANCE)


# matmul

SHAPES = [
    ((3,), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((2, 3), (5, 3, 4)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 2, 3), (1, 3, 4)),
    ((1, 2, 3), (5, 3, 4)),
    ((6, 1, 2, 3), (5, 3, 4)),
    ((6, 5, 2, 3), (6, 1, 3, 4)),
    ((1, 5, 2, 3), (6, 1, 3, 4)),
    ((7, 1, 5, 2, 3), (6, 1, 3, 4)),
    ((1, 2, 3), (1, 3, 4)),
    ((0, 2, 3), (3, 4)),
    ((2, 0), (0, 4)),
]


@pytest.mark.parametrize(("x", "y"), SHAPES)
def test_matmul_is_numpys(x, y):
    x, y = values(*x), values(*y)
    check(matmul(x, y), x @ y)


@pytest.mark.parametrize(("x", "y"), SHAPES)
def test_gradient_of_matmul(x, y):
    """Cotangents have the operands' shapes, and pair with tangents as the result does."""
    x, y = values(*x), values(*y)
    (out,), pullback = vjp_flat(lambda a, b: [matmul(a, b)], [Array(x), Array(y)], [True, True])
    ct, dx, dy = values(*out.shape), values(*x.shape), values(*y.shape)
    of_x, of_y = pullback([Array(ct)])
    assert of_x.shape == x.shape
    assert of_y.shape == y.shape
    np.testing.assert_allclose(np.sum(np.asarray(of_x) * dx), np.sum(ct * (dx @ y)), **TOLERANCE)
    np.testing.assert_allclose(np.sum(np.asarray(of_y) * dy), np.sum(ct * (x @ dy)), **TOLERANCE)


def test_matmul_broadcasts_without_copies():
    """An axis that only one operand has is a free axis of the product."""
    graph, _ = trace_to_graph(
        lambda x, y: [matmul(x, y)], [Array(values(5, 2, 3)).aval, Array(values(3, 4)).aval]
    )
    assert [e.primitive.name for e in graph.equations] == ["dot_general"]


def test_matmul_refuses_scalars_and_sizes_that_do_not_fit():
    with pytest.raises(ShapeError, match="at least one axis"):
        matmul(values(), values(3))
    with pytest.raises(ShapeError, match=r"last axis of the first \(size 3\).*axis 0.*\(size 4\)"):
        matmul(values(2, 3), values(4, 2))
    with pytest.raises(ShapeError, match="leading axes"):
        matmul(values(2, 2, 3), values(5, 3, 2))


def test_matmul_of_integers_and_booleans():
    x = np.arange(6, dtype="int32").reshape(2, 3)
    check(matmul(x, x.T), x @ x.T)
    check(matmul(x > 2, x.T > 2), (x > 2) @ (x.T > 2))
    assert matmul(x, x.T, preferred_element_type="float32").dtype == np.float32


# The others


@pytest.mark.parametrize(
    ("a", "b"),
    [((), ()), ((), (2, 3)), ((3,), (3,)), ((2, 3), (3,)), ((2, 3), (4, 3, 5)), ((3,), (4, 3, 5))],
)
def test_dot(a, b):
    a, b = values(*a), values(*b)
    check(dot(a, b), np.dot(a, b))


@pytest.mark.parametrize(("a", "b"), [((), ()), ((), (3,)), ((3,), (3,)), ((2, 3), (4, 5, 3))])
def test_inner(a, b):
    a, b = values(*a), values(*b)
    check(inner(a, b), np.inner(a, b))


def test_vdot_and_vecdot_conjugate_the_first():
    a, b = values(2, 3) + 1j * values(2, 3), values(2, 3) - 1j * values(2, 3)
    check(vdot(a, b), np.vdot(a, b))
    for axis in (-1, 0, 1):
        check(vecdot(a, b, axis=axis), np.vecdot(a, b, axis=axis))
    check(vecdot(values(0, 3), values(3)), np.zeros(0))
    x, y = values(4, 1, 3), values(5, 3)
    check(vecdot(x, y), np.vecdot(x, y))


def test_outer_and_kron():
    a, b = values(2, 3), values(4)
    check(outer(a, b), np.outer(a, b))
    for shapes in (((2,), (3,)), ((2, 3), (3, 2)), ((2, 3), (4,)), ((4,), (2, 3)), ((), (2,))):
        x, y = (values(*s) for s in shapes)
        check(kron(x, y), np.kron(x, y))


@pytest.mark.parametrize("axes", [0, 1, 2, ((0, 1), (1, 0)), (0, 1), ([-1], [0])])
def test_tensordot(axes):
    a, b = values(3, 3, 3), values(3, 3, 3)
    check(tensordot(a, b, axes), np.tensordot(a, b, axes))


def test_tensordot_errors():
    with pytest.raises(ArgumentError, match="at most 1 axes, got axes=2"):
        tensordot(values(3), values(3, 3), 2)
    with pytest.raises(ArgumentError, match="a number or a pair"):
        tensordot(values(3), values(3), None)
    with pytest.raises(AxisError, match="axis 1 is out of bounds"):
        tensordot(values(3), values(3), ((1,), (0,)))


def test_cross():
    a, b = values(4, 3), values(5, 1, 3)
    check(cross(a, b), np.cross(a, b))
    check(cross(a.T, b, axisa=0, axisc=1), np.cross(a.T, b, axisa=0, axisc=1))
    check(cross(a.T, a.T, axis=0), np.cross(a.T, a.T, axis=0))
    # NumPy deprecates vectors of two components; the third one is zero.
    flat = np.concatenate([a[:, :2], np.zeros((4, 1))], axis=1)
    check(cross(a[:, :2], a), np.cross(flat, a))
    check(cross(a, a[:, :2]), np.cross(a, flat))
    check(cross(a[:, :2], 2 * a[::-1, :2]), np.cross(flat, 2 * flat[::-1])[:, 2])
    with pytest.raises(ShapeError, match="2 or 3 components, but got 4 and 3"):
        cross(values(4), values(3))


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2), (0, 3), (2, 3, 4)])
@pytest.mark.parametrize("offset", [-5, -1, 0, 2, 5])
def test_trace_and_diagonal(shape, offset):
    x = values(*shape)
    check(trace(x, offset), np.trace(x, offset))
    check(diagonal(x, offset), np.diagonal(x, offset))
    check(diagonal(x, offset, -1, 0), np.diagonal(x, offset, -1, 0))


def test_trace_of_small_integers_and_errors():
    x = np.full((2, 2), 100, "int8")
    assert trace(x).dtype == np.int32
    assert int(trace(x)) == 200
    assert trace(x, dtype="float32").dtype == np.float32
    assert trace(x.astype("uint8")).dtype == np.uint32
    with pytest.raises(ShapeError, match="at least two axes"):
        trace(values(3))
    with pytest.raises(AxisError, match="two different axes"):
        diagonal(values(3, 3), 0, 1, -1)


def test_a_diagonal_does_not_follow_later_changes_of_its_operand():
    x = np.ones((2, 2))
    results = [diagonal(x), einsum("ii->i", x), einsum("ij->ji", x)]
    x[:] = 5.0
    assert all(np.all(np.asarray(r) == 1.0) for r in results)


@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 4), (4, 2)),
        ((9, 2), (2, 9), (9, 1)),
        ((9, 2), (2, 9), (9,)),
        ((9,), (9, 3), (3, 5), (5,)),
        ((2, 3), (3, 4), (4, 5), (5, 6), (6, 1)),
    ],
)
def test_multi_dot(shapes):
    arrays = [values(*s) for s in shapes]
    check(multi_dot(arrays), np.linalg.multi_dot(arrays))


def test_multi_dot_multiplies_in_the_cheap_order():
    graph, _ = trace_to_graph(
        lambda *xs: [multi_dot(xs)], [Array(values(*s)).aval for s in ((50, 2), (2, 50), (50, 1))]
    )
    # The right product first: [2, 50] @ [50, 1].
    assert graph.equations[0].outputs[0].aval.shape == (2, 1)


def test_multi_dot_errors():
    with pytest.raises(ArgumentError, match="at least two"):
        multi_dot([values(2, 2)])
    with pytest.raises(ShapeError, match=r"arrays 0 and 1 of shapes \(2, 3\) and \(2, 3\)"):
        multi_dot([values(2, 3), values(2, 3)])
    with pytest.raises(ShapeError, match="array 1 has shape"):
        multi_dot([values(2, 3), values(3), values(3, 2)])


# einsum

EINSUMS = [
    ("ij,jk", (2, 3), (3, 4)),
    ("ij,jk->ki", (2, 3), (3, 4)),
    (" i j , j k -> i k ", (2, 3), (3, 4)),
    ("ba,cb", (2, 3), (4, 2)),
    ("ii", (3, 3)),
    ("ii->i", (3, 3)),
    ("iij->ji", (3, 3, 2)),
    ("iii->i", (3, 3, 3)),
    ("ijij->j", (2, 3, 2, 3)),
    ("ij->", (2, 3)),
    ("ij->ji", (2, 3)),
    ("i->i", (3,)),
    ("->", ()),
    (",->", (), ()),
    (",i", (), (3,)),
    ("i,i", (3,), (3,)),
    ("i,i->i", (3,), (3,)),
    ("i,j->ji", (2,), (3,)),
    ("ij,k->i", (2, 3), (4,)),
    ("ij,ij->", (2, 3), (2, 3)),
    ("iij,jk->ki", (2, 2, 3), (3, 4)),
    ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)),
    ("bqhd,bkhd->bhqk", (2, 4, 3, 5), (2, 6, 3, 5)),
    ("ijk,jil->kl", (3, 4, 5), (4, 3, 2)),
    ("...ij,...jk", (5, 2, 3), (3, 4)),
    ("...ij,...jk->...ik", (1, 2, 3), (6, 5, 3, 4)),
    ("i...,i...->...", (2, 3, 4), (2, 1, 4)),
    ("...->...", (2, 3)),
    ("...", (2, 3)),
    ("i...->...i", (2, 3, 4)),
    ("ij,jk", (2, 1), (3, 4)),
    ("ij,ij->ij", (1, 3), (2, 1)),
    ("Ab,bA", (2, 3), (3, 2)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
    ("ij,jk,kl", (2, 3), (3, 4), (4, 5)),
    ("a,b,c->cab", (2,), (3,), (4,)),
    ("ij,ik,il->jkl", (2, 3), (2, 4), (2, 5)),
    ("ij,ij,ij->j", (2, 3), (2, 3), (2, 3)),
    ("ea,fb,abcd,gc,hd->efgh", (2, 3), (2, 3), (3, 3, 3, 3), (2, 3), (2, 3)),
    ("i,ij,j,k->", (2,), (2, 3), (3,), (4,)),
    ("ij,jk->ik", (0, 3), (3, 2)),
    ("ij,jk->ik", (2, 0), (0, 2)),
]


@pytest.mark.parametrize("optimize", ["auto", False])
@pytest.mark.parametrize(("subscripts", "shapes"), [(s, shapes) for s, *shapes in EINSUMS])
def test_einsum_is_numpys(subscripts, shapes, optimize):
    operands = [values(*s) for s in shapes]
    check(einsum(subscripts, *operands, optimize=optimize), np.einsum(subscripts, *operands))


@pytest.mark.parametrize(("subscripts", "shapes"), [(s, shapes) for s, *shapes in EINSUMS])
def test_gradient_of_einsum(subscripts, shapes):
    """einsum is linear in each operand."""
    operands = [values(*s) for s in shapes]
    (out,), pullback = vjp_flat(
        lambda *xs: [einsum(subscripts, *xs)], [Array(x) for x in operands], [True] * len(operands)
    )
    ct = values(*out.shape)
    for i, found in enumerate(pullback([Array(ct)])):
        tangent = values(*operands[i].shape)
        moved = np.einsum(subscripts, *operands[:i], tangent, *operands[i + 1 :])
        np.testing.assert_allclose(
            np.sum(np.asarray(found) * tangent), np.sum(ct * moved), **TOLERANCE
        )


@st.composite
def terms(draw):
    """Subscripts in explicit form over up to 4 operands, with shapes."""
    sizes = {letter: draw(st.integers(1, 3)) for letter in "abcd"}
    inputs = [draw(st.text("abcd", max_size=3)) for _ in range(draw(st.integers(1, 4)))]
    used = sorted(set("".join(inputs)))
    output = "".join(draw(st.permutations(used))[: draw(st.integers(0, len(used)))])
    return f"{','.join(inputs)}->{output}", [tuple(sizes[x] for x in term) for term in inputs]


@settings(max_examples=150, deadline=None)
@given(terms(), st.sampled_from(["auto", "greedy", True, False]))
def test_random_einsums_are_numpys(case, optimize):
    subscripts, shapes = case
    operands = [values(*s) for s in shapes]
    check(einsum(subscripts, *operands, optimize=optimize), np.einsum(subscripts, *operands))


def test_interleaved_operands_and_labels():
    x, y = values(2, 3), values(3, 4)
    check(einsum(x, [0, 1], y, [1, 2], [2, 0]), np.einsum(x, [0, 1], y, [1, 2], [2, 0]))
    check(einsum(x, [5, 1], y, [1, 2]), np.einsum(x, [5, 1], y, [1, 2]))
    z = values(5, 2, 3)
    check(
        einsum(z, [..., 0, 1], y, [1, 2], [..., 2, 0]),
        np.einsum(z, [..., 0, 1], y, [1, 2], [..., 2, 0]),
    )


def test_einsum_takes_a_path():
    operands = [values(2, 3), values(3, 4), values(4, 5)]
    reference = np.einsum("ij,jk,kl->il", *operands)
    for path in ([(0, 1), (0, 1)], ["einsum_path", (1, 2), (0, 1)], [(0, 1, 2)]):
        check(einsum("ij,jk,kl->il", *operands, optimize=path), reference)


def test_einsum_of_other_dtypes():
    x = np.arange(6, dtype="int8").reshape(2, 3)
    check(einsum("ij,kj->ik", x, x), np.einsum("ij,kj->ik", x, x))
    check(einsum("ij->i", x > 2), (x > 2).any(axis=1))
    check(einsum("ij,jk", x > 2, x.T > 2), (x > 2) @ (x.T > 2))
    half = np.ones((1, 4097), "float16")
    assert einsum("ij,kj->ik", half, half, preferred_element_type="float32").item() == 4097.0
    assert einsum("ij->i", half, preferred_element_type="float32").item() == 4097.0
    assert einsum("ij,jk->ik", x, values(3, 2)).dtype == np.float64


def test_two_operands_are_one_product():
    """No transposition where the output's order is one that dot_general can give."""
    for subscripts, shapes in (
        ("ij,jk->ik", ((2, 3), (3, 4))),
        ("ij,jk->ki", ((2, 3), (3, 4))),
        ("bij,bkj->bik", ((5, 2, 3), (5, 4, 3))),
    ):
        graph, _ = trace_to_graph(
            lambda x, y: [einsum(subscripts, x, y)],
            [Array(values(*s)).aval for s in shapes],
        )
        assert [e.primitive.name for e in graph.equations] == ["dot_general"]


@pytest.mark.parametrize(
    ("subscripts", "shapes", "error", "message"),
    [
        ("ij,jk", [(2, 3)], ArgumentError, "for 2 operands, got 1"),
        ("ij", [(2, 3, 4)], ShapeError, "operand 0 has 3 axes, but .* give it 2"),
        ("ij,jk", [(2, 3), (4, 5)], ShapeError, "'j' of 'ij,jk' stands for the sizes 3 and 4"),
        ("ii", [(2, 3)], ShapeError, "stands for the sizes 2 and 3"),
        ("ij->ik", [(2, 3)], ArgumentError, "output label 'k' .* is in no operand"),
        ("ij->ii", [(2, 3)], ArgumentError, "has the label 'i' twice"),
        ("i1", [(2, 3)], ArgumentError, "'1' in the subscripts"),
        ("i...->i", [(2, 3)], ArgumentError, "must stand in the output"),
        ("......", [(2, 3)], ArgumentError, "not a letter"),
    ],
)
def test_malformed_einsums_are_refused(subscripts, shapes, error, message):
    with pytest.raises(error, match=message):
        einsum(subscripts, *[values(*s) for s in shapes])


def test_einsum_without_labels_is_refused():
    with pytest.raises(ArgumentError, match="where a list of labels belongs"):
        einsum(values(2, 3), values(3, 2))
    with pytest.raises(ArgumentError, match="at least one operand"):
        einsum("ij")


def test_contractions_compose_with_the_namespace():
    """Operators of Arrays reach matmul."""
    x, y = rnp.ones((2, 3)), rnp.ones((3, 2))
    check(x @ y, np.full((2, 2), 3, "float32"))
    check(np.ones((2, 2), "float32") @ x, np.full((2, 3), 2, "float32"))
