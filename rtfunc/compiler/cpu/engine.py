"""LLVM as a just-in-time compiler: IR text in, callable machine code out.

A module goes through four timed stages: parse, passes, codegen (to an object file in memory) and
link (`machine_code`). Code is position independent in the small code model: constants are read relative
to the program counter, and calls that leave the module go through stubs made by the linker. Threads compile
side by side: each works with LLVM objects of its own.

Depends on llvmlite, `llvm`, `machine_code`, `target`.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence

import llvmlite
import llvmlite.binding as llvm

from rtfunc.compiler.cache import DiskCache, content_key, user_cache
from rtfunc.compiler.cpu.llvm import LLVMError, Module
from rtfunc.compiler.cpu.machine_code import (
    CompiledModule,
    InvalidModuleError,
    ObjectCode,
    Timings,
    cached,
)
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
    return CompiledModule([compile_object(ir, optimize=optimize, codegen=codegen)])


def compile_object(
    ir: object, *, optimize: str | Sequence[str] = "lean", codegen: int = 2
) -> ObjectCode:
    """The object file of `compile_module`, which is neither linked nor loaded."""
    text = str(ir)
    pipeline = optimize if isinstance(optimize, str) else tuple(optimize)
    started = time.perf_counter()
    with _parsed(text) as module:
        functions, imports = module.interface()
        parsed = time.perf_counter()
        tools = _tools.pop() if _tools else _Tools()
        tools.run_passes(module, pipeline)
        optimized = time.perf_counter()
        code = module.emit(tools.machine(codegen))
        emitted = time.perf_counter()
        _tools.append(tools)
    timings = Timings(parsed - started, optimized - parsed, emitted - optimized)
    return ObjectCode(code, functions, imports, timings)


def assembly(ir: object) -> str:
    """Assembly text of a module."""
    with _parsed(str(ir)) as module:
        tools = _Tools()
        tools.run_passes(module, "lean")
        return module.emit(tools.machine(2), assembly=True).decode()


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


def _new_machine(codegen: int) -> llvm.TargetMachine:
    target = host()
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=codegen, reloc="pic", codemodel="small"
    )


@functools.cache
def _layout() -> str:
    return str(_new_machine(2).target_data)


def _parsed(text: str) -> Module:
    _initialize()
    try:
        return Module(text, host().triple, _layout())
    except LLVMError as error:
        raise InvalidModuleError(str(error)) from error


def link(objects: Sequence[ObjectCode]) -> tuple[llvm.ExecutionEngine, dict[str, int]]:
    """Link object files with LLVM: what holds the code, and the addresses of their functions."""
    _initialize()
    defined = {name for code in objects for name in code.functions}
    for code in objects:
        for name in code.imports:
            if name not in defined:
                llvm.add_symbol(name, require(name))
    engine = _new_linker()
    for code in objects:
        engine.add_object_file(llvm.ObjectFileRef.from_data(code.data))
    engine.finalize_object()
    return engine, {name: engine.get_function_address(name) for name in sorted(defined)}


def _new_linker() -> llvm.ExecutionEngine:
    # The linker's own target machine generates no code: the cheapest there is will do.
    machine = llvm.Target.from_triple(host().triple).create_target_machine(opt=0)
    # Its module is empty, and in the global context: a context of its own might be disposed of
    # before the engine when both die in one cycle of references.
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


class _Tools:
    """What a thread needs to make code, and no two may use at once: target machines and passes.

    A pass builder and its manager leave about 5 kB behind when they go, and a builder grows a little at
    every run: one of them serves `_RUNS_PER_BUILDER` modules, which makes both negligible.
    """

    def __init__(self) -> None:
        self._machines: dict[int, llvm.TargetMachine] = {}
        self._managers: dict[tuple[str, ...], _Manager] = {}

    def machine(self, codegen: int) -> llvm.TargetMachine:
        """The target machine that generates code at this level."""
        if codegen not in self._machines:
            self._machines[codegen] = _new_machine(codegen)
        return self._machines[codegen]

    def run_passes(self, module: Module, optimize: str | tuple[str, ...]) -> None:
        """Run a pipeline, by name, or listed passes."""
        if optimize == "none":
            return
        if isinstance(optimize, tuple) or optimize == "lean":
            passes = LEAN if optimize == "lean" else tuple(optimize)
            manager = self._managers.pop(passes, None) or _Manager(self.machine(2), passes)
            module.run(manager.passes, manager.builder)
            manager.runs += 1
            if manager.runs < _RUNS_PER_BUILDER:
                self._managers[passes] = manager
            return
        if optimize not in PIPELINES:
            raise ValueError(
                f"optimize must be one of {PIPELINES} or a list of passes: {optimize!r}"
            )
        vectorize = optimize == "vectorize"
        options = llvm.create_pipeline_tuning_options(2 if vectorize else int(optimize[1]))
        options.loop_vectorization = vectorize
        options.loop_interleaving = vectorize
        options.slp_vectorization = vectorize
        builder = llvm.create_pass_builder(self.machine(2), options)
        module.run(builder.getModulePassManager(), builder)


_RUNS_PER_BUILDER = 64
#: Tools that no thread has in use.
_tools: list[_Tools] = []


class _Manager:
    """A pass manager with its builder."""

    def __init__(self, machine: llvm.TargetMachine, passes: tuple[str, ...]):
        options = llvm.create_pipeline_tuning_options(2)
        self.builder = llvm.create_pass_builder(machine, options)
        self.passes = llvm.create_new_module_pass_manager()
        self.runs = 0
        for name in passes:
            add = getattr(self.passes, f"add_{name}_pass", None)
            if add is None:
                raise ValueError(f"llvmlite has no pass {name!r}")
            add()
