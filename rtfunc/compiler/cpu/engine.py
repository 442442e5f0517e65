"""LLVM as a just-in-time compiler: IR text in, callable machine code out.

A module goes through four timed stages: parse, passes, codegen (to an object file in memory) and
link (`machine_code`). Code is position independent in the small code model: constants are read relative
to the program counter, and calls that leave the module go through stubs made by the linker.

Depends on llvmlite, `machine_code`, `target`.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Sequence

import llvmlite
import llvmlite.binding as llvm

from rtfunc.compiler.cache import DiskCache, content_key, user_cache
from rtfunc.compiler.cpu.machine_code import CompiledModule, InvalidModuleError, Timings, cached
from rtfunc.compiler.cpu.symbols import require
from rtfunc.compiler.cpu.target import Target, host

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

_RUNS_PER_BUILDER = 64
_managers: dict[tuple[str, ...], tuple[llvm.PassBuilder, llvm.ModulePassManager, int]] = {}
_managers_lock = threading.Lock()


def describe_host() -> Target:
    """The machine that this process runs on."""
    _initialize()
    features = llvm.get_host_cpu_features()
    triple = llvm.get_process_triple()
    if all(features.get(name) for name in ("avx512f", "avx512vl", "avx512dq", "avx512bw")):
        width, flags = 64, features.flatten() + ",-prefer-256-bit"
    else:
        width, flags = (32 if features.get("avx") else 16), features.flatten()
    compiler = repr((llvmlite.__version__, llvm.llvm_version_info))
    return Target(triple, llvm.get_host_cpu_name(), flags, width, compiler)


def compile_module(
    ir: object, *, optimize: str | Sequence[str] = "lean", codegen: int = 2
) -> CompiledModule:
    """Compile LLVM IR for this machine and load it.

    Args:
        ir: IR text, or anything whose `str` is IR text, such as `llvmlite.ir.Module`.
        optimize: a name of `PIPELINES`, or the names of function passes as llvmlite's pass managers
            spell them (`"sroa"` for `add_sroa_pass`), run in order.
        codegen: LLVM's level of code generation. 0 takes a fifth of the time of the others, for code that
            is not in loops.

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
    object_code = _target_machine(codegen).emit_object(module)
    emitted = time.perf_counter()
    timings = Timings(parsed - started, optimized - parsed, emitted - optimized)
    return CompiledModule(object_code, functions, imports, timings)


def assembly(ir: object) -> str:
    """Assembly text of a module."""
    module = _parse(str(ir), llvm.create_context())
    _run_passes(module, "lean")
    return _target_machine().emit_assembly(module)


def compile_cached(
    ir: object, *, optimize: str | Sequence[str] = "lean", cache: DiskCache | None = None
) -> CompiledModule:
    """`compile_module`, or its result of another day from the disk cache.

    Args:
        ir: as for `compile_module`.
        optimize: as for `compile_module`.
        cache: the user's cache when None.
    """
    cache = cache if cache is not None else user_cache()
    text = str(ir)
    pipeline = LEAN if optimize == "lean" else optimize
    key = content_key("module", text, repr(pipeline), host().fingerprint)
    return cached(key, cache, lambda: compile_module(text, optimize=optimize))


@functools.cache
def _initialize() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


@functools.cache
def _target_machine(codegen: int = 2) -> llvm.TargetMachine:
    target = host()
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=codegen, reloc="pic", codemodel="small"
    )


def link(
    object_code: bytes, functions: Sequence[str], imports: Sequence[str]
) -> tuple[llvm.ExecutionEngine, dict[str, int]]:
    """Link an object file with LLVM: what holds the code, and the addresses of its functions."""
    _initialize()
    for name in imports:
        llvm.add_symbol(name, require(name))
    engine = _new_linker()
    engine.add_object_file(llvm.ObjectFileRef.from_data(object_code))
    engine.finalize_object()
    return engine, {name: engine.get_function_address(name) for name in functions}


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
