"""`python -m benchmarks [names ...]`: this project and its peers on the same work.

Names are of rows or groups, as `--list` prints them. Depends on the other modules of the package.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.catalogue import (
    CONTESTANTS,
    DEFAULT_PEERS,
    GPU_PEERS,
    GROUPS,
    OURS,
    ROWS,
    select,
)
from benchmarks.contest import Contest, Result, missing


def _parser() -> argparse.ArgumentParser:
    peers = [name for name in CONTESTANTS if name != OURS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help="rows or groups, with * for any letters; all")
    parser.add_argument(
        "--peers",
        help=f"of {', '.join(peers)} (inductor is torch.compile, slow to start); "
        f"{','.join(DEFAULT_PEERS)}, on a GPU without autograd",
    )
    parser.add_argument(
        "--device",
        choices=("cpu", "gpu"),
        default="cpu",
        help="where arrays lie; on a GPU the rows of the group `compiled` only; %(default)s",
    )
    parser.add_argument("--rounds", type=int, default=5, help="per figure; %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=0.3, help="of a timed measurement; %(default)s"
    )
    parser.add_argument("--timeout", type=float, default=300, help="seconds; %(default)s")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables to FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the ratios into FILE")
    parser.add_argument(
        "--machine",
        default=f"{platform.system()} {platform.machine()}",
        help="its name in the Markdown page; %(default)s",
    )
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns 1 if one of our own workloads failed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.list:
        for group in GROUPS:
            print(f"{group}: {' '.join(row.name for row in ROWS if row.group == group)}")
        return 0
    on_gpu = options.device == "gpu"
    chosen = options.peers or ",".join(GPU_PEERS if on_gpu else DEFAULT_PEERS)
    peers = [name for name in chosen.split(",") if name and name != OURS]
    unknown = [name for name in peers if name not in CONTESTANTS]
    if unknown or options.rounds < 1:
        parser.error(f"no such peer: {', '.join(unknown)}" if unknown else "--rounds is at least 1")
    try:
        rows = select(options.names or (["compiled"] if on_gpu else []))
    except ValueError as error:
        parser.error(str(error))

    if on_gpu:
        outside = [row.name for row in rows if row.group != "compiled"]
        if outside:
            parser.error(f"not measured on a GPU: {', '.join(outside)}")
        rows = [dataclasses.replace(row, aim=None) for row in rows]  # they are of the processor
    reasons = {name: missing(CONTESTANTS[name]) for name in (OURS, *peers)}
    names = [name for name, reason in reasons.items() if reason is None]
    notes = [reason for reason in reasons.values() if reason is not None]
    for note in notes:
        print(note)
    terminal = report.Terminal(names, [row.title for row in rows])
    results: list[Result] = []
    with Contest(
        [CONTESTANTS[name] for name in names],
        rounds=options.rounds,
        seconds=options.seconds,
        timeout=options.timeout,
        device=options.device,
    ) as contest:
        for result in contest.run(rows):
            results.append(result)
            terminal.show(result)
    for where, error, detail in report.failures(results):
        print(f"\nFailed: {where}: {error}\n{detail}".rstrip())
    if options.plot:
        options.plot.parent.mkdir(parents=True, exist_ok=True)
        report.draw(results, options.plot)
    if options.markdown:
        options.markdown.parent.mkdir(parents=True, exist_ok=True)
        plot = options.plot and os.path.relpath(options.plot, options.markdown.parent)
        options.markdown.write_text(
            report.markdown(
                results,
                names,
                notes,
                rounds=options.rounds,
                machine=options.machine,
                device=options.device,
                plot=plot and Path(plot).as_posix(),
            )
        )
    ours_failed = any(r.cells[OURS].failure for r in results if OURS in r.cells)
    return 1 if ours_failed else 0


if __name__ == "__main__":
    sys.exit(main())
