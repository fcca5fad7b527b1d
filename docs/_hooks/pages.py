"""MkDocs hook: fill the reference pages from the code, and take links out that lead out of docs/.

A page asks for a part by a comment on a line of its own: ``<!-- commands -->`` for the command line,
``<!-- config -->`` for the keys of a config, ``<!-- modules PACKAGE -->`` for the API of a package.
"""

import re
from pathlib import Path
from typing import Any

import config_reference
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
PART = re.compile(r"^<!-- (\w+)(?: ([\w.]+))? -->$", re.MULTILINE)


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """The Markdown of a page as the site has it."""
    folder = (ROOT / "docs" / page.file.src_uri).parent
    filled = PART.sub(lambda part: _part(part[1], part[2]), markdown)
    return LINK.sub(lambda link: _within_docs(link, folder), filled)


def _part(name: str, argument: str | None) -> str:
    """The generated text that a page asks for; ValueError if it asks for something else."""
    if name == "commands":
        return _commands()
    if name == "config":
        return config_reference.markdown()
    if name == "modules" and argument:
        return "\n\n".join(f"::: {module}" for module in _modules(argument))
    raise ValueError(f"<!-- {name} -->: expected commands, config, or modules PACKAGE")


def _commands() -> str:
    """Every command with its arguments and options, by typer's own writer, a heading level down."""
    from typer.cli import get_docs_for_click
    from typer.main import get_command

    from asrkd.cli.main import app

    command = get_command(app)
    context = command.context_class(command, info_name="asrkd")
    text: str = get_docs_for_click(obj=command, ctx=context, name="asrkd")
    return re.sub(r"^(#+ )", r"#\1", text, flags=re.MULTILINE)


def _modules(package: str) -> list[str]:
    """The package and every module below it, without importing any."""
    return [package, *_names(ROOT.joinpath(*package.split(".")), package)]


def _names(folder: Path, package: str) -> list[str]:
    """Dotted names of the modules below a package, packages first where they stand."""
    names: list[str] = []
    for path in sorted(folder.iterdir()):
        name = f"{package}.{path.stem}"
        if path.suffix == ".py" and path.stem not in ("__init__", "__main__"):
            names.append(name)
        elif (path / "__init__.py").is_file():
            names += [name, *_names(path, name)]
    return names


def _within_docs(link: "re.Match[str]", folder: Path) -> str:
    """A link as it stands, or its text alone, as a path, where it leads to a file outside docs/."""
    image, text, target = link.groups()
    if "://" in target or target.startswith("#") or image:
        return link[0]
    place = (folder / target.split("#")[0]).resolve()
    if place.is_relative_to(ROOT / "docs"):
        return link[0]
    return f"`{text}`" if "/" in text and "`" not in text else text
