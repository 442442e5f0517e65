"""`jit`: stage once per signature, compile, call.

A call flattens its arguments, looks up the signature (structure, shapes, dtypes, static values) and runs
the executable made for it and for the device that the arguments lie on. Under another transform the call
becomes one `jit_call` equation, which is differentiated and batched as a Graph. Depends on `stage`,
`core.execution`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import rtfunc.compiler.backends  # noqa: F401  registers them
from rtfunc.compiler.graph_passes import optimize
from rtfunc.core import pytree
from rtfunc.core.array import Array, DonatedBuffer
from rtfunc.core.aval import Aval
from rtfunc.core.device import Device, computing_device, cpu
from rtfunc.core.errors import (
    ArgumentError,
    DeviceError,
    TransformError,
    UnhashableError,
    UnsupportedError,
    at_user_line,
)
from rtfunc.core.execution import (
    LayoutError,
    OutOfMemoryError,
    default_backend,
    executor_of,
    lay_out,
)
from rtfunc.core.graph import Graph
from rtfunc.core.interning import distinct
from rtfunc.core.trace import Tracer, context
from rtfunc.ops.call import jit_call
from rtfunc.transforms.arguments import (
    argument_arrays,
    argument_path,
    as_numbers,
    check_callable,
    function_name,
    given_positions,
    parameters_both_ways,
)
from rtfunc.transforms.stage import Staged, argument_avals, stage_function


class _Entry:
    """What is kept for one signature: the staged function, and its executable once it is needed."""

    __slots__ = ("_executable", "donated", "graph", "staged")

    def __init__(self, staged: Staged, donated: Sequence[int]):
        self.staged = staged
        self.donated = tuple(donated)
        self.graph: Graph = optimize(staged.graph)

        self._executable: dict[tuple[str, Device], Any] = {}

    def device(self, arrays: Sequence[Any]) -> Device:
        """Where a call with these arguments runs."""
        if "cupy" not in sys.modules:
            return cpu
        operands = [*self.staged.captured, *arrays]
        return computing_device("jit", [a._buffer for a in operands if not isinstance(a, Tracer)])

    def executable(self, backend: str, device: Device) -> Any:
        key = backend, device
        if key not in self._executable:
            count = len(self.staged.captured)
            donated = tuple(count + i for i in self.donated)
            self._executable[key] = executor_of(self.graph, backend, donated, device)
        return self._executable[key]

    def run(self, backend: str, arrays: Sequence[Array], donation: _Donation | None) -> list[Any]:
        """The outputs for flat arguments."""
        executable = self.executable(backend, self.device(arrays))
        captured = self.staged.captured
        if donation is None:
            return executable([*captured, *arrays])
        if not hasattr(executable, "overlays"):
            outs = executable([*captured, *arrays])
            kept = {id(out) for out in outs}
            for i, gone in donation.marks:
                if id(arrays[i]) not in kept:
                    arrays[i]._buffer = gone
            return outs
        every = [*captured, *arrays]
        try:
            return donation.run(executable, arrays, [a._buffer for a in every], len(captured))
        except LayoutError:
            lay_out(every)
        return donation.run(executable, arrays, [a._buffer for a in every], len(captured))

    def valid(self) -> bool:
        """False once a tracer that the function closes over has ended."""
        return all(not isinstance(c, Tracer) or c._trace.alive for c in self.staged.captured)


class _Donation:
    """What a call gives away: arguments whose memory its results may take.

    Attributes: marks: for each donated leaf that is an Array of the caller, its number, and what takes the
    place of its buffer.
    """

    __slots__ = ("marks",)

    def __init__(self, call: str, donated: Sequence[int], leaves: Sequence[Any]):
        self.marks = [
            (i, DonatedBuffer(call, leaves[i].aval))
            for i in donated
            if isinstance(leaves[i], Array) and not isinstance(leaves[i], Tracer)
        ]

    def kept_elsewhere(self, leaves: Sequence[Any]) -> tuple[int, int] | None:
        """Numbers of the same leaf, as one that is donated and as one that is not."""
        if len(set(map(id, leaves))) == len(leaves):
            return None
        donated = {id(leaves[i]): i for i, _ in self.marks}
        given = {i for i, _ in self.marks}
        for other, leaf in enumerate(leaves):
            if other not in given and id(leaf) in donated:
                return donated[id(leaf)], other
        return None

    def run(
        self, executable: Any, arrays: Sequence[Any], buffers: list[Any], start: int
    ) -> list[Any]:
        """Run compiled code on `buffers`, which from `start` on are those of `arrays`.

        The donated Arrays lose their buffers first, so that the list holds the only references to them;
        they get them back if the call cannot start.
        """
        for i, gone in self.marks:
            arrays[i]._buffer = gone
        try:
            return executable.run(buffers, donating=True)
        except (LayoutError, OutOfMemoryError):
            for i, _ in self.marks:
                arrays[i]._buffer = buffers[start + i]
            raise


class Jitted:
    """A function that runs compiled. Made by `jit`."""

    def __init__(
        self,
        function: Callable[..., Any],
        static_argnums: tuple[int, ...],
        static_argnames: tuple[str, ...],
        donate_argnums: tuple[int, ...],
        donate_argnames: tuple[str, ...],
        backend: str | None,
    ):
        functools.update_wrapper(self, function)
        self.function = function
        self.static_argnums, self.static_argnames = parameters_both_ways(
            "jit", function, static_argnums, static_argnames
        )
        self.donate_argnums, self.donate_argnames = parameters_both_ways(
            "jit", function, donate_argnums, donate_argnames
        )
        self.backend = backend
        self._static = bool(self.static_argnums or self.static_argnames)
        self._donates = bool(self.donate_argnums or self.donate_argnames)
        self._cache: dict[Any, _Entry] = {}
        self._quick: dict[Any, Any] = {}
        self._last: tuple[Any, Any] = (None, None)
        self._last_tree: Any = None

    def __repr__(self) -> str:
        return f"jit({function_name(self.function)})"

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run on arguments; staged and compiled when their signature is new."""
        if context.trace is None and not (kwargs or self._static):
            quick = self._quick_call(args)
            if quick is not None:
                run, out_tree, operands = quick
                try:
                    return out_tree.unflatten(run(operands))
                except LayoutError:
                    lay_out(self._leaves(args)[0])
                return self(*args)
        leaves, treedef, static = self._flatten(args, kwargs)
        backend = self.backend or default_backend()
        # Compiled code writes its results to memory of their own; the others' may be views.
        arrays = self._arrays(leaves, args, kwargs, own=backend != "native")
        entry = self._entry(treedef, static, [x.aval for x in arrays], args, kwargs)
        if context.trace is not None:
            name = function_name(self.function)
            operands = [*entry.staged.captured, *arrays]
            outs = jit_call(entry.graph, operands, name=name, backend=self.backend)
        else:
            donation = self._donation(entry, leaves, args, kwargs)
            outs = entry.run(backend, arrays, donation)
        return entry.staged.result(outs)

    def _quick_call(self, args: Any) -> tuple[Any, Any, Sequence[Any]] | None:
        """What to run for arguments that are Arrays already and have been seen: one look-up.

        None where anything is out of the ordinary; the way through `_entry` then does the rest.
        """
        leaves: Any = args
        treedef: Any = len(args)
        for x in args:
            if type(x) is not Array:
                leaves, treedef = self._leaves(args)
                break
        try:
            weak = [x._weak for x in leaves]  # only Arrays proper have one
            buffers = [x._buffer for x in leaves]
        except (AttributeError, TypeError):
            if leaves is args or self._last_tree is None:
                return None
            # A leaf of the last structure may be a tree of this one.
            self._last_tree = None
            leaves, treedef = pytree.flatten(args)
            if not all(type(x) is Array for x in leaves):
                return None
            self._last_tree = treedef
            weak, buffers = [x._weak for x in leaves], [x._buffer for x in leaves]
        shapes = [buffer.shape for buffer in buffers]
        device = computing_device("jit", buffers) if "cupy" in sys.modules else cpu
        kinds = [buffer.dtype for buffer in buffers]
        key = (default_backend(), device, treedef, shapes, kinds, weak)
        last, found = self._last
        if key != last:
            found = self._find(args, key)
            if found is None:
                return None
            self._last = key, found
        run, out_tree, captured, donation = found
        if captured:
            buffers = [*captured, *buffers]
        if donation is None:
            return run, out_tree, buffers
        self._check_donation(donation, leaves, args, {})
        start = len(captured)
        return lambda given: donation.run(run, leaves, given, start), out_tree, buffers

    def _leaves(self, args: Any) -> tuple[list[Any], Any]:
        """`pytree.flatten`, much faster for a tree of the structure seen last."""
        treedef = self._last_tree
        if treedef is not None:
            try:
                return treedef.flatten_up_to(args), treedef
            except (ValueError, TypeError, KeyError):
                pass  # another structure
        leaves, self._last_tree = pytree.flatten(args)
        return leaves, self._last_tree

    def _find(self, args: Any, key: tuple[Any, ...]) -> Any:
        """What `_quick_call` runs for a signature, if it is of the ordinary kind."""
        backend, device, treedef, shapes, kinds, weak = key
        hashed = (backend, device, treedef, tuple(shapes), tuple(kinds), tuple(weak))
        found = self._quick.get(hashed)
        if found is not None:
            return found
        if context.axis_sizes or self.backend or backend != "native":
            return None
        leaves, treedef = pytree.flatten((args, {}))
        if not all(type(x) is Array for x in leaves):
            return None
        entry = self._entry(treedef, None, [x.aval for x in leaves], args, {})
        if entry.staged.empty:
            return None
        captured = entry.staged.captured
        if any(isinstance(c, Tracer) for c in captured):
            return None
        device = entry.device(leaves)
        if device == cpu:
            lay_out(captured)
        elif entry.donated:
            return None
        run: Any = entry.executable(backend, device)
        donation = None
        if entry.donated:
            donation = _Donation(repr(self), entry.donated, leaves)
        else:
            run = run.run
        found = run, entry.staged.out_tree, [c._buffer for c in captured], donation
        self._quick[hashed] = found
        return found

    def _flatten(self, args: Any, kwargs: Any) -> tuple[list[Any], Any, Any]:
        if not self._static:
            leaves, treedef = pytree.flatten((args, kwargs))
            return leaves, treedef, None
        leaves, treedef = pytree.flatten(self._dynamic(args, kwargs))
        static = self._static_values(args, kwargs)
        for name, value in static:
            try:
                hash(value)
            except TypeError:
                raise UnhashableError(
                    at_user_line(
                        f"jit: the static argument {name!r} of {function_name(self.function)} "
                        f"is of type {type(value).__name__}, which does not hash. Static arguments "
                        "are compared from call to call: use a hashable value (a tuple rather than "
                        "a list), or make it a traced argument."
                    )
                ) from None
        return leaves, treedef, (len(args), static)

    def _arrays(self, leaves: Any, args: Any, kwargs: Any, own: bool = True) -> list[Array]:
        if not self._static:
            return argument_arrays("jit", leaves, args, kwargs, own=own)
        positions, named = self._dynamic_names(args, kwargs)
        return argument_arrays("jit", leaves, args, named, positions, own=own)

    def _dynamic_names(self, args: Any, kwargs: Any) -> tuple[list[int], dict[str, Any]]:
        """Positions of the traced arguments, and those given by keyword."""
        fixed = {name for name, _ in self._static_values(args, kwargs)}
        return (
            [i for i in range(len(args)) if i not in fixed],
            {k: v for k, v in kwargs.items() if k not in fixed},
        )

    def _static_values(self, args: Any, kwargs: Any) -> tuple[tuple[Any, Any], ...]:
        positions = given_positions(self.static_argnums, len(args))
        names = [n for n in self.static_argnames if n in kwargs]
        return (*((n, args[n]) for n in positions), *((n, kwargs[n]) for n in names))

    def _dynamic(self, args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        positions, named = self._dynamic_names(args, kwargs)
        return tuple(args[i] for i in positions), named

    def _entry(
        self, treedef: Any, static: Any, avals: Sequence[Aval], args: Any, kwargs: Any
    ) -> _Entry:
        axes = tuple(context.axis_sizes.items()) if context.axis_sizes else ()
        types = tuple([(type(v), distinct(v)) for _, v in static[1]]) if static else None
        key = (treedef, static, types, tuple(avals), axes)
        entry = self._cache.get(key)
        if entry is None or not entry.valid():
            function = self._with_static(args, kwargs)
            donated = self._donated_leaves(args, kwargs) if self._donates else ()
            entry = _Entry(stage_function("jit", function, treedef, avals), donated)
            self._cache[key] = entry
        return entry

    def _with_static(self, args: Any, kwargs: Any) -> Callable[..., Any]:
        """The function of the dynamic arguments alone."""
        if not self._static:
            return self.function
        fixed = dict(self._static_values(args, kwargs))
        count = len(args)

        @functools.wraps(self.function)
        def partial(*xs: Any, **kw: Any) -> Any:
            given = iter(xs)
            filled = [fixed[i] if i in fixed else next(given) for i in range(count)]
            named = {k: v for k, v in fixed.items() if isinstance(k, str)}
            return self.function(*filled, **kw, **named)

        return partial

    def _donation(self, entry: _Entry, leaves: Any, args: Any, kwargs: Any) -> _Donation | None:
        if not entry.donated:
            return None
        donation = _Donation(repr(self), entry.donated, leaves)
        self._check_donation(donation, leaves, args, kwargs)
        return donation

    def _check_donation(self, donation: _Donation, leaves: Any, args: Any, kwargs: Any) -> None:
        """Raise `ArgumentError` where an Array is donated, and passed as what is not."""
        twice = donation.kept_elsewhere(leaves)
        if twice is None:
            return
        positions, named = self._dynamic_names(args, kwargs)
        one, other = (argument_path(args, positions, i, named) for i in twice)
        raise ArgumentError(
            at_user_line(
                f"{self!r}: {one}, of type {leaves[twice[0]].aval}, is donated, and the same Array "
                f"is {other}, which is not. Results may be written over a donated Array during the "
                "call: pass a copy of it, or donate neither."
            )
        )

    def _donated_leaves(self, args: Any, kwargs: Any) -> list[int]:
        """Which of the flat traced arguments are donated."""
        positions, named = self._dynamic_names(args, kwargs)
        given = set(given_positions(self.donate_argnums, len(args)))
        marks: list[bool] = []
        for i in positions:
            marks += [i in given] * pytree.structure(args[i]).num_leaves
        for name in sorted(named):
            donated = name in self.donate_argnames
            marks += [donated] * pytree.structure(named[name]).num_leaves
        return [i for i, donated in enumerate(marks) if donated]

    def trace(self, *args: Any, **kwargs: Any) -> Graph:
        """The optimised Graph for arguments (arrays or `ShapeDtypeStruct`s) like these."""
        return self.lower(*args, **kwargs).graph

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """Stage for arguments (arrays or `ShapeDtypeStruct`s) like these, ahead of time."""
        leaves, treedef, static = self._flatten(args, kwargs)
        positions, named = self._dynamic_names(args, kwargs)
        avals = argument_avals("jit", leaves, args, named, positions)
        entry = self._entry(treedef, static, avals, args, kwargs)
        placed = [x for x in leaves if isinstance(x, Array) and not isinstance(x, Tracer)]
        return Lowered(self, entry, treedef, static, avals, entry.device(placed))

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Shapes and dtypes of the result."""
        staged = self.lower(*args, **kwargs)._entry.staged
        avals = staged.result(staged.graph.out_avals)
        return pytree.map(lambda x: x if isinstance(x, Aval) else Aval(x.shape, x.dtype), avals)

    def clear_cache(self) -> None:
        """Forget all signatures."""
        self._cache.clear()
        self._quick.clear()
        self._last = (None, None)


class Lowered:
    """A staged function, ready to be compiled for a device: `jit(f).lower(*args)`."""

    def __init__(
        self,
        jitted: Jitted,
        entry: _Entry,
        treedef: Any,
        static: Any,
        avals: Sequence[Aval],
        device: Device,
    ):
        self._jitted, self._entry, self._device = jitted, entry, device
        self._treedef, self._static, self._avals = treedef, static, tuple(avals)

    @property
    def graph(self) -> Graph:
        """The optimised Graph, with captured values as constants."""
        staged = self._entry.staged
        return Staged(self._entry.graph, staged.captured, staged.out_tree).closed()

    @property
    def out_tree(self) -> pytree.TreeDef:
        """Structure of the result."""
        return self._entry.staged.out_tree

    def as_text(self, stage: str = "graph") -> str:
        """The program as text at a `stage` of compilation.

        "graph" is the optimised Graph, "kernels" its loops as they were fused, "llvm" the code that is
        compiled and "asm" the machine's instructions; for arguments on a GPU, "cuda" is the code. The
        reference backend has a Graph only.
        """
        if stage == "graph":
            return str(self.graph)
        if stage not in ("kernels", "llvm", "asm", "cuda"):
            raise ArgumentError(
                at_user_line(
                    f"as_text shows 'graph', 'kernels', 'llvm', 'asm' or 'cuda', not {stage!r}."
                )
            )
        return self.compile()._native(f"as_text({stage!r})").as_text(stage)

    def compile(self) -> Compiled:
        """The executable."""
        return Compiled(self)


class Compiled:
    """An executable for one signature: `jit(f).lower(*args).compile()`."""

    def __init__(self, lowered: Lowered):
        self._lowered = lowered
        jitted = lowered._jitted
        self._executable = lowered._entry.executable(
            jitted.backend or default_backend(), lowered._device
        )

    def _native(self, asked: str) -> Any:
        if not hasattr(self._executable, "as_text"):
            raise UnsupportedError(
                at_user_line(f"{asked} is of native code, which this backend does not make.")
            )
        return self._executable

    def memory_analysis(self) -> Any:
        """Bytes of arguments, outputs, constants, and of the arena that intermediate results share."""
        return self._native("memory_analysis()").memory_analysis()

    def cost_analysis(self) -> Any:
        """Floating-point operations, and bytes read and written, of one call: an estimate."""
        return self._native("cost_analysis()").cost_analysis()

    def compile_stats(self) -> Any:
        """Seconds by stage of compilation, and whether the code came from the disk cache."""
        return self._native("compile_stats()").stats

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run; raises `TransformError` for arguments of another signature, static ones included."""
        lowered = self._lowered
        jitted = lowered._jitted
        if context.trace is not None:
            raise TransformError(
                at_user_line(
                    f"An executable made by jit(...).lower(...).compile() is machine code, which "
                    f"no transform sees into. Call {jitted!r} itself inside grad, vmap or jit."
                )
            )
        leaves, treedef, static = jitted._flatten(args, kwargs)
        arrays = jitted._arrays(leaves, args, kwargs)
        avals = tuple(x.aval for x in arrays)
        if static != lowered._static:
            raise TransformError(
                at_user_line(
                    f"This executable was compiled for the static arguments "
                    f"{dict(lowered._static[1])}, but was called with {dict(static[1])}."
                )
            )
        same = [(a.shape, a.dtype) for a in avals] == [(a.shape, a.dtype) for a in lowered._avals]
        if treedef != lowered._treedef or not same:
            raise TransformError(
                at_user_line(
                    f"This executable was compiled for arguments {[str(a) for a in lowered._avals]} "
                    f"in {lowered._treedef}, but was called with {[str(a) for a in avals]} in {treedef}."
                )
            )
        device = lowered._entry.device(arrays)
        if device not in (cpu, lowered._device):
            raise DeviceError(
                at_user_line(
                    f"This executable was compiled for {lowered._device}, but was called with arrays "
                    f"on {device}. Move them with rtfunc.device_put(x, {str(lowered._device)!r}), or "
                    "lower the function for arguments that lie there."
                )
            )
        entry = lowered._entry
        donation = jitted._donation(entry, leaves, args, kwargs)
        outs = entry.run(jitted.backend or default_backend(), arrays, donation)
        return entry.staged.result(outs)


def _as_names(names: str | Sequence[str] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names or ())


def jit(
    function: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Sequence[str] | None = None,
    backend: str | None = None,
) -> Any:
    """A function that is traced and compiled once per signature, then runs as one program.

    Arguments:
      function: a pure function of pytrees of arrays.
      static_argnums, static_argnames: arguments that are hashable Python values, not arrays; the
        function is staged again for every new value.
      donate_argnums, donate_argnames: arguments whose buffers may be reused for the results; the donated
        Arrays raise on later use. A result that is made of a donated argument element by element, or when
        nothing reads that argument any more, is written over it, unless a NumPy view or another Array
        shares its memory. A step `params, state = step(params, state, batch)` that donates both needs
        no new memory. What is not written over is free for results of later calls.
      backend: "reference" runs the eager kernels one by one; the default is the fastest there is.

    Usable as a decorator with and without arguments. Values that the function closes over become
    constants. `jit(f).lower(*args)` stages ahead of time, `.compile()` compiles.

    >>> import rtfunc as rf
    >>> @rf.jit
    ... def f(x):
    ...     return x * 2 + 1
    >>> f(3.0)
    Array(7., dtype=float32, weak_type=True)
    """
    options = {
        "static_argnums": as_numbers("jit", static_argnums),
        "static_argnames": _as_names(static_argnames),
        "donate_argnums": as_numbers("jit", donate_argnums),
        "donate_argnames": _as_names(donate_argnames),
        "backend": backend,
    }
    if function is None:
        return lambda f: jit_function(f, options)
    return jit_function(function, options)


def jit_function(function: Callable[..., Any], options: dict[str, Any]) -> Jitted:
    """`jit` with its options spelled out."""
    check_callable("jit", function)
    return Jitted(function, **options)
