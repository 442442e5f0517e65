"""A progress bar with numbers beside it: tqdm's where it is installed, else a plain one.

Depends on nothing.
"""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Any, TextIO

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None


class Progress:
    """A bar of `total` steps, for a `with` statement.

    Arguments: total: number of steps; description: what is going on; stream: where it is written,
    the standard error output by default; plain: do without tqdm. On a terminal one line is
    rewritten; in a file there is a line for every tenth of the way.

    >>> import sys
    >>> with Progress(2, "counting", stream=sys.stdout, plain=True) as bar:
    ...     for number in range(2):
    ...         bar.advance(number=number)
    counting  50% 1/2 number=0
    counting 100% 2/2 number=1
    """

    def __init__(
        self,
        total: int,
        description: str = "",
        *,
        stream: TextIO | None = None,
        plain: bool = False,
    ):
        self.total, self.description = total, description
        self.stream = sys.stderr if stream is None else stream
        self.done = 0
        self.numbers: dict[str, Any] = {}
        self._terminal = self.stream.isatty()
        # tqdm repeats its line in a file for every step that it shows.
        self._bar = None
        if tqdm is not None and self._terminal and not plain:
            self._bar = tqdm(total=total, desc=description, file=self.stream)
        self._started = self._shown = time.monotonic()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._terminal:
            self._draw()
            self.stream.write("\n")
            self.stream.flush()

    def advance(self, steps: int = 1, **numbers: Any) -> None:
        """`steps` more are done; `numbers` are shown beside the bar from now on."""
        tenth = 10 * self.done // max(self.total, 1)
        self.done += steps
        self.numbers.update(numbers)
        if self._bar is not None:
            self._bar.set_postfix_str(self._text(), refresh=False)
            self._bar.update(steps)
        elif self._terminal:
            now = time.monotonic()
            if now - self._shown > 0.1:
                self._shown = now
                self._draw()
        elif 10 * self.done // max(self.total, 1) > tenth:
            share = self.done / max(self.total, 1)
            self.stream.write(
                f"{self.description} {share:4.0%} {self.done}/{self.total} {self._text()}\n"
            )
            self.stream.flush()

    def _text(self) -> str:
        return " ".join(
            f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in self.numbers.items()
        )

    def _draw(self) -> None:
        share = self.done / max(self.total, 1)
        seconds = time.monotonic() - self._started
        text = f" {share:4.0%} {self.done}/{self.total} {seconds:.0f} s {self._text()}"
        columns = shutil.get_terminal_size().columns - 1
        width = min(30, columns - len(self.description) - len(text) - 3)
        bar = ("#" * round(share * width)).ljust(width, ".") if width >= 5 else ""
        self.stream.write("\r" + f"{self.description} {bar}{text}"[:columns].ljust(columns))
        self.stream.flush()
