"""What is measured, in which order, who takes part, and the aim of each row: plain data.

A row is a workload, measured in one of the ways of `GROUPS`. Aims are ratios, the time of the best
peer divided by ours, or a limit in seconds. Depends on nothing.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

EXTRA = "pip install 'rtfunc[bench]'"


@dataclass(frozen=True)
class Contestant:
    """A library that takes part.

    Attributes: name; module: where its workloads are; library: what its users import; requires:
    what must be installed; compiles: whether its first call of a workload compiles.
    """

    name: str
    module: str
    library: str
    requires: tuple[str, ...]
    compiles: bool = False


OURS = "rtfunc"
CONTESTANTS = {
    c.name: c
    for c in (
        Contestant(OURS, "benchmarks.workloads.rtfunc_", "rtfunc", ("rtfunc",), compiles=True),
        Contestant("jax", "benchmarks.workloads.jax_", "jax", ("jax", "optax"), compiles=True),
        Contestant("torch", "benchmarks.workloads.torch_", "torch", ("torch",)),
        Contestant(
            "inductor", "benchmarks.workloads.inductor_", "torch", ("torch",), compiles=True
        ),
        Contestant("autograd", "benchmarks.workloads.autograd_", "autograd.numpy", ("autograd",)),
    )
}
DEFAULT_PEERS = ("jax", "torch", "autograd")
GPU_PEERS = ("jax", "torch")


@dataclass(frozen=True)
class Group:
    """A way to measure.

    Attributes: title; kind: the method of `contest.Contest`; unit: "seconds", "bytes" or "speedup";
    note: what the figures are.
    """

    title: str
    kind: str
    unit: str
    note: str


GROUPS: Mapping[str, Group] = {
    "compiled": Group(
        "Compiled functions",
        "steady",
        "seconds",
        "Time of a call, after the first ones. PyTorch and autograd run eagerly.",
    ),
    "first-call": Group(
        "First call",
        "first_call",
        "seconds",
        "Tracing, compiling and running once, in a fresh process with an empty disk cache.",
    ),
    "cached-call": Group(
        "First call, disk cache filled",
        "cached_call",
        "seconds",
        "rtfunc in a second process, its disk cache filled by the first; "
        "a peer's time is that of its first call.",
    ),
    "eager": Group("Eager", "steady", "seconds", "Time of a call without `jit`."),
    "start": Group(
        "Import and tracing",
        "start",
        "seconds",
        "Import in a fresh process; staging a function, without compiling it.",
    ),
    "data": Group(
        "Data loading",
        "steady",
        "seconds",
        "Time of a batch, shuffled, with two workers; of a training step that is fed by them.",
    ),
    "memory": Group(
        "Peak memory",
        "peak_memory",
        "bytes",
        "Most memory that a fresh process held, import and compilation included.",
    ),
    "threads": Group(
        "Thread scaling",
        "scaling",
        "speedup",
        "Time on one processor divided by time on all that the process may use.",
    ),
}


@dataclass(frozen=True)
class Row:
    """One line of the report.

    Attributes:
      group: a key of `GROUPS`.
      workload: its name in the contestants' modules.
      title: what the work is.
      aim: least ratio of the best peer's time to ours.
      against: the peers of which the aim speaks; all of them when empty.
      limit: most seconds that ours may take.
    """

    group: str
    workload: str
    title: str
    aim: float | None = None
    against: tuple[str, ...] = field(default=())
    limit: float | None = None

    @property
    def name(self) -> str:
        """How the row is asked for: "mlp", or "memory:mlp" where something else is measured."""
        plain = self.group in ("compiled", "eager", "start", "data")
        return self.workload if plain else f"{self.group}:{self.workload}"


JITTED = {
    "elementwise": ("tanh(x)·sigmoid(x) + exp(−x²), 4M float32", 2.0),
    "elementwise-gradient": ("its gradient (of the sum)", 2.0),
    "softmax": ("softmax 4000×1000", 1.2),
    "mlp": ("MLP 784-1024-1024-10, batch 128, Adam step", 1.15),
    "mlp-tiny": ("MLP 4-16-16-2, batch 16, Adam step", 2.0),
    "cnn": ("CNN 3×(conv, relu, max-pool), batch 64, 32×32, gradient", 1.2),
    "lstm": ("LSTM, T 32, batch 64, hidden 128, gradient", 1.3),
    "transformer": ("transformer, 4 layers, D 256, T 128, batch 8, gradient", 1.2),
    "per-example": ("per-example gradients, MLP 784-256-10, batch 128", 2.5),
    "matmul": ("matmul 1024³", 1.0),
    "dispatch": ("dispatch of x + 1", 1.5),
    "dispatch-50": ("dispatch, 50 leaves in and out", 2.5),
}
FIRST_CALL_AIM, CACHED_CALL_AIM = 2.0, 8.0

ROWS: tuple[Row, ...] = (
    *(Row("compiled", name, title, aim) for name, (title, aim) in JITTED.items()),
    *(
        Row("first-call", name, title, FIRST_CALL_AIM, ("jax",))
        for name, (title, _) in JITTED.items()
    ),
    *(
        Row("cached-call", name, title, CACHED_CALL_AIM, ("jax",))
        for name, (title, _) in JITTED.items()
    ),
    Row("eager", "scalar-gradient", "gradient of tanh(x)·sin(x) + x³", 1.0, ("autograd",)),
    Row("eager", "matrix-gradient", "gradient of sum(tanh(x @ x)), 8×8"),
    Row("eager", "add", "x + x, 8×8", 4.0, ("jax",)),
    Row("eager", "tanh", "tanh(x), 8×8"),
    Row("eager", "index", "x[2:5, 1], 8×8", 10.0, ("jax",)),
    Row("eager", "matmul-small", "x @ x, 8×8"),
    Row("eager", "sum", "sum(x), 8×8"),
    Row("start", "import", "import", limit=0.3),
    Row("start", "trace", "tracing 200 equations", limit=0.010),
    Row("data", "loader-arrays", "128 rows of 784 float32 in memory", 1.0, ("torch",)),
    Row("data", "loader-images", "64 PNG files of 32×32, decoded by Pillow", 1.0, ("torch",)),
    Row("data", "loader-step", "MLP 784-256-10, batch 128, SGD step with its batch"),
    *(Row("memory", name, JITTED[name][0]) for name in ("mlp", "cnn", "transformer")),
    *(
        Row("threads", name, JITTED[name][0])
        for name in ("elementwise", "softmax", "mlp", "cnn", "lstm", "transformer", "matmul")
    ),
)


def select(names: Sequence[str]) -> list[Row]:
    """The rows that `names` ask for, all if there are none: names of rows or of groups, with `*`.

    Raises `ValueError` for a name that asks for nothing.

    >>> [row.name for row in select(["mlp*", "memory"])]
    ['mlp', 'mlp-tiny', 'memory:mlp', 'memory:cnn', 'memory:transformer']
    """
    for name in names:
        if not any(_asks_for(name, row) for row in ROWS):
            raise ValueError(
                f"no row or group is called {name!r}. Groups: {', '.join(GROUPS)}. "
                f"Rows: {', '.join(row.name for row in ROWS)}."
            )
    return [row for row in ROWS if not names or any(_asks_for(name, row) for name in names)]


def _asks_for(name: str, row: Row) -> bool:
    return name == row.group or fnmatch.fnmatchcase(row.name, name)
