"""The search finds functions, symbols and terms: fifty of them, each on a page it should name."""

from __future__ import annotations

import pytest

TERMS = {
    "logsumexp": "book/api/modules/xent.reference.softmax",
    "cross_entropy_with_logits": "book/api/modules/xent.reference.softmax",
    "online_logsumexp": "book/api/modules/xent.reference.softmax",
    "merge_logsumexp": "chapters/foundations/online-softmax",
    "convergence_radius": "book/api/modules/xent.reference.ghosts",
    "radius_lower_bound": "chapters/stability/ghosts-of-softmax",
    "kl_divergence": "book/api/modules/xent.reference.entropy",
    "tau": "book/notation",
    "log-sum-exp": "book/glossary",
    "LSE": "book/glossary",
    "log-partition": "chapters/foundations/log-partition-function",
    "perplexity": "book/glossary",
    "margin": "book/glossary",
    "nat": "book/glossary",
    "temperature": "book/notation",
    "calibration": "book/glossary",
    "Kullback": "book/notation",
    "entropy rate": "book/glossary",
    "z-loss": "book/glossary",
    "H-consistency": "chapters/surrogates/h-consistency",
    "minimizability gap": "chapters/surrogates/minimizability-gaps",
    "Taylor radius": "chapters/stability/ghosts-of-softmax",
    "ghost": "chapters/stability/ghosts-of-softmax",
    "covariance policy": "chapters/policies/covariance-law",
    "tokens per parameter": "chapters/scaling/compute-optimal",
    "irreducible loss": "chapters/scaling/power-law-and-entropy",
    "Pinsker": "chapters/foundations/entropy-cross-entropy-kl",
    "maximum entropy": "chapters/foundations/maximum-entropy",
    "verdict": "book/glossary",
    "Triton": "book/kernels",
    "KL": "book/notation",
    "H(p)": "book/notation",
    "label smoothing": "book/glossary",
    "best of n": "chapters/policies/exponential-tilting-and-best-of-n",
    "best-of-N": "book/glossary",
    "Chinchilla": "book/glossary",
    "FlashAttention": "book/glossary",
    "RLHF": "book/glossary",
    "NLL": "book/glossary",
    "log loss": "book/glossary",
    "Renyi": "book/notation",
    "Gibbs": "book/glossary",
    "mutual information": "book/notation",
    "learning rate": "book/notation",
    "policy gradient": "book/glossary",
    "scaling law": "book/glossary",
    "entropy bonus": "chapters/policies/token-selective-regularization",
    "attention entropy": "book/api/modules/xent.reference.attention",
    "GRPO": "book/api/modules/xent.reference.policy",
    "batch size": "chapters/scaling/annealing-and-batch-size",
}
SHOWN = 10

# The index is asked directly: what the page then shows is this list.
QUERY = """
(terms) => terms.map((term) => {
  const [query, words, excluded, , objects] = Search._parseQuery(term);
  const found = Search._performSearch(query, words, excluded, undefined, objects);
  return found.sort((a, b) => b[4] - a[4]).map((result) => result[0]);
})
"""


@pytest.fixture(scope="module")
def found(browser, site, address) -> dict[str, list[str]]:
    page = browser.new_page()
    page.goto(f"{address}/search.html?q=softmax")
    page.wait_for_selector("#search-results li a")
    results = page.evaluate(QUERY, list(TERMS))
    page.close()
    return dict(zip(TERMS, results, strict=True))


def test_fifty_terms():
    assert len(TERMS) == 50


@pytest.mark.site
@pytest.mark.parametrize("term", TERMS)
def test_term_is_found(term, found):
    pages = list(dict.fromkeys(found[term]))
    assert TERMS[term] in pages[:SHOWN], f"{term!r} gives {pages[:SHOWN]}"


@pytest.mark.site
def test_results_quote_no_source_of_formulas(browser, site, address):
    page = browser.new_page()
    page.goto(f"{address}/search.html?q=entropy")
    page.wait_for_selector("#search-results li p")
    page.wait_for_function("!document.querySelector('#search-results').innerText.includes('\\\\(')")
    quoted = " ".join(page.locator("#search-results p.context").all_inner_texts())
    page.close()
    assert len(quoted) > 200
    assert "\\operatorname" not in quoted and "Contents of this page" not in quoted
