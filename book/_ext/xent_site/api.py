"""The API reference: one page per public module of ``xent``, found by looking.

The pages are written to ``book/api/modules/`` before Sphinx looks for sources and are not kept in
the repository: a new module documents itself.
"""

from __future__ import annotations

import ast
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from xent_site.html import page_link

PAGES = "book/api/modules"
SUBPACKAGES = ("reference", "ops")
NOT_LISTED = ("__init__", "kernels", *SUBPACKAGES)


def module_sources(root: Path) -> dict[str, Path]:
    """Source file of each public module: references, then ops, then the rest."""
    package = root / "src" / "xent"
    found = {
        f"xent.{name}.{path.stem}": path
        for name in SUBPACKAGES
        for path in sorted((package / name).glob("*.py"))
        if path.stem != "__init__"
    }
    for path in sorted(package.iterdir()):
        source = path / "__init__.py" if path.is_dir() else path
        if path.stem not in NOT_LISTED and source.suffix == ".py" and source.exists():
            found[f"xent.{path.stem}"] = source
    return found


def write_pages(app, config) -> None:
    """Bring ``book/api/modules/`` up to date, touching only pages that changed."""
    root = Path(app.srcdir)
    folder = root / PAGES
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {
        f"{name}.rst": f"{name}\n{'=' * len(name)}\n\n.. automodule:: {name}\n   :members:\n"
        for name in module_sources(root)
    }
    for path in folder.glob("*.rst"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def first_line(source: Path) -> str:
    """The first line of a module's docstring, read without importing it."""
    docstring = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


class ModuleList(SphinxDirective):
    """``{module-list} reference``: pages of a subpackage (or the ``rest``) and what each is."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        wanted = self.arguments[0]
        listed = nodes.bullet_list(classes=["module-list"])
        for name, source in module_sources(Path(self.env.srcdir)).items():
            subpackage = name.split(".")[1] if name.count(".") == 2 else "rest"
            if subpackage == wanted:
                link = page_link(f"{PAGES}/{name}", name, self.env.docname)
                text = nodes.paragraph("", "", link, nodes.Text(f" {first_line(source)}"))
                listed.append(nodes.list_item("", text))
        return [listed] if len(listed) else []


def setup(app) -> None:
    app.connect("config-inited", write_pages, priority=100)
    app.add_directive("module-list", ModuleList)
