"""`einsum`: Einstein's summation convention over any number of operands.

A call is planned once per subscripts and shapes (`_plan`): each operand loses its repeated labels
(diagonals), its axes of size 1 that broadcast and the labels that only it has (sums); the operands
are then contracted pair by pair with `dot_general`. Depends on `diagonals` and `ops.contract`; on
opt_einsum for the order of three operands or more.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Sequence
from typing import Any

from rtfunc.core import dtypes
from rtfunc.core.array import Array
from rtfunc.core.dtypes import DtypeLike
from rtfunc.core.errors import ArgumentError, ShapeError, at_user_line
from rtfunc.numpy.diagonals import diagonal_of
from rtfunc.ops.contract import as_preferred_type, dot_general_p
from rtfunc.ops.convert import convert, promote
from rtfunc.ops.pad_slice import owned_array
from rtfunc.ops.reduce import reduce_or_p, reduce_sum_p
from rtfunc.ops.shape import reshape_p, transpose_p

#: Labels are letters or numbers; the axes of an ellipsis are ("...", i), i counting from the last.
_Labels = tuple[Any, ...]


def einsum(
    subscripts: Any,
    /,
    *operands: Any,
    optimize: Any = "auto",
    preferred_element_type: DtypeLike | None = None,
) -> Array:
    """Products of elements, summed over the labels that the output does not have.

    Arguments:
      subscripts: labels of each operand's axes and of the output's, as in "ij,jk->ik". Without "->"
        the output has the labels that occur once, sorted. "..." stands for axes that broadcast.
        Instead, operands and lists of integer labels may alternate: einsum(x, [0, 1], y, [1, 2],
        [0, 2]).
      operands: arrays; they are promoted to a common dtype.
      optimize: the order in which three or more operands are contracted: a strategy of opt_einsum
        ("auto", "optimal", "greedy" ...), True for "auto", False for left to right, or a list of
        pairs.
      preferred_element_type: dtype of the result and, at least, of the sums.

    Raises `ArgumentError` for malformed subscripts and `ShapeError` for sizes that do not fit.

    >>> import rtfunc.numpy as rnp
    >>> rnp.einsum("bij,bjk->bik", rnp.ones((2, 3, 4)), rnp.ones((2, 4, 5))).shape
    (2, 3, 5)
    >>> rnp.einsum("ii", rnp.eye(3))
    Array(3., dtype=float32)
    """
    if isinstance(subscripts, str):
        key: Any = subscripts
    else:
        key, operands = _interleaved((subscripts, *operands))
    if not operands:
        raise ArgumentError(at_user_line("einsum takes at least one operand."))
    arrays: list[Any]
    if len(operands) == 1:
        arrays = [owned_array("einsum", operands[0])]  # its result may be a view
    else:
        arrays = promote("einsum", *operands)
    if isinstance(optimize, list):
        optimize = tuple(optimize)
    plan = _plan(key, tuple([x.shape for x in arrays]), optimize)
    preferred = (
        None if preferred_element_type is None else as_preferred_type(preferred_element_type)
    )
    if preferred is not None and (len(arrays) != 2 or any(u.summed for u in plan.alone)):
        arrays = [convert(x, preferred) for x in arrays]
        preferred = None
    arrays = [
        unary.apply(x) if unary is not _untouched else x for unary, x in zip(plan.alone, arrays)
    ]
    for i, j, numbers, summed in plan.pairs:
        y, x = arrays.pop(max(i, j)), arrays.pop(min(i, j))
        if i > j:
            x, y = y, x
        out = dot_general_p.bind(x, y, dimension_numbers=numbers, preferred_element_type=preferred)
        arrays.append(sum_over(out, summed) if summed else out)
    (out,) = arrays
    if plan.permutation is not None:
        out = transpose_p.bind(out, permutation=plan.permutation)
    return out


def sum_over(x: Array, axes: Sequence[int]) -> Array:
    """The sum over `axes`; for booleans whether any is true."""
    reduction = reduce_or_p if x.dtype == dtypes.bool_ else reduce_sum_p
    return reduction.bind(x, axes=tuple(sorted(axes)))


def einsum_path(subscripts: Any, /, *operands: Any, optimize: Any = "auto") -> tuple[list, Any]:
    """The order in which `einsum` would contract its operands, and opt_einsum's report about it.

    >>> import rtfunc.numpy as rnp
    >>> a = rnp.ones((2, 3))
    >>> einsum_path("ij,jk,kl->il", a, rnp.ones((3, 50)), rnp.ones((50, 4)))[0]
    [(1, 2), (0, 1)]
    """
    import opt_einsum

    if not isinstance(subscripts, str):
        key, operands = _interleaved((subscripts, *operands))
        letters: dict[Any, str] = {}

        def text(labels: Sequence[Any]) -> str:
            return "".join(
                "..."
                if label is Ellipsis
                else letters.setdefault(label, opt_einsum.get_symbol(len(letters)))
                for label in labels
            )

        inputs, output = key
        subscripts = ",".join(map(text, inputs))
        if output is not None:
            subscripts += "->" + text(output)
    if not operands:
        raise ArgumentError(at_user_line("einsum_path takes at least one operand."))
    shapes = [x.shape for x in promote("einsum_path", *operands)]
    _sizes(subscripts, _parse(subscripts, tuple(map(len, shapes)))[0], tuple(shapes))
    strategy = (
        "auto"
        if optimize is True
        else [(0, 1)] * (len(shapes) - 1)
        if optimize is False
        else optimize
    )
    path, report = opt_einsum.contract_path(subscripts, *shapes, shapes=True, optimize=strategy)
    return list(path), report


# Subscripts.


def _interleaved(arguments: Sequence[Any]) -> tuple[Any, tuple[Any, ...]]:
    """(key, operands) of a call with operands and lists of labels in turn."""
    operands, inputs, output = [], [], None
    rest = list(arguments)
    while len(rest) >= 2:
        operands.append(rest.pop(0))
        inputs.append(_sublist(rest.pop(0)))
    if rest:
        output = _sublist(rest.pop())
    return (tuple(inputs), output), tuple(operands)


def _sublist(labels: Any) -> _Labels:
    try:
        return tuple("..." if label is Ellipsis else operator.index(label) for label in labels)
    except TypeError:
        raise ArgumentError(
            at_user_line(
                "einsum takes a subscripts string first, or operands and lists of integer labels "
                f"in turn; got {labels!r} where a list of labels belongs."
            )
        ) from None


def _split_string(subscripts: str) -> tuple[tuple[_Labels, ...], _Labels | None]:
    text = subscripts.replace(" ", "")
    inputs, arrow, output = text.partition("->")

    def labels(term: str) -> _Labels:
        before, dots, after = term.partition("...")
        found = (*before, *(("...",) if dots else ()), *after)
        for label in found:
            if label != "..." and not label.isalpha():
                raise ArgumentError(
                    at_user_line(
                        f"einsum: {label!r} in the subscripts {subscripts!r} is not a letter, a "
                        "comma, '->' or '...'."
                    )
                )
        return found

    return tuple(labels(term) for term in inputs.split(",")), labels(output) if arrow else None


def _parse(key: Any, ndims: tuple[int, ...]) -> tuple[list[_Labels], _Labels]:
    """The labels of each operand's axes and of the output's, with ellipses spelled out."""
    inputs, output = _split_string(key) if isinstance(key, str) else key
    if len(inputs) != len(ndims):
        raise ArgumentError(
            at_user_line(
                f"einsum: the subscripts {key!r} are for {len(inputs)} operands, got {len(ndims)}."
            )
        )
    spelled, longest = [], 0
    for number, (labels, ndim) in enumerate(zip(inputs, ndims)):
        missing = ndim - (len(labels) - ("..." in labels))
        if missing < 0 or (missing and "..." not in labels):
            raise ShapeError(
                at_user_line(
                    f"einsum: operand {number} has {ndim} axes, but the subscripts {key!r} give it "
                    f"{len(labels) - ('...' in labels)}."
                )
            )
        if labels.count("...") > 1:
            raise ArgumentError(at_user_line(f"einsum: two ellipses for one operand in {key!r}."))
        if "..." in labels:
            longest = max(longest, missing)
        spelled.append(_spell_out(labels, missing))
    if output is None:
        flat = [label for labels in spelled for label in labels]
        once = [x for x in flat if not isinstance(x, tuple) and flat.count(x) == 1]
        return spelled, (*_spell_out(("...",), longest), *sorted(once))
    if longest and "..." not in output:
        raise ArgumentError(
            at_user_line(
                f"einsum: the ellipsis of the operands must stand in the output of {key!r} too."
            )
        )
    result = _spell_out(output, longest)
    known = {label for labels in spelled for label in labels}
    for label in result:
        if label not in known:
            raise ArgumentError(
                at_user_line(f"einsum: the output label {label!r} of {key!r} is in no operand.")
            )
        if result.count(label) > 1:
            raise ArgumentError(
                at_user_line(f"einsum: the output of {key!r} has the label {label!r} twice.")
            )
    return spelled, result


def _spell_out(labels: _Labels, count: int) -> _Labels:
    """`labels` with "..." replaced by `count` labels that match from the last."""
    dots = tuple(("...", i) for i in reversed(range(count)))
    return tuple(x for label in labels for x in (dots if label == "..." else (label,)))


# Plans.


@dataclasses.dataclass(frozen=True)
class _Alone:
    """What happens to one operand by itself, in this order.

    Attributes: diagonals: pairs of axes of which the diagonal is taken, becoming the last axis;
    shape: the shape without axes of size 1 that broadcast, or None; summed: axes to sum over.
    """

    diagonals: tuple[tuple[int, int], ...] = ()
    shape: tuple[int, ...] | None = None
    summed: tuple[int, ...] = ()

    def apply(self, x: Array) -> Array:
        for axis1, axis2 in self.diagonals:
            x = diagonal_of("einsum", x, 0, axis1, axis2)
        if self.shape is not None:
            x = reshape_p.bind(x, shape=self.shape)
        return sum_over(x, self.summed) if self.summed else x


_untouched = _Alone()


@dataclasses.dataclass(frozen=True)
class _Plan:
    """The steps of an einsum.

    Attributes: alone: one per operand; pairs: (i, j, dimension numbers, axes of the product to sum
    over): operands i and j are taken from the list and their product is appended to it;
    permutation: of the last product, or None.
    """

    alone: tuple[_Alone, ...]
    pairs: tuple[tuple[int, int, Any, tuple[int, ...]], ...]
    permutation: tuple[int, ...] | None


@functools.lru_cache(2048)
def _plan(key: Any, shapes: tuple[tuple[int, ...], ...], optimize: Any) -> _Plan:
    inputs, output = _parse(key, tuple(len(s) for s in shapes))
    sizes = _sizes(key, inputs, shapes)
    alone, terms = [], []
    for number, (labels, shape) in enumerate(zip(inputs, shapes)):
        others = {x for i, other in enumerate(inputs) if i != number for x in other}
        step, labels = _plan_alone(labels, shape, sizes, {*output, *others})
        alone.append(step)
        terms.append(labels)
    pairs = []
    for i, j in _order(terms, output, sizes, optimize):
        rest = {x for k, term in enumerate(terms) if k not in (i, j) for x in term}
        x, y = terms[i], terms[j]
        kept = {*output, *rest}
        target = output if len(terms) == 2 else None
        i, j, numbers, summed, product = _plan_pair(i, j, x, y, kept, target)
        pairs.append((i, j, numbers, summed))
        terms = [term for k, term in enumerate(terms) if k not in (i, j)] + [product]
    (final,) = terms
    permutation = tuple(final.index(x) for x in output)
    identity = tuple(range(len(permutation)))
    return _Plan(tuple(alone), tuple(pairs), None if permutation == identity else permutation)


def _sizes(key: Any, inputs: Sequence[_Labels], shapes: Any) -> dict[Any, int]:
    sizes: dict[Any, int] = {}
    for labels, shape in zip(inputs, shapes):
        for label, size in zip(labels, shape):
            known = sizes.setdefault(label, size)
            if known == 1:
                sizes[label] = size
            elif size not in (1, known):
                name = "..." if isinstance(label, tuple) else label
                raise ShapeError(
                    at_user_line(
                        f"einsum: the label {name!r} of {key!r} stands for the sizes {known} and "
                        f"{size}, with operands of shapes {', '.join(map(str, shapes))}."
                    )
                )
    return sizes


def _plan_alone(
    labels: _Labels, shape: tuple[int, ...], sizes: dict[Any, int], wanted: set[Any]
) -> tuple[_Alone, _Labels]:
    """The steps of one operand, whose labels outside `wanted` are summed, and its labels after."""
    names, extents = list(labels), list(shape)
    diagonals = []
    for label in dict.fromkeys(labels):
        while names.count(label) > 1:
            first = names.index(label)
            second = names.index(label, first + 1)
            if extents[first] != extents[second]:
                raise ShapeError(
                    at_user_line(
                        f"einsum: the label {label!r} stands twice for an operand of shape "
                        f"{shape}, along axes of different sizes."
                    )
                )
            diagonals.append((first, second))
            extents.append(extents[first])
            names.append(label)
            for axis in (second, first):
                del names[axis], extents[axis]
    # Axes of size 1 that meet larger ones in another operand broadcast, and are not needed.
    keep = [i for i, (x, n) in enumerate(zip(names, extents)) if n == sizes.get(x)]
    reshaped = tuple(extents[i] for i in keep) if len(keep) < len(names) else None
    names = [names[i] for i in keep]
    summed = tuple(i for i, label in enumerate(names) if label not in wanted)
    step = _Alone(tuple(diagonals), reshaped, summed)
    remaining = tuple(label for label in names if label in wanted)
    return _untouched if step == _untouched else step, remaining


def _order(
    terms: Sequence[_Labels], output: _Labels, sizes: dict[Any, int], optimize: Any
) -> list[tuple[int, int]]:
    """Pairs of positions to contract, each product going to the end of the list."""
    count = len(terms)
    if count <= 2:
        return [(0, 1)] * (count - 1)
    if optimize is False:
        return [(0, 1)] + [(k, 0) for k in range(count - 2, 0, -1)]
    import opt_einsum  # only here: it takes time to import

    symbols = {label: opt_einsum.get_symbol(i) for i, label in enumerate(sizes)}

    def term(labels: _Labels) -> str:
        return "".join(symbols[label] for label in labels)

    if isinstance(optimize, tuple):
        optimize = [step for step in optimize if not isinstance(step, str)]
    elif optimize is True:
        optimize = "auto"
    path, _ = opt_einsum.contract_path(
        f"{','.join(map(term, terms))}->{term(output)}",
        *[tuple(sizes[label] for label in labels) for labels in terms],
        shapes=True,
        optimize=optimize,
    )
    order, left = [], count
    for step in path:
        # A step may name one operand (nothing to do) or several (pairs, the product coming last).
        positions = sorted(step, reverse=True)
        while len(positions) > 1:
            i, j = positions.pop(), positions.pop()
            order.append((i, j))
            left -= 1
            positions = [p - (p > i) - (p > j) for p in positions]
            if positions:
                positions.append(left - 1)
                positions.sort(reverse=True)
    order.extend([(0, 1)] * (left - 1))
    return order


def _plan_pair(
    i: int, j: int, x: _Labels, y: _Labels, kept: set[Any], target: _Labels | None
) -> tuple[int, int, Any, tuple[int, ...], _Labels]:
    """(i, j, dimension numbers, axes to sum, labels of the product), in the better order of two."""
    batch = [label for label in x if label in y and label in kept]
    contract = [label for label in x if label in y and label not in kept]
    free_x = [label for label in x if label not in y]
    free_y = [label for label in y if label not in x]
    if target is not None:
        batch.sort(key=target.index)
        if tuple(batch + free_y + free_x) == target != tuple(batch + free_x + free_y):
            i, j, x, y, free_x, free_y = j, i, y, x, free_y, free_x
    numbers = (
        (tuple(x.index(a) for a in contract), tuple(y.index(a) for a in contract)),
        (tuple(x.index(a) for a in batch), tuple(y.index(a) for a in batch)),
    )
    product = [*batch, *free_x, *free_y]
    summed = tuple(k for k, label in enumerate(product) if label not in kept)
    return i, j, numbers, summed, tuple(label for label in product if label in kept)
