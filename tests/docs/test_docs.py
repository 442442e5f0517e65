"""What the documents show is what the library does: their examples are run."""

import doctest
import importlib.util
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))

_block = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: The user's line at the end of an equation; pages leave it out.
_source_line = re.compile(r" +# [^#\n]*:\d+$", re.MULTILINE)


class _Checker(doctest.OutputChecker):
    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(want, _source_line.sub("", got), optionflags)


def blocks(page: Path, language: str = "python") -> list[tuple[int, str]]:
    """The code blocks of a page, each with the number of lines above it."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, found.start(2)), found.group(2))
        for found in _block.finditer(text)
        if found.group(1) == language
    ]


def is_session(code: str) -> bool:
    return code.startswith(">>>")


def run_sessions(page: Path) -> str:
    """Run the doctest blocks of a page as one session; the report of what went wrong, or ""."""
    report: list[str] = []
    runner = doctest.DocTestRunner(_Checker(), verbose=False, optionflags=doctest.ELLIPSIS)
    names: dict[str, object] = {}
    for above, code in blocks(page):
        if is_session(code):
            test = doctest.DocTestParser().get_doctest(code, {}, page.name, str(page), above)
            test.globs = names  # blocks continue one another
            runner.run(test, out=report.append, clear_globs=False)
    return "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_show_what_happens(page):
    report = run_sessions(page)
    assert not report, report


def test_a_wrong_example_would_be_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("text\n\n```python\n>>> x = 1\n```\n\n```python\n>>> x + 1\n3\n```\n")
    assert f'File "{page}", line 8' in run_sessions(page)


def prose(page: Path) -> str:
    """The text of a page without its code."""
    return re.sub(r"`[^`\n]*`", "code", _block.sub("", page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    text = prose(page)
    for target in re.findall(r"\]\(([^)#:]*)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
    for anchor_page, anchor in re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", text):
        headings = (page.parent / anchor_page if anchor_page else page).read_text(encoding="utf-8")
        slugs = {
            re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
            for line in headings.splitlines()
            if line.startswith("#")
        }
        assert anchor in slugs, f"{page.name} links to the heading #{anchor} of {anchor_page}"


def test_the_files_of_the_source_that_pages_name_exist():
    folders = [ROOT, ROOT / "rtfunc", ROOT / "rtfunc" / "compiler" / "cpu"]
    text = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    names = re.findall(r"`([\w/]+(?:\.py|/))`", text)
    assert len(names) > 20
    missing = [name for name in names if not any((folder / name).exists() for folder in folders)]
    assert not missing


def test_the_example_test_file_passes(tmp_path):
    (code,) = (
        code for _, code in blocks(ROOT / "docs" / "testing-gradients.md") if not is_session(code)
    )
    file = tmp_path / "test_rms_scale.py"
    file.write_text(code, encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", str(file)]
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        f"import pytest; sys.exit(pytest.main({options!r}))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_the_program_in_the_readme_runs(tmp_path):
    ((_, code),) = blocks(ROOT / "README.md")
    program = tmp_path / "program.py"
    program.write_text(code, encoding="utf-8")
    names = runpy.run_path(str(program))
    assert float(names["value"]) < 2.2  # guessing gives log(10) = 2.3


def test_the_readme_has_two_commands_of_one_line():
    commands = [code for _, code in blocks(ROOT / "README.md", "sh")]
    assert [command.count("\n") for command in commands] == [1, 1]


def test_the_files_that_the_readme_links_to_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", prose(ROOT / "README.md")):
        assert (ROOT / target).exists(), target


def test_importing_the_package_loads_nothing_heavy():
    heavy = ["llvmlite", "opt_einsum", "scipy", "scipy_openblas32", "matplotlib", "cupy", "PIL"]
    present = [name for name in heavy if importlib.util.find_spec(name)]
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import rtfunc\n"
        f"print([name for name in {present!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
