/* Helps for the reader; every page is complete without them. */
(function () {
  "use strict";

  /* What scrolls sideways can be reached and scrolled by keyboard. */
  const WIDE = "div.math, div.highlight pre, .chapter-box pre, .cell_output, .text_html, .scroll, .claims-table, .pst-scrollable-table-container, mjx-container[display]";

  function reachWideRegions() {
    for (const node of document.querySelectorAll(WIDE)) {
      const wide = node.scrollWidth > node.clientWidth + 1;
      if (wide) node.tabIndex = 0;
      else if (!node.hasAttribute("role")) node.removeAttribute("tabindex");
    }
  }

  /* The ledger: words and four choices; the choice is kept in the address. */
  function startLedger(form) {
    const rows = [...document.querySelectorAll("#ledger tr:not(.group)")].filter((row) => row.dataset.verdict);
    const groups = [...document.querySelectorAll("#ledger tbody")];
    const words = new Map(rows.map((row) => [row, `${row.textContent} ${row.id} ${row.dataset.paper}`.toLowerCase()]));
    for (const select of form.querySelectorAll("select")) {
      const titles = new Map(rows.map((row) => [row.dataset[select.name], row.dataset[`${select.name}Title`] || row.dataset[select.name]]));
      select.append(new Option("all", ""), ...[...titles].map(([value, title]) => new Option(title.length > 60 ? title.slice(0, 58) + "…" : title, value)));
    }
    const asked = new URLSearchParams(location.search);
    for (const field of form.elements) if (asked.has(field.name)) field.value = asked.get(field.name);

    function filter() {
      const choice = new Map([...new FormData(form)].filter(([, value]) => value.trim()));
      const terms = (choice.get("words") || "").toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const fits = terms.every((term) => words.get(row).includes(term)) &&
          ["verdict", "part", "kind", "paper"].every((key) => !choice.has(key) || row.dataset[key] === choice.get(key));
        row.hidden = !fits;
        shown += fits;
      }
      for (const group of groups) group.hidden = !group.querySelector("tr:not(.group):not([hidden])");
      form.querySelector("output").textContent = `${shown} of ${rows.length} claims`;
      if (location.protocol !== "file:") {
        const query = new URLSearchParams([...choice]).toString();
        history.replaceState(null, "", (query ? `?${query}` : location.pathname) + location.hash);
      }
    }

    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    filter();
  }

  /* What a reference names, shown beside it: theorems, equations, figures, definitions. */
  function startPreviews() {
    const card = document.createElement("div");
    card.className = "preview";
    card.setAttribute("role", "tooltip");
    card.id = "preview";
    card.hidden = true;
    document.body.append(card);
    const pages = new Map();
    let timer = 0;
    let current = null;

    async function target(link) {
      const address = new URL(link.href);
      if (!address.hash || address.origin !== location.origin) return null;
      const name = CSS.escape(decodeURIComponent(address.hash.slice(1)));
      if (address.pathname === location.pathname) return document.querySelector(`#${name}`);
      if (location.protocol === "file:") return null;
      if (!pages.has(address.pathname)) {
        pages.set(address.pathname, fetch(address.pathname).then((answer) => answer.text())
          .then((text) => new DOMParser().parseFromString(text, "text/html")));
      }
      return (await pages.get(address.pathname)).querySelector(`#${name}`);
    }

    function worthShowing(node) {
      if (!node) return null;
      const box = node.closest("div.proof, div.exercise, div.math, figure, div.citation, div.claim");
      if (box) return box;
      if (node.matches("dt")) return node.parentElement.cloneNode(false).tagName === "DL" ? [node, node.nextElementSibling] : null;
      return node.matches("span, div.target") && node.nextElementSibling?.matches("div.math, div.proof, figure") ? node.nextElementSibling : null;
    }

    async function show(link) {
      const found = worthShowing(await target(link));
      if (!found || current !== link) return;
      card.replaceChildren(...[found].flat().filter(Boolean).map((node) => {
        const copy = node.cloneNode(true);
        copy.querySelectorAll("[id]").forEach((inner) => inner.removeAttribute("id"));
        copy.querySelectorAll("a.headerlink, .toggle-button, summary .toggle-button").forEach((inner) => inner.remove());
        copy.removeAttribute("id");
        return copy;
      }));
      card.hidden = false;
      const place = link.getBoundingClientRect();
      const size = card.getBoundingClientRect();
      const left = Math.max(8, Math.min(place.left, innerWidth - size.width - 12));
      const below = place.bottom + 8 + size.height < innerHeight || place.top < size.height + 8;
      card.style.left = `${left + scrollX}px`;
      card.style.top = `${(below ? place.bottom + 8 : place.top - size.height - 8) + scrollY}px`;
      link.setAttribute("aria-describedby", "preview");
      if (!card.querySelector("mjx-container")) window.MathJax?.typesetPromise?.([card]);
    }

    function hide() {
      clearTimeout(timer);
      current?.removeAttribute("aria-describedby");
      current = null;
      card.hidden = true;
    }

    const links = document.querySelectorAll("article a.reference.internal, article .bibtex-citation a, article a.eqref, article a.xref");
    for (const link of links) {
      if (!link.hash) continue;
      const enter = (delay) => () => { hide(); current = link; timer = setTimeout(() => show(link), delay); };
      link.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && enter(220)());
      link.addEventListener("focus", enter(350));
      link.addEventListener("pointerleave", () => { timer = setTimeout(() => !card.matches(":hover") && hide(), 180); });
      link.addEventListener("blur", hide);
    }
    card.addEventListener("pointerleave", hide);
    document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  }

  /* Search results quote the text of a page: no buttons, no source of formulas. */
  function quote(text, anchor) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const article = page.querySelector("article") || page.body;
    article.querySelectorAll("a.headerlink, script, style, .chapter-box, .cell_input").forEach((node) => node.remove());
    article.querySelectorAll(".math").forEach((node) => { node.textContent = "…"; });
    const place = (anchor && article.querySelector(anchor)) || article;
    return place.textContent.replace(/\\\([\s\S]*?\\\)/g, "…");
  }

  function startSearchResults(results) {
    results.classList.add("tex2jax_process");
    let timer = 0;
    new MutationObserver(() => {
      clearTimeout(timer);
      timer = setTimeout(() => window.MathJax?.typesetPromise?.([results]), 150);
    }).observe(results, { childList: true, subtree: true });
  }

  if (typeof Search !== "undefined") Search.htmlToText = quote;

  document.addEventListener("DOMContentLoaded", () => {
    const filters = document.getElementById("ledger-filters");
    if (filters) startLedger(filters);
    const results = document.getElementById("search-results");
    if (results) startSearchResults(results);
    if (window.matchMedia("(hover: hover)").matches) startPreviews();
    reachWideRegions();
    new ResizeObserver(reachWideRegions).observe(document.body);
  });
})();
