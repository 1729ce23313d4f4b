"""Proofs, solutions and the first cell as native ``<details>``: only proofs are open at first."""

from __future__ import annotations

from docutils import nodes
from sphinx_exercise.nodes import solution_node
from sphinx_proof.nodes import proof_node

LEAD = "Proof. "


class disclosure(nodes.General, nodes.Element):
    """What a reader can fold away; attributes ``summary`` and ``open``."""


def visit_disclosure(self, node) -> None:
    options = {"open": "open"} if node["open"] else {}
    self.body.append(self.starttag(node, "details", CLASS="disclosure", **options))
    self.body.append(f"<summary>{node['summary']}</summary>\n")


def depart_disclosure(self, node) -> None:
    self.body.append("</details>\n")


def number(env, docname: str, kind: str, label: str) -> str:
    """The number of a theorem or an exercise, such as "4.1.2"."""
    found = env.toc_fignumbers.get(docname, {}).get(kind, {}).get(label, ())
    return ".".join(map(str, found))


def what_is_proved(env, docname: str, proof) -> str:
    """The theorem that stands right before a proof, by its name and number."""
    siblings = proof.parent.children
    before = [
        node
        for node in siblings[: siblings.index(proof)]
        if not isinstance(node, nodes.Invisible | nodes.target)
    ]
    if not before or "realtype" not in before[-1]:
        return "Proof"
    theorem = before[-1]
    found = number(env, docname, theorem["countertype"], theorem["label"])
    return f"Proof of {theorem['realtype'].capitalize()} {found}".strip()


def without_lead(content) -> list[nodes.Node]:
    """The paragraphs of a proof without the word that the summary says."""
    first = content.children[0]
    if isinstance(first[0], nodes.Text) and first[0].startswith(LEAD):
        first.replace(first[0], nodes.Text(first[0].removeprefix(LEAD)))
    return content.children


def fold_proofs(env, doctree, docname: str) -> None:
    for count, proof in enumerate(list(doctree.findall(proof_node)), start=1):
        folded = disclosure(
            summary=what_is_proved(env, docname, proof),
            open=True,
            classes=["proof-steps"],
            ids=[f"proof-{count}"],
        )
        folded += without_lead(proof.children[0])
        proof.replace_self(folded)


def fold_solutions(env, doctree, docname: str) -> None:
    for solution in list(doctree.findall(solution_node)):
        found = number(env, docname, "exercise", solution["target_label"])
        folded = disclosure(
            summary=f"Solution of Exercise {found}" if found else "Solution",
            open="dropdown" not in solution["classes"],
            classes=["solution"],
            ids=[f"solution-of-{solution['target_label']}"],
        )
        for child in solution.children:
            folded += child.children if isinstance(child, nodes.section) else []
        solution.replace_self(folded)


def fold_setup(doctree) -> None:
    """Fold the first cell: imports and the seed are no reader's first question."""
    for cell in doctree.findall(nodes.container):
        if cell.get("nb_element") != "cell_code":
            continue
        source = next(cell.findall(nodes.literal_block), None)
        if source is not None and "chapter.start(" in source.astext():
            folded = disclosure(summary="Imports and seed", open=False, classes=["setup"])
            cell.replace_self(folded)
            folded += cell
        return


def fold(app, doctree, docname: str) -> None:
    """Fold proofs, solutions and the first cell; drop ids that several boxes would share."""
    fold_proofs(app.env, doctree, docname)
    fold_solutions(app.env, doctree, docname)
    fold_setup(doctree)
    for section in doctree.findall(nodes.section):
        if section["ids"] in (["proof-content"], ["exercise-content"], ["solution-content"]):
            section["ids"] = []


def setup(app) -> None:
    app.add_node(disclosure, html=(visit_disclosure, depart_disclosure))
    app.connect("doctree-resolved", fold)
