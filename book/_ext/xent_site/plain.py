r"""Formulas as plain text, for places that MathJax does not reach: titles, descriptions, cards.

``R^2=0.999`` becomes ``R² = 0.999`` and ``\sqrt{2x}`` becomes ``√(2x)``.
"""

from __future__ import annotations

import re

from docutils import nodes
from docutils.utils.math import tex2unichar

CHARACTERS = {
    **tex2unichar.mathalpha,
    **tex2unichar.mathbin,
    **tex2unichar.mathclose,
    **tex2unichar.mathop,
    **tex2unichar.mathopen,
    **tex2unichar.mathord,
    **tex2unichar.mathrel,
    **{"dots": "…", "ldots": "…", "lvert": "|", "rvert": "|", "KL": "KL", "E": "E"},
    **dict.fromkeys(("left", "right", "big", "Big", "bigl", "bigr", "Bigl", "Bigr"), ""),
    **dict.fromkeys(("quad", "qquad"), " "),
}
RAISED = str.maketrans("0123456789+-−n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻ⁿ")
LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
GROUP = r"\{([^{}]*)\}"
ONE = r"(?:\{([^{}]*)\}|\s*([^{}\\\s]))"
AROUND = r"\s*([=<>≤≥→∼∝×]|(?<=[\w)∞])\s?\+)\s*"


def script(mark: str, characters: dict[int, int], text: str) -> str:
    """An index or exponent: its own characters where there are some, else after a mark."""
    changed = text.translate(characters)
    if all(letter in characters.values() for letter in map(ord, changed)):
        return changed
    return f"{mark}{text}" if len(text) == 1 else f"{mark}({text})"


def formula(tex: str) -> str:
    """A formula of a title or of a sentence as text on one line."""
    text = re.sub(r"\\[,;:! ]|~", " ", tex)
    text = re.sub(r"\\(?:operatorname\*?|math[a-z]+|text[a-z]*|rm)\s*" + ONE, r"{\1\2}", text)
    text = re.sub(r"\\([A-Za-z]+) ?", lambda found: _command(found[1]), text)
    previous = None
    while previous != text:  # from the innermost braces outward
        previous = text
        text = re.sub(rf"\^{ONE}", lambda f: script("^", RAISED, f[1] or f[2]), text)
        text = re.sub(rf"_{ONE}", lambda f: script("_", LOWERED, f[1] or f[2]), text)
        text = re.sub(rf"√{GROUP}", r"√(\1)", text)
        text = re.sub(rf"⁄{ONE}{ONE}", _fraction, text)
        text = re.sub(r"(?<![\^_√⁄])" + GROUP, r"\1", text)
    text = re.sub(AROUND, r" \1 ", text.replace("\\", ""))
    return " ".join(text.replace("-", "−").split()).replace("( ", "(").replace(" )", ")")


def _command(name: str) -> str:
    if name in ("frac", "tfrac", "dfrac"):
        return "⁄"
    return {"sqrt": "√"}.get(name) or CHARACTERS.get(name, f"{name} ")


def _fraction(found: re.Match) -> str:
    parts = (found[1] or found[2], found[3] or found[4])
    return "/".join(f"({part})" if re.search(r"[-−+ ]", part) else part for part in parts)


def text_of(node: nodes.Node) -> str:
    """The text of a title or paragraph, its formulas written plainly."""
    copy = node.deepcopy()
    for inside in list(copy.findall(nodes.math)):
        inside.replace_self(nodes.Text(formula(inside.astext())))
    return " ".join(copy.astext().split())


def without_citations(text: str) -> str:
    """Drop the numbers of citations; one that a sentence needs becomes "the paper"."""
    text = re.sub(r"\b(of|as|in|by|from|with|to) ?\[[\d, ]+\]", r"\1 the paper", text)
    return re.sub(r" ?\[[\d, ]+\]", "", text)


def summary(doctree: nodes.document, length: int = 200) -> str:
    """The first sentences below a page's title, cut at a word."""
    section = next(doctree.findall(nodes.section), None)
    found = [] if section is None else [c for c in section if isinstance(c, nodes.paragraph)]
    text = without_citations(" ".join(text_of(paragraph) for paragraph in found[:2]))
    if len(text) <= length:
        return text
    sentence = re.match(rf".{{80,{length}}}[.?!](?= )", text)
    return sentence[0] if sentence else text[: length - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"
