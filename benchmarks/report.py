"""What a contest showed: as lines on the terminal, as a page in Markdown, as a bar chart.

Depends on `catalogue` and `contest`.
"""

from __future__ import annotations

import datetime
import importlib
import importlib.metadata
import platform
from collections.abc import Sequence
from pathlib import Path

from benchmarks.catalogue import CONTESTANTS, EXTRA, GROUPS, OURS
from benchmarks.contest import Cell, Result, available_cpus

FAILED, NOTHING = "failed", "–"
PACKAGES = ("rtfunc", "numpy", "llvmlite", "jax", "jaxlib", "optax", "torch", "autograd")


def number(value: float, unit: str) -> str:
    """A figure with three digits and its unit.

    >>> number(0.00778, "seconds"), number(3e8, "bytes"), number(1.5, "speedup")
    ('7.78 ms', '286 MiB', '1.50 ×')
    """
    if unit == "speedup":
        return f"{value:.2f} ×"
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    units = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
    size, name = next((pair for pair in units if value >= 0.9995 * pair[0]), units[-1])
    scaled = value / size
    digits = max(0, 2 - (scaled >= 9.995) - (scaled >= 99.95))
    return f"{scaled:.{digits}f} {name}"


def cells_of(result: Result, contestants: Sequence[str]) -> list[str]:
    """Title, each contestant's figure, the ratio, the aim: one line of a table."""
    row = result.row
    unit = GROUPS[row.group].unit
    ratio = result.ratio()
    return [
        row.title,
        *(_figure(result.cells.get(name), unit) for name in contestants),
        NOTHING if ratio is None else f"{ratio:.2f}",
        _aim(result),
    ]


def _figure(cell: Cell | None, unit: str) -> str:
    if cell is None:
        return NOTHING
    return FAILED if cell.median is None else number(cell.median, unit)


def _aim(result: Result) -> str:
    """What was aimed at, and whether it is reached."""
    row = result.row
    if row.limit is not None:
        text = f"≤ {number(row.limit, 'seconds')}"
    elif row.aim is not None:
        text = f"≥ {row.aim:g}"
        if row.against:
            reached = result.ratio(row.against)
            text += f" of {', '.join(row.against)}"
            # Said where it is not the ratio beside it already.
            text += "" if reached in (None, result.ratio()) else f" ({reached:.2f})"
    else:
        return ""
    return text + {True: " ✓", False: " ✗", None: ""}[result.holds]


def heading(contestants: Sequence[str]) -> list[str]:
    """The names of the columns."""
    return ["", *contestants, "ratio", "aim"]


class Terminal:
    """Prints results as they come, in columns, with a title where a group begins."""

    def __init__(self, contestants: Sequence[str], titles: Sequence[str]):
        self._contestants = list(contestants)
        width = max(map(len, titles), default=0)
        self._widths = [width, *(max(9, len(c)) for c in contestants), 6, 0]
        self._group: str | None = None

    def show(self, result: Result) -> None:
        """Print a row."""
        if result.row.group != self._group:
            self._group = result.row.group
            group = GROUPS[self._group]
            print(f"\n{group.title}: {group.note}")
            print(self._line(heading(self._contestants)))
        print(self._line(cells_of(result, self._contestants)), flush=True)

    def _line(self, cells: Sequence[str]) -> str:
        title, *figures, aim = cells
        columns = [title.ljust(self._widths[0])]
        columns += [cell.rjust(width) for cell, width in zip(figures, self._widths[1:])]
        return "  ".join([*columns, aim]).rstrip()


def failures(results: Sequence[Result]) -> list[tuple[str, str, str]]:
    """What failed: where, the error, and the traceback or the process's last words.

    What failed in several rows with the same error is one failure, with the first traceback.
    """
    found: dict[tuple[str, str], tuple[list[str], str]] = {}
    for result in results:
        for name, cell in result.cells.items():
            if cell.failure is not None:
                key = name, str(cell.failure)
                found.setdefault(key, ([], cell.failure.detail))[0].append(result.row.name)
    return [
        (f"{name} in {', '.join(rows)}", error, detail)
        for (name, error), (rows, detail) in found.items()
    ]


def cpu_model() -> str:
    """The processor's name."""
    try:
        text = Path("/proc/cpuinfo").read_text()
        return next(s.split(":")[1].strip() for s in text.splitlines() if "model name" in s)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def gpu_model() -> str:
    """The GPU's name, and the version of CuPy that rtfunc uses it by."""
    cupy = importlib.import_module("cupy")
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    return f"{name}, CuPy {cupy.__version__}"


def versions(contestants: Sequence[str]) -> str:
    """Versions of Python and of what takes part."""
    libraries = {name for c in contestants for name in CONTESTANTS[c].requires}
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        if name in ("numpy", "llvmlite") or name.removesuffix("lib") in libraries:
            try:
                found.append(f"{name} {importlib.metadata.version(name)}")
            except importlib.metadata.PackageNotFoundError:
                module = importlib.import_module(name)  # ours, run from a source tree
                found.append(f"{name} {module.__version__}")
    return ", ".join(found)


def markdown(
    results: Sequence[Result],
    contestants: Sequence[str],
    notes: Sequence[str],
    *,
    rounds: int,
    machine: str,
    plot: str | None = None,
    device: str = "cpu",
) -> str:
    """A page with the tables, and on which machine and with which versions they came about.

    Args:
        results: the rows.
        contestants: names of the columns.
        notes: who was left out and why.
        rounds: measurements per figure.
        machine: a name for the machine.
        plot: address of the bar chart.
        device: where was computed, "cpu" or "gpu".
    """
    today = datetime.date.today().isoformat()
    on_gpu = device == "gpu"
    lines = [
        "# Benchmarks on a GPU" if on_gpu else "# Benchmarks",
        "",
        f"Written by `python -m benchmarks {'--device gpu ' * on_gpu}--markdown` on {today}: {machine}, "
        f"{gpu_model() + ', ' if on_gpu else ''}{cpu_model()}, "
        f"{available_cpus()} processors used. {versions(contestants)}.",
        "",
        f"Figures are medians of {rounds} rounds, in which the contestants take turns. The ratio "
        "is the best peer's figure divided by rtfunc's: above 1 rtfunc is better.",
    ]
    if on_gpu:
        lines += [
            "",
            "Arrays lie on the GPU. All compute in float32: neither PyTorch nor JAX uses TF32 here. "
            "Calls are made one after the other, and the last is waited for (each of those that take "
            "more than 1 ms).",
        ]
    if plot:
        lines += ["", f"![The best peer's time divided by rtfunc's, by workload]({plot})"]
    for name, group in GROUPS.items():
        of_group = [result for result in results if result.row.group == name]
        if not of_group:
            continue
        names = [c for c in contestants if any(c in result.cells for result in of_group)]
        lines += ["", f"## {group.title}", "", group.note, ""]
        lines += [_markdown_line(heading(names))]
        lines += ["|---|" + "--:|" * (len(names) + 1) + "---|"]
        lines += [_markdown_line(cells_of(result, names)) for result in of_group]
    lost = [f"{where}: {error.splitlines()[0]}" for where, error, _ in failures(results)]
    if notes or lost:
        lines += ["", "## Not measured", "", *(f"- {note}" for note in [*notes, *lost])]
    return "\n".join(lines) + "\n"


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def draw(results: Sequence[Result], path: Path) -> None:
    """Save a chart of the ratios of all rows that have one, with their aims.

    Raises `ImportError`, with the extra to install, where matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure  # heavy, and needed for this alone
    except ImportError as error:
        raise ImportError(f"a chart needs matplotlib: {EXTRA}") from error

    drawn = []
    for result in results:
        ratio = result.ratio(result.row.against)
        if ratio is not None:
            drawn.append((result, ratio))
    heights, ticks, y = [], [], 0.0
    figure = Figure(
        figsize=(9, 0.9 + 0.3 * (len(drawn) + 1.4 * len({r.row.group for r, _ in drawn})))
    )
    axes = figure.add_subplot()
    group = None
    for result, ratio in drawn:
        if result.row.group != group:
            group = result.row.group
            y += 0.4 if heights else 0.0
            ticks.append((y, GROUPS[group].title.upper(), True))
            y += 1
        reached = result.holds
        color = {True: "#2a7f62", False: "#c8553d", None: "#7a8a99"}[reached]
        # Bars start at 1, where both are as fast.
        axes.barh(y, ratio - 1, left=1, height=0.7, color=color)
        beside = ratio * 1.05 if ratio >= 1 else ratio / 1.05
        axes.text(
            beside, y, f"{ratio:.2f}" if ratio < 9.95 else f"{ratio:.0f}",
            va="center", ha="left" if ratio >= 1 else "right", fontsize=8, zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip
        if result.row.aim is not None:
            axes.plot([result.row.aim] * 2, [y - 0.42, y + 0.42], color="black", linewidth=1.5)
        ticks.append((y, result.row.title, False))
        heights.append(y)
        y += 1
    axes.set_xscale("log")
    axes.axvline(1, color="#444444", linewidth=0.8)
    axes.set_yticks([t for t, _, _ in ticks], [title for _, title, _ in ticks], fontsize=8)
    for label, (_, _, is_group) in zip(axes.get_yticklabels(), ticks):
        label.set_fontweight("bold" if is_group else "normal")
    axes.set_ylim(y, -1)
    axes.margins(x=0.12)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(
        f"best peer's time ÷ {OURS}'s; above 1 {OURS} is faster; the black mark is the aim",
        fontsize=8,
    )
    figure.savefig(path, dpi=150, bbox_inches="tight")
