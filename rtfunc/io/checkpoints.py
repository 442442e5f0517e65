"""Checkpoints of a training: written in the background, verified when read, rotated.

A checkpoint is one safetensors file, `step-00000200.safetensors`, and so there or not there: it is
written under a temporary name, flushed to the disk, and renamed. It bears a checksum over all its
bytes. Since Arrays do not change, a snapshot is a list of references, and the training goes on while
a thread writes it. Depends on `trees` and `safetensors`.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import threading
import warnings
import weakref
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from rtfunc.core.errors import ArgumentError, DtypeError, at_user_line
from rtfunc.io import safetensors, trees
from rtfunc.io.files import FileFormatError, PathLike, remove_stale

_NAME = re.compile(r"step-(\d{8,})\.safetensors")
_METRIC = "rtfunc.metric"


class Position(Protocol):
    """What has a place to go on from, as a `DataLoader` has."""

    def state(self) -> dict[str, Any]:
        """Where it stands."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        ...


class Checkpoint(NamedTuple):
    """What `Checkpointer.restore` returns.

    `step` and `tree` are what was saved, `metadata` the dict and `metric` the number that were given
    with it (or {} and None), `loader` the saved position of the loader (or None), `path` the file.
    """

    step: int
    tree: Any
    metadata: dict[str, Any]
    metric: float | None
    loader: dict[str, Any] | None
    path: Path


class Checkpointer:
    """Saves and restores the state of a training in a folder.

    A checkpoint holds a pytree (parameters, optimizer state, keys: whatever the training carries),
    the step, the position of a data loader, a metric, and a dict of the user's own. Restored into
    the same program, the training goes on bit for bit as if it had not stopped.

    However a process ends, and also when the disk is full, every checkpoint that a `save` has
    completed stays as it is. Several processes may use one folder.

    Arguments:
      folder: is made where it does not exist.
      keep: how many of the latest checkpoints stay; None for all.
      keep_best: how many of the best by their metric stay in addition.
      mode: "min" where a smaller metric is better, "max" where a larger one is.
      background: write in a thread. At most one checkpoint is being written at a time: the next
        `save` waits for it. An exception in the thread is raised by the next `save`, `wait`,
        `restore` or `close`. The end of the program waits until the file is complete.

    >>> import tempfile
    >>> import rtfunc.numpy as rnp
    >>> folder = tempfile.TemporaryDirectory()
    >>> with Checkpointer(folder.name, keep=2) as checkpointer:
    ...     for step in range(5):
    ...         checkpointer.save(step, {"w": rnp.full(2, step)}, metadata={"seed": 7})
    >>> checkpointer.steps()
    [3, 4]
    >>> checkpoint = checkpointer.restore(like={"w": rnp.zeros(2, dtype="int32")})
    >>> checkpoint.step, checkpoint.tree["w"].tolist(), checkpoint.metadata
    (4, [4, 4], {'seed': 7})
    >>> folder.cleanup()
    """

    def __init__(
        self,
        folder: PathLike,
        *,
        keep: int | None = 3,
        keep_best: int = 0,
        mode: str = "min",
        background: bool = True,
    ):
        if keep is not None and (not isinstance(keep, int) or keep < 1):
            raise ArgumentError(
                at_user_line(f"Checkpointer: keep must be 1 or more, or None, not {keep!r}.")
            )
        if not isinstance(keep_best, int) or keep_best < 0:
            raise ArgumentError(
                at_user_line(f"Checkpointer: keep_best must be 0 or more, not {keep_best!r}.")
            )
        if mode not in ("min", "max"):
            raise ArgumentError(
                at_user_line(f"Checkpointer: mode is 'min' or 'max', not {mode!r}.")
            )
        self.folder = Path(folder)
        self.keep, self.keep_best, self.mode, self.background = keep, keep_best, mode, background
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_stale(self.folder, "step-")
        self._metrics: dict[int, float | None] = {}
        self._writing: threading.Thread | None = None
        self._failures: list[Exception] = []
        weakref.finalize(self, _report, self._failures)

    def save(
        self,
        step: int,
        tree: Any,
        *,
        loader: Position | None = None,
        metric: float | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Save the state of a training after `step` steps, in place of an earlier one of that step.

        Arguments:
          step: 0 or more.
          tree: what `io.save` takes. Arrays are not copied and may be donated after the call; NumPy
            arrays that could be written to are.
          loader: whose position belongs to it, a `DataLoader` for example.
          metric: how good the state is, for `keep_best`; NaN is worse than any number.
          metadata: of what `io.save` takes as well: numbers, text, lists, dicts.

        Raises `ArgumentError` or `DtypeError` for what cannot be saved, and `OSError` when a file
        could not be written: with `background`, that of the `save` before.
        """
        if not isinstance(step, int | np.integer) or isinstance(step, bool) or step < 0:
            raise ArgumentError(
                at_user_line(
                    f"Checkpointer.save: step must be an integer of 0 or more, not {step!r}."
                )
            )
        if metric is not None:
            try:
                metric = float(metric)
            except TypeError:
                raise DtypeError(
                    at_user_line(
                        f"Checkpointer.save: metric is a number, not a {type(metric).__name__}."
                    )
                ) from None
        self.wait()
        position = None if loader is None else loader.state()
        content = {"tree": tree, "loader": position, "metadata": metadata or {}}
        structure, tensors = trees.describe("Checkpointer.save", content)
        text = {trees.STRUCTURE: json.dumps(structure, separators=(",", ":"))}
        if metric is not None:
            text[_METRIC] = metric.hex()
        work = int(step), tensors, text, metric
        if self.background:
            # Not a daemon: the interpreter waits for it. It refers to this object until it ends.
            self._writing = threading.Thread(
                target=self._write, args=work, name="rtfunc-checkpoint"
            )
            self._writing.start()
        else:
            self._write(*work)
            self._raise_failure()

    def _write(
        self, step: int, tensors: dict[str, np.ndarray], text: dict[str, str], metric: float | None
    ) -> None:
        try:
            safetensors.write(tensors, self.path(step), text, checksum=True)
        except OSError as error:
            problem = f"cannot write the checkpoint of step {step}: {error.strerror or error}"
            failure = OSError(
                error.errno,
                f"{problem}. The checkpoints of the steps {self.steps()} are as they were",
                str(self.path(step)),
            )
            # Without the traceback, which would keep this object alive: see `_report`.
            failure.__cause__ = error.with_traceback(None)
            self._failures.append(failure)
        except Exception as error:
            self._failures.append(error)
        else:
            self._metrics[step] = metric
            self._rotate(step)

    def _rotate(self, latest: int) -> None:
        """Remove what is to stay no longer; `latest` stays, whatever its number is."""
        if self.keep is None:
            return
        steps = self.steps()
        best = self._best(steps)[: self.keep_best] if self.keep_best else []
        kept = {latest, *steps[-self.keep :], *best}
        for step in steps:
            if step not in kept:
                with contextlib.suppress(OSError):  # another process may have been quicker
                    self.path(step).unlink()

    def _best(self, steps: list[int]) -> list[int]:
        """The steps that have a metric, the best first, of equals the latest."""
        sign = 1 if self.mode == "min" else -1
        ranked = []
        for step in steps:
            metric = self._metric(step)
            if metric is not None and not math.isnan(metric):
                ranked.append((sign * metric, -step))
        return [-step for _, step in sorted(ranked)]

    def _metric(self, step: int) -> float | None:
        """The metric of a checkpoint, read from its file if another process or run has written it."""
        if step not in self._metrics:
            self._metrics[step] = None
            with contextlib.suppress(OSError, FileFormatError, ValueError):
                text = safetensors.read_metadata(self.path(step)).get(_METRIC)
                self._metrics[step] = None if text is None else float.fromhex(text)
        return self._metrics[step]

    def path(self, step: int) -> Path:
        """The file of a checkpoint, whether it exists or not."""
        return self.folder / f"step-{step:08d}.safetensors"

    def steps(self) -> list[int]:
        """The steps of which a checkpoint is there, ascending."""
        found = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match[1]) for match in found if match)

    def best_step(self) -> int | None:
        """The step with the best metric among those that are there; None if none has a metric."""
        self.wait()
        best = self._best(self.steps())
        return best[0] if best else None

    def restore(
        self, like: Any = None, *, step: int | None = None, loader: Position | None = None
    ) -> Checkpoint | None:
        """The latest checkpoint, or that of `step`; None where there is none at all.

        A damaged file is passed over with a warning, and the one before it is taken, unless `step`
        says which it must be.

        Arguments:
          like: a tree as it was saved, of arrays or ShapeDtypeStructs: the result has its types, and
            shapes and dtypes are checked. Without it, named tuples and registered containers become
            dicts.
          step: a certain checkpoint.
          loader: is set to the saved position.

        Raises `FileFormatError` when all checkpoints, or that of `step`, are damaged;
        `ArgumentError` when there is none of `step`, or no position for `loader`; `TreeError`,
        `ShapeError` or `DtypeError` when it does not fit `like`.
        """
        self.wait()
        steps = self.steps()
        if step is not None and step not in steps:
            raise ArgumentError(
                at_user_line(
                    f"Checkpointer.restore: {self.folder} has no checkpoint of step {step}; there "
                    f"are {steps}."
                )
            )
        damage: list[str] = []
        for candidate in reversed(steps) if step is None else [step]:
            path = self.path(candidate)
            try:
                tensors, text = safetensors.read(path, mmap=False, verify=True)
                saved = trees.parse(text.get(trees.STRUCTURE, ""), tensors)
                parts = _parts(saved)
                metric = text.get(_METRIC)
                number = None if metric is None else float.fromhex(metric)
            except FileNotFoundError:  # another process has rotated it away
                continue
            except (FileFormatError, ValueError) as error:
                damage.append(str(error) if str(path) in str(error) else f"{path}: {error}")
                continue
            for problem in damage:
                warnings.warn(
                    at_user_line(
                        f"A damaged checkpoint was passed over: {problem}. That of step {candidate} "
                        "is used."
                    ),
                    stacklevel=2,
                )
            tree = trees.rebuild("Checkpointer.restore", parts["tree"], like)
            position = trees.rebuild("Checkpointer.restore", parts["loader"])
            if loader is not None:
                if position is None:
                    raise ArgumentError(
                        at_user_line(
                            f"Checkpointer.restore: {path} was saved without a loader, so it has no "
                            "position for one."
                        )
                    )
                loader.restore(position)
            metadata = trees.rebuild("Checkpointer.restore", parts["metadata"])
            return Checkpoint(candidate, tree, metadata, number, position, path)
        if damage:
            raise FileFormatError(
                f"{self.folder} holds no checkpoint that can be read: " + "; ".join(damage)
            )
        return None

    def wait(self) -> None:
        """Wait until the checkpoint that is being written is complete; raise what went wrong."""
        if self._writing is not None:
            self._writing.join()
            self._writing = None
        self._raise_failure()

    def close(self) -> None:
        """As `wait`: what leaving a `with` statement does."""
        self.wait()

    def _raise_failure(self) -> None:
        if self._failures:
            raise self._failures.pop()

    def __enter__(self) -> Checkpointer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Checkpointer({str(self.folder)!r}, steps {self.steps()})"


def _parts(saved: Any) -> dict[str, Any]:
    parts = getattr(saved, "children", None)
    if not isinstance(parts, dict) or set(parts) != {"tree", "loader", "metadata"}:
        raise FileFormatError("the file is not a checkpoint")
    return parts


def _report(failures: list[Exception]) -> None:
    """Of a Checkpointer that is gone: say what nobody has asked for."""
    for failure in failures:
        warnings.warn(f"A checkpoint was lost: {failure}", RuntimeWarning, stacklevel=1)
