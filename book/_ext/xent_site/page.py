"""What happens to every page on its way to HTML."""

from __future__ import annotations

import re
from pathlib import Path

import imagesize
from docutils import nodes

EXPLORABLE = re.compile(r'data-explorable="([a-z0-9-]+)"')
IMAGE = re.compile(r"<img\b([^>]*?)\s*/?>")
IMAGE_FILE = re.compile(r'src="[^"]*_images/([^"]+)"')
LIVE_KERNEL = re.compile(
    r'<script type="text/x-thebe-config">.*?</script>\s*(<script>kernelName = .*?</script>)?',
    re.DOTALL,
)
# Names, punctuation and spaces have the color of all text: half of a chapter's elements.
PLAIN_CODE = re.compile(r'<span class="(?:n|nn|p|w)">([^<]*)</span>')
AFTER_FORMULA = re.compile(r"(\\\)</span>)(?=[.,;:!?)\]’”])")
WORD_JOINER = "&#8288;"
CARDS_AND_TABS = ("sphinx-design", "design-tabs")
FOREIGN_SCRIPTS = ("thebe", "require.js", "embed-amd", "clipboard-polyfill", "toggle")


def prepare(app, pagename, templatename, context, doctree) -> None:
    """Change scripts and images of a page."""
    body = LIVE_KERNEL.sub("", context.get("body") or "")
    body = AFTER_FORMULA.sub(rf"\1{WORD_JOINER}", PLAIN_CODE.sub(r"\1", body))
    for name in dict.fromkeys(EXPLORABLE.findall(body)):
        app.add_js_file(f"explorables/{name}.js", priority=900, defer="defer")
    unwanted = FOREIGN_SCRIPTS if "sd-" in body else (*FOREIGN_SCRIPTS, *CARDS_AND_TABS)
    for kind in ("script_files", "css_files"):
        context[kind] = [
            file
            for file in context.get(kind, [])
            if not any(name in described(file).lower() for name in unwanted)
        ]
    name_toggles(context)
    if doctree is not None:
        body = body.replace('role="doc-biblioentry"', 'role="listitem"')
        context["body"] = size_images(app, body)


def needs_mathematics(app, pagename, templatename, context, doctree) -> None:
    """Load MathJax also where formulas stand in generated HTML, or in titles of other pages."""
    in_titles = any(next(title.findall(nodes.math), None) for title in app.env.titles.values())
    if in_titles or "tex2jax_process" in (context.get("body") or ""):
        app.env.get_domain("math").data["has_equations"][pagename] = True


def described(file) -> str:
    """The address and the content of a script or style sheet."""
    return f"{getattr(file, 'filename', file)} {getattr(file, 'attributes', '')}"


def name_toggles(context) -> None:
    """Give the triangles in the table of contents a name for screen readers."""
    toctree = context["generate_toctree_html"]

    def named(*arguments, **options):
        text = str(toctree(*arguments, **options))
        return text.replace("<summary>", '<summary aria-label="Pages below">')

    context["generate_toctree_html"] = named


def size_images(app, body: str) -> str:
    """Give images their size, so that text does not jump, and load them when they come near."""
    files = {name: Path(app.srcdir, source) for source, name in app.builder.images.items()}

    def sized(match: re.Match) -> str:
        attributes = match.group(1)
        found = IMAGE_FILE.search(attributes)
        if found is None or "width=" in attributes or found.group(1) not in files:
            return match.group(0)
        width, height = imagesize.get(files[found.group(1)])
        size = f' width="{width:.0f}" height="{height:.0f}"' if width > 0 else ""
        return f'<img{attributes}{size} loading="lazy" decoding="async">'

    return IMAGE.sub(sized, body)


def setup(app) -> None:
    app.connect("html-page-context", needs_mathematics, priority=100)
    app.connect("html-page-context", prepare, priority=900)
