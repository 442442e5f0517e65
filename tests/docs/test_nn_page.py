"""The tables of the page about networks name what there is."""

import re
from pathlib import Path

import pytest

from rtfunc import nn

TEXT = (Path(__file__).parents[2] / "docs" / "nn.md").read_text(encoding="utf-8")
NAMES = sorted(set(re.findall(r"\bnn\.((?:functional\.|initializers\.)?[a-z]\w+)", TEXT)) - {"md"})


def found(name: str) -> bool:
    thing = nn
    for part in name.split("."):
        thing = getattr(thing, part, None)
    return thing is not None


def test_names_on_the_page_exist():
    assert len(NAMES) > 60
    assert [name for name in NAMES if not found(name)] == []


@pytest.mark.oracle
def test_names_that_are_said_to_be_the_same_are():
    functional = pytest.importorskip("torch").nn.functional
    rows = [row for row in TEXT.splitlines() if row.startswith("|") and "the same names" in row]
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert len(names) > 20
    assert [n for n in names if not (hasattr(nn, n) and hasattr(functional, n))] == []
