"""Pages of the site that are made while it is built: a hook of mkdocs (mkdocs.yml).

The command line comes from `oxide_xla manual`, C from the comments of the header,
Python from its docstrings (mkdocstrings); notebooks and files at the root become pages.
Links that lead out of docs/ go to the repository where GITHUB_REPOSITORY says which it
is, and are plain text elsewhere.  A folder in the navigation stands for its pages.
"""

from __future__ import annotations

import html
import json
import os
import posixpath
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = os.environ.get("OXIDE_XLA", str(ROOT / "build" / "oxide_xla"))

# The order of pages in folders; others follow by name.
ORDER = """
first_port hugging_face vision speech tabular quantised dynamic_shapes fine_tuning
checkpoints meshes decoding serving debugging embedding science language
""".split()

# Files at the root that are pages, too.
ROOT_FILES = {
    "CHANGELOG.md": "reference/changelog.md",
    "CONTRIBUTING.md": "reference/contributing.md",
    "README.md": "index.md",
}

PYTHON = """# Python

::: oxide_xla
    options:
      members: {members}
      show_root_heading: false
      show_root_toc_entry: false

## The result of `lower` and `to_stablehlo`

::: oxide_xla.stablehlo.lowered.StableHlo
    options:
      heading_level: 3
"""


def on_config(config):
    """Folders in the navigation become their pages; the repository has its address."""
    docs = Path(config.docs_dir)
    for entry in config.nav:
        for title, target in entry.items():
            if isinstance(target, str) and target.endswith("/"):
                entry[title] = [target + name for name in pages_of(docs / target)]
    if repository := os.environ.get("GITHUB_REPOSITORY"):
        config.repo_url = f"https://github.com/{repository}"
        config.repo_name = repository
    return config


def on_files(files, config):
    """Add what is made."""
    from mkdocs.structure.files import File  # here, as tests do without mkdocs

    for uri, content in made(Path(config.docs_dir)):
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown, page, config, files):
    """Links of files at the root, and those that lead out of docs/."""
    uri = page.file.src_uri
    source = next((name for name, to in ROOT_FILES.items() if to == uri), f"docs/{uri}")
    if uri == "index.md":
        source = "docs/index.md"

    def replace(found):
        text, target, anchor = found.groups(default="")
        new = link(source, uri, target, config.repo_url)
        return f"[{text}]({new}{anchor})" if new else text

    parts = re.split(r"(^ *```.*?^ *```)", markdown, flags=re.M | re.S)
    parts[::2] = [
        re.sub(r"\[([^]]*)\]\(([^)\s#:]+)(#[^)]*)?\)", replace, p) for p in parts[::2]
    ]
    return "".join(parts)


def link(source: str, uri: str, target: str, repository: str | None) -> str | None:
    """Where a link of a file leads on the site; None where there is no such page."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    inside = ROOT_FILES.get(path, path.removeprefix("docs/"))
    if not uri.startswith("notebooks/"):  # their own pages have a link to the file
        inside = re.sub(r"\.ipynb$", ".md", inside)
    if path in ROOT_FILES or path.startswith("docs/") or not (ROOT / path).exists():
        return posixpath.relpath(inside, posixpath.dirname(uri) or ".")
    return f"{repository}/blob/main/{path}" if repository else None


def pages_of(folder: Path) -> list[str]:
    """The names of the pages of a folder, in order."""
    stems = {p.stem for p in folder.iterdir() if p.suffix in (".md", ".ipynb")}
    ranks = {stem: rank for rank, stem in enumerate(ORDER)}
    return [f"{s}.md" for s in sorted(stems, key=lambda s: (ranks.get(s, 99), s))]


def made(docs: Path) -> Iterator[tuple[str, str]]:
    """Every page that is made: its place and its Markdown."""
    manual = subprocess.run([PROGRAM, "manual"], check=True, capture_output=True)
    yield "reference/options.md", manual_page(manual.stdout.decode())
    header = (ROOT / "include" / "oxide_xla.h").read_text()
    yield "reference/c.md", header_page(header)
    yield "reference/python.md", PYTHON.format(members=public_names())
    for name, uri in ROOT_FILES.items():
        if uri != "index.md":
            yield uri, (ROOT / name).read_text()
    for path in sorted(docs.glob("notebooks/*.ipynb")):
        yield f"notebooks/{path.stem}.md", notebook_page(path)


def public_names() -> str:
    """What the Python package lists in `__all__`."""
    source = (ROOT / "python" / "oxide_xla" / "__init__.py").read_text()
    found = re.search(r"__all__ = (\[.*?\])", source, re.S)
    assert found, "the package has no __all__"
    return json.dumps(re.findall(r'"(\w+)"', found[1]))


# The manual page


def manual_page(roff: str) -> str:
    """The manual page as Markdown; only the macros that the program prints."""
    out = ["# Command line", ""]
    term = False  # the next line is what is defined
    inside = False  # a definition
    for line in roff.splitlines():
        macro, _, rest = line.partition(" ")
        if term:
            out += ["", f"`{plain(rest if macro.startswith('.') else line)}`", ""]
            term, inside = False, True
        elif macro in (".SH", ".SS"):
            title = plain(rest)
            top = macro == ".SH"
            out += ["", f"## {title.capitalize()}" if top else f"### {title}", ""]
            inside = False
        elif macro == ".TP":
            term = True
        elif macro == ".PP":
            out.append("")
            inside = False
        elif macro in (".B", ".BI", ".BR", ".I"):
            text = plain(rest)
            out.append(f"`{text.removesuffix(' .')}`{'.' * text.endswith(' .')}")
        elif not macro.startswith("."):
            text = prose(line)
            out.append(f":   {text}" if inside and not out[-1] else text)
    return "\n".join(out).replace("\n\n:   ", "\n:   ") + "\n"


def plain(text: str) -> str:
    """A line of roff without its fonts."""
    text = re.sub(r"\\f[BIR]", "", text).replace(r"\(aq", "'")
    return text.replace(r"\&", "").replace(r"\-", "-").replace("\\", "")


def prose(line: str) -> str:
    """A line of text, in which options are code."""
    text = html.escape(plain(line), quote=False).replace("[", "\\[")
    return re.sub(r"(?<![\w`-])--?[a-z][\w-]*", r"`\g<0>`", text)


# The header


def header_page(header: str) -> str:
    """The public header: each comment as text, what it is about as code."""
    title, *blocks = re.split(r"\n{2,}", header)
    out = ["# C", "", comment(title.split("*/")[0]), ""]
    for block in blocks:
        text, code = split_block(block)
        names = declared(code)
        if not names:
            continue
        out += [f"## {names[0]}", "", text, "", "```c", code.strip(), "```", ""]
    return "\n".join(out)


def split_block(block: str) -> tuple[str, str]:
    """The comment that a block begins with, and the rest."""
    if not block.startswith("/*"):
        return "", block
    text, _, code = block.partition("*/")
    return comment(text), code


def comment(text: str) -> str:
    """The text of a comment; what is indented in it is code, as in Markdown."""
    lines = re.sub(r"^/\*", " *", text).rstrip().splitlines()
    lines = [re.sub(r"^ \* ?", "", line) for line in lines]
    text = "\n".join(html.escape(x, quote=False) if x[:4].strip() else x for x in lines)
    return re.sub(r"\n(?=[A-Z][a-z]+: )", "\n\n", text)  # Errors: begins a paragraph


def declared(code: str) -> list[str]:
    """The names that a piece of the header declares."""
    types = re.findall(r"^(?:typedef struct \w+|(?:typedef .*)?\}) (\w+);", code, re.M)
    return types + re.findall(r"^OX_API [^;(]*?\b(ox_\w+)\(", code, re.M)


# Notebooks


def notebook_page(path: Path) -> str:
    """A notebook as a page: its text, its code and what that has printed."""
    cells = json.loads(path.read_text())["cells"]
    parts = [part for cell in cells for part in cell_parts(cell)]
    note = f"*The notebook: [{path.name}]({path.name}).*"
    return "\n\n".join([parts[0], note, *parts[1:]]) + "\n"


def cell_parts(cell: dict) -> Iterator[str]:
    """The pieces of Markdown of one cell."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        text = "".join(output.get("text") or output["data"]["text/plain"])
        yield f"```text\n{text.rstrip()}\n```"
