"""LLVM as a just-in-time compiler: IR text in, callable machine code out.

A module goes through four timed stages: parse, passes, codegen (to an object file in memory) and
link. The object file is kept, so that `CompiledModule.serialize` and `load_module` give a compiled
program back on another day with the link stage alone. Each module has a linker engine of its own:
its code memory goes when the Python object does. Code is position independent in the small code
model: constants are read relative to the program counter, and calls that leave the module go
through stubs made by the linker.

Depends on llvmlite and `rtfunc.compiler.cache`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from ctypes import CFUNCTYPE
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from rtfunc.compiler.cache import DiskCache, content_key, default_folder

LEAN: tuple[str, ...] = ("sroa", "instruction_combine", "simplify_cfg")
"""The passes for IR that comes vectorised and in order from our own printer.

Measured on elementwise chains, softmax rows and GEMM micro-kernels: the code runs as fast as that
of LLVM's O2 and O3, for 0.3-0.9 ms of passes against 2-5 ms. Code generation removes repeated
address arithmetic and lifts invariant loads out of loops by itself. llvmlite exposes no single pass
for either (`early-cse`, `licm`); where IR needs them, use `"O2"`.
"""

PIPELINES: tuple[str, ...] = ("none", "lean", "O1", "O2", "O3", "vectorize")
"""Names that `compile_module` takes for `optimize`; `"vectorize"` is O2 with the loop vectoriser,
interleaving and SLP.

llvmlite does not free the pass managers of the four built-in ones wholly: each such compilation
leaves some 50 kB behind. `"none"`, `"lean"` and lists of passes leave nothing.
"""

_MAGIC = b"RTFO\x01\n"

_RUNS_PER_BUILDER = 64
_managers: dict[tuple[str, ...], tuple[llvm.PassBuilder, llvm.ModulePassManager, int]] = {}
_managers_lock = threading.Lock()
_resolvers: list[Callable[[str], int | None]] = []


class UnresolvedSymbolError(RuntimeError):
    """A module needs a symbol that is defined neither in it nor elsewhere."""


class InvalidModuleError(ValueError):
    """IR that LLVM refuses, or bytes that are not a serialized module for this machine."""


@dataclass(frozen=True)
class Target:
    """What code is generated for.

    Attributes:
        triple: LLVM's name of the platform, `x86_64-unknown-linux-gnu`.
        cpu: LLVM's name of the processor, which selects instruction timings. On virtual machines it
            may name a relative of the true one; `features` is what decides which instructions may
            be used.
        features: LLVM feature string, `+avx2,+fma,...`, as read from the processor.
        vector_bytes: width in bytes of the vectors that generated code should use: 64 with AVX-512
            (F, VL, DQ and BW), 32 with AVX, else 16 (SSE2, NEON; SVE is used at 16).
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int

    @property
    def fingerprint(self) -> str:
        """Hex digest of what decides which object code comes out: target, LLVM and llvmlite."""
        parts = (self.triple, self.cpu, self.features, llvmlite.__version__, llvm.llvm_version_info)
        return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Timings:
    """Seconds spent in each stage of making a module; stages that did not run are 0."""

    parse: float = 0.0
    passes: float = 0.0
    codegen: float = 0.0
    link: float = 0.0

    @property
    def total(self) -> float:
        """Sum of the stages, seconds."""
        return self.parse + self.passes + self.codegen + self.link


class CompiledModule:
    """Machine code in memory, callable by address.

    The code is freed when this object is: whoever keeps an address keeps the module too. Made by
    `compile_module` and `load_module`.

    Attributes:
        object_code: the object file, as bytes.
        functions: names of the functions that the module defines and exports.
        timings: seconds by stage.
    """

    def __init__(
        self,
        object_code: bytes,
        functions: tuple[str, ...],
        imports: tuple[str, ...],
        timings: Timings,
        source: tuple[str, str | tuple[str, ...]] | None = None,
    ) -> None:
        missing = [name for name in imports if _resolve(name) is None]
        if missing:
            raise UnresolvedSymbolError(f"undefined symbols in compiled code: {', '.join(missing)}")
        started = time.perf_counter()
        engine = _new_linker()
        engine.add_object_file(llvm.ObjectFileRef.from_data(object_code))
        engine.finalize_object()
        self._addresses = {name: engine.get_function_address(name) for name in functions}
        self._engine = engine
        self._imports = imports
        self._source = source
        self.object_code = object_code
        self.functions = functions
        link = time.perf_counter() - started
        self.timings = Timings(timings.parse, timings.passes, timings.codegen, link)

    def address(self, name: str) -> int:
        """Address of the function `name`; raises `KeyError` where it is not exported."""
        return self._addresses[name]

    def function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        """The function `name` as a ctypes callable, which releases the GIL during calls and keeps
        the module alive.

        Args:
            name: an exported function.
            result: ctypes type of the result, or None for `void`.
            arguments: ctypes types of the arguments.
        """
        callable_ = CFUNCTYPE(result, *arguments)(self.address(name))
        callable_.module = self  # type: ignore[attr-defined]
        return callable_

    def as_asm(self) -> str:
        """Assembly text of the module, made anew from its IR.

        Raises:
            ValueError: the module came from `load_module`, which has no IR.
        """
        if self._source is None:
            raise ValueError("a module loaded from object code has no IR to print as assembly")
        ir, optimize = self._source
        context = llvm.create_context()
        module = _parse(ir, context)
        _run_passes(module, optimize)
        return _target_machine().emit_assembly(module)

    def serialize(self) -> bytes:
        """The module as bytes for `load_module`, good for one `Target.fingerprint`."""
        header = json.dumps(
            {
                "fingerprint": host().fingerprint,
                "functions": self.functions,
                "imports": self._imports,
            }
        ).encode()
        return b"".join((_MAGIC, len(header).to_bytes(4, "little"), header, self.object_code))

    def make_permanent(self) -> None:
        """Keep the code in memory until the process ends, whatever becomes of this object.

        For code that native threads may be running while the interpreter shuts down.
        """
        self._engine.detach()


@functools.cache
def host() -> Target:
    """The target of this process: the machine it runs on."""
    _initialize()
    features = llvm.get_host_cpu_features()
    triple = llvm.get_process_triple()
    if all(features.get(name) for name in ("avx512f", "avx512vl", "avx512dq", "avx512bw")):
        width, flags = 64, features.flatten() + ",-prefer-256-bit"
    else:
        width, flags = (32 if features.get("avx") else 16), features.flatten()
    return Target(triple, llvm.get_host_cpu_name(), flags, width)


def vector_bytes() -> int:
    """Width in bytes of the vectors to use on this machine; see `Target.vector_bytes`."""
    return host().vector_bytes


def compile_module(ir: object, *, optimize: str | Sequence[str] = "lean") -> CompiledModule:
    """Compile LLVM IR for this machine and load it.

    Args:
        ir: IR text, or anything whose `str` is IR text, such as `llvmlite.ir.Module`.
        optimize: a name of `PIPELINES`, or the names of function passes as llvmlite's pass managers
            spell them (`"sroa"` for `add_sroa_pass`), run in order.

    Returns:
        The loaded module. Calling thread and other threads may call its functions at once.

    Raises:
        InvalidModuleError: LLVM does not accept the IR; the message has its reason and place.
        UnresolvedSymbolError: the IR declares a function that is nowhere defined.
        ValueError: `optimize` is neither a known name nor a list of known passes.
    """
    text = str(ir)
    pipeline = optimize if isinstance(optimize, str) else tuple(optimize)
    # A context a module: LLVM frees constants, types and metadata with their context alone.
    context = llvm.create_context()
    started = time.perf_counter()
    module = _parse(text, context)
    functions, imports = _interface(module)
    parsed = time.perf_counter()
    _run_passes(module, pipeline)
    optimized = time.perf_counter()
    object_code = _target_machine().emit_object(module)
    emitted = time.perf_counter()
    timings = Timings(parsed - started, optimized - parsed, emitted - optimized)
    return CompiledModule(object_code, functions, imports, timings, (text, pipeline))


@functools.cache
def _cache_in(folder: Path) -> DiskCache:
    """One object for each folder: it counts the writes after which the folder is measured."""
    return DiskCache(folder)


def load_module(data: bytes) -> CompiledModule:
    """Load what `CompiledModule.serialize` wrote, without compiling.

    Raises:
        InvalidModuleError: the bytes are damaged, or were made for another processor or LLVM.
        UnresolvedSymbolError: a symbol that the module needs is not defined in this process.
    """
    start = len(_MAGIC) + 4
    if data[: len(_MAGIC)] != _MAGIC:
        raise InvalidModuleError("not a serialized module of this version")
    size = int.from_bytes(data[len(_MAGIC) : start], "little")
    try:
        header = json.loads(data[start : start + size])
        functions, imports = tuple(header["functions"]), tuple(header["imports"])
        fingerprint = header["fingerprint"]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidModuleError(f"damaged header of a serialized module: {error}") from error
    if fingerprint != host().fingerprint:
        raise InvalidModuleError("the module was compiled for another processor or LLVM version")
    return CompiledModule(data[start + size :], functions, imports, Timings())


def compile_cached(
    ir: object, *, optimize: str | Sequence[str] = "lean", cache: DiskCache | None = None
) -> CompiledModule:
    """`compile_module`, or its result of another day from the disk cache.

    Args:
        ir: as for `compile_module`.
        optimize: as for `compile_module`.
        cache: the user's cache when None.
    """
    cache = cache if cache is not None else _cache_in(default_folder())
    text = str(ir)
    pipeline = LEAN if optimize == "lean" else optimize
    key = content_key("module", text, repr(pipeline), host().fingerprint)
    stored = cache.get(key)
    if stored is not None:
        try:
            return load_module(stored)
        except InvalidModuleError:
            cache.remove(key)
    module = compile_module(text, optimize=optimize)
    cache.put(key, module.serialize())
    return module


def define_symbol(name: str, address: int) -> None:
    """Make `name` resolve to `address` in every module linked from now on.

    A definition inside a module wins over this, and this over symbols of the process. What stands
    at the address must outlive the modules that use it.
    """
    _initialize()
    llvm.add_symbol(name, address)


def symbol_address(name: str) -> int | None:
    """Address of a symbol that generated code can refer to, or None where it is not defined."""
    _initialize()
    return llvm.address_of_symbol(name)


def add_resolver(resolve: Callable[[str], int | None]) -> None:
    """Ask `resolve` for the address of each name that a module needs and that is not defined yet.

    A runtime library adds one when it is imported, and need not be loaded before code asks for it.

    Args:
        resolve: from a symbol to its address, or None where the name is not its business.
    """
    _resolvers.append(resolve)


def _resolve(name: str) -> int | None:
    address = symbol_address(name)
    for resolve in _resolvers if address is None else ():
        address = resolve(name)
        if address is not None:
            define_symbol(name, address)
            break
    return address


@functools.cache
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # Making an engine is what has LLVM look for symbols in the process itself.
    triple = llvm.get_process_triple()
    machine = llvm.Target.from_triple(triple).create_target_machine(opt=0)
    llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine).close()


@functools.cache
def _target_machine() -> llvm.TargetMachine:
    target = host()
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, reloc="pic", codemodel="small"
    )


def _new_linker() -> llvm.ExecutionEngine:
    # The linker's own target machine generates no code: the cheapest there is will do.
    machine = llvm.Target.from_triple(host().triple).create_target_machine(opt=0)
    # Its module is empty, and in the global context: a context of its own might be disposed of
    # before the engine when both die in one cycle of references.
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


def _parse(text: str, context: llvm.ContextRef) -> llvm.ModuleRef:
    _initialize()
    try:
        module = llvm.parse_assembly(text, context)
        module.verify()
    except RuntimeError as error:
        raise InvalidModuleError(str(error).strip()) from error
    module.triple = host().triple
    module.data_layout = str(_target_machine().target_data)
    return module


def _interface(module: llvm.ModuleRef) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the exported functions, and of what must come from outside."""
    functions, imports = [], []
    for function in module.functions:
        name = function.name
        if function.is_declaration:
            if not name.startswith("llvm."):
                imports.append(name)
        elif function.linkage == llvm.Linkage.external:
            functions.append(name)
    imports += [variable.name for variable in module.global_variables if variable.is_declaration]
    return tuple(functions), tuple(imports)


def _run_passes(module: llvm.ModuleRef, optimize: str | tuple[str, ...]) -> None:
    if optimize == "none":
        return
    if isinstance(optimize, tuple) or optimize == "lean":
        _run_listed_passes(module, LEAN if optimize == "lean" else optimize)
        return
    if optimize not in PIPELINES:
        raise ValueError(f"optimize must be one of {PIPELINES} or a list of passes: {optimize!r}")
    vectorize = optimize == "vectorize"
    options = llvm.create_pipeline_tuning_options(2 if vectorize else int(optimize[1]))
    options.loop_vectorization = vectorize
    options.loop_interleaving = vectorize
    options.slp_vectorization = vectorize
    builder = llvm.create_pass_builder(_target_machine(), options)
    builder.getModulePassManager().run(module, builder)


def _run_listed_passes(module: llvm.ModuleRef, passes: tuple[str, ...]) -> None:
    """Run function passes by name, through a pass manager that is kept for the next module.

    A pass builder and its manager leave about 5 kB behind when they go, and a builder grows a
    little at every run: one of them serves `_RUNS_PER_BUILDER` modules, which makes both
    negligible.
    """
    with _managers_lock:
        builder, manager, runs = _managers.pop(passes, None) or (*_new_manager(passes), 0)
        manager.run(module, builder)
        if runs + 1 < _RUNS_PER_BUILDER:
            _managers[passes] = (builder, manager, runs + 1)


def _new_manager(passes: tuple[str, ...]) -> tuple[llvm.PassBuilder, llvm.ModulePassManager]:
    builder = llvm.create_pass_builder(_target_machine(), llvm.create_pipeline_tuning_options(2))
    manager = llvm.create_new_module_pass_manager()
    for name in passes:
        add = getattr(manager, f"add_{name}_pass", None)
        if add is None:
            raise ValueError(f"llvmlite has no pass {name!r}")
        add()
    return builder, manager
