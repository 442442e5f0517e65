"""What the examples' command lines share: kinds of options, finding data, pictures if possible."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Callable, Sequence


def parser(
    name: str, description: str, *, steps: int, output: bool = True
) -> argparse.ArgumentParser:
    """The parser of `python -m rtfunc.examples.NAME`, with the options that examples have."""
    made = argparse.ArgumentParser(
        prog=f"python -m rtfunc.examples.{name}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    made.add_argument("--steps", type=positive_int, default=steps, help="number of training steps")
    made.add_argument("--seed", type=int, default=0, help="the same seed gives the same result")
    if output:
        made.add_argument(
            "--output", type=folder, default=f"{name}-out", help="folder for what is written"
        )
    return made


def positive_int(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not 1 or more")
    return number


def positive_float(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def folder(text: str) -> pathlib.Path:
    path = pathlib.Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(
            f"cannot make the folder {text}: {error.strerror}"
        ) from None
    return path


def existing(
    made: argparse.ArgumentParser, path: pathlib.Path, names: Sequence[str], what: str
) -> list[pathlib.Path]:
    """The files of these names in the folder `path`; the program ends, saying so, without them."""
    files = [path / name for name in names]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        made.error(
            f"{path} has no {' and no '.join(missing)}. Give the folder with {what} as --data "
            "FOLDER."
        )
    return files


def picture(draw: Callable[[pathlib.Path], None], path: pathlib.Path) -> None:
    """Call `draw(path)`, or say what it needs."""
    try:
        draw(path)
    except ImportError:
        print("No picture: it needs matplotlib (pip install 'rtfunc[plot]').")
    else:
        print(f"Wrote a picture to {path}")
