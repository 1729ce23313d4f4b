/* Helps for the reader; every page is complete without them. */
(function () {
  "use strict";

  /* What scrolls sideways can be reached and scrolled by keyboard. */
  const WIDE = "div.math, div.highlight pre, .chapter-box pre, .cell_output, .text_html, .scroll, .claims-table, .pst-scrollable-table-container, mjx-container[display]";

  function reachWideRegions() {
    const narrow = window.matchMedia("(max-width: 575.98px)").matches;  // there formulas in the text scroll too
    for (const node of document.querySelectorAll(narrow ? `${WIDE}, span.math` : WIDE)) {
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

  /* What a link leads to, shown beside it; the texts are in a script of their own, for folders too. */
  function startPreviews() {
    const root = new URL(document.documentElement.dataset.content_root || "./", location.href);
    const place = (url) => decodeURI(url.pathname).slice(decodeURI(root.pathname).length);
    const card = document.createElement("div");
    card.className = "preview tex2jax_process";
    card.setAttribute("role", "tooltip");
    card.id = "preview";
    card.hidden = true;
    document.body.append(card);
    let loading = null;
    let timer = 0;
    let current = null;

    function texts() {
      loading ||= new Promise((resolve) => {
        const script = document.createElement("script");
        script.src = new URL(`_previews/${place(location).replace(/\.html$/, "")}.js`, root);
        script.onload = () => resolve(window.previews);
        script.onerror = () => resolve({});
        document.head.append(script);
      });
      return loading;
    }

    function put(link) {
      const at = [...link.getClientRects()].at(-1) || link.getBoundingClientRect();
      const size = card.getBoundingClientRect();
      const left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - size.width - 8));
      const below = at.bottom + 6 + size.height < innerHeight || at.top < size.height + 6;
      card.style.left = `${left + scrollX}px`;
      card.style.top = `${(below ? at.bottom + 6 : at.top - size.height - 6) + scrollY}px`;
      card.classList.toggle("long", card.scrollHeight > card.clientHeight + 1);
    }

    async function show(link) {
      const address = new URL(link.href);
      const text = (await texts())[place(address) + decodeURIComponent(address.hash)];
      if (!text || current !== link) return;
      window.MathJax?.typesetClear?.([card]);
      card.innerHTML = text.replaceAll("{root}", root.href);
      card.scrollTop = 0;
      card.hidden = false;
      link.removeAttribute("title");
      link.setAttribute("aria-describedby", "preview");
      put(link);
      await window.MathJax?.typesetPromise?.([card]);
      if (current === link) put(link);
    }

    function hide() {
      clearTimeout(timer);
      current?.removeAttribute("aria-describedby");
      current = null;
      card.hidden = true;
    }

    function aim(link, delay) {
      if (current === link) return clearTimeout(timer);
      hide();
      current = link;
      timer = setTimeout(() => show(link), delay);
    }

    const leave = () => { clearTimeout(timer); timer = setTimeout(() => card.matches(":hover") || hide(), 200); };
    for (const link of document.querySelectorAll("article a[href]:not(.headerlink, .permalink, .door)")) {
      if (!link.href.startsWith(root.href)) continue;
      link.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && aim(link, 220));
      link.addEventListener("focus", () => link.matches(":focus-visible") && aim(link, 350));
      link.addEventListener("pointerleave", leave);
      link.addEventListener("blur", hide);
    }
    card.addEventListener("pointerenter", () => clearTimeout(timer));
    card.addEventListener("pointerleave", leave);
    document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
  }

  /* Proofs are open; a reader may hide them all, and the choice is kept. */
  const KEPT = "proofs";

  function remembered() {
    try { return localStorage.getItem(KEPT); } catch { return null; }
  }

  function remember(choice) {
    try { localStorage.setItem(KEPT, choice); } catch { /* a folder without storage */ }
  }

  /* Open what is folded around a place, and bring the place back into view. */
  function reveal(node) {
    let opened = false;
    for (let fold = node?.closest("details"); fold; fold = fold.parentElement.closest("details")) {
      opened ||= !fold.open;
      fold.open = true;
    }
    if (opened) node.scrollIntoView();
  }

  function startProofs(proofs) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-sm proofs-button";
    document.querySelector(".article-header-buttons")?.prepend(button);

    function choose(choice) {
      for (const proof of proofs) proof.open = choice !== "hidden";
      button.textContent = choice === "hidden" ? "Show proofs" : "Hide proofs";
    }

    button.addEventListener("click", () => {
      const choice = button.textContent === "Hide proofs" ? "hidden" : "shown";
      const anchor = [...document.querySelectorAll("article p, article h2, article summary")]
        .find((node) => node.getBoundingClientRect().top > 60 && !node.closest(".proof-steps > :not(summary)"));
      const before = anchor?.getBoundingClientRect().top;
      document.documentElement.style.overflowAnchor = "none";
      choose(choice);
      remember(choice);
      if (anchor) scrollBy({ top: anchor.getBoundingClientRect().top - before, behavior: "instant" });
      requestAnimationFrame(() => document.documentElement.style.removeProperty("overflow-anchor"));
    });
    choose(remembered());
  }

  function startFolds() {
    const proofs = [...document.querySelectorAll("details.proof-steps")];
    if (proofs.length) startProofs(proofs);
    const toPlace = () => location.hash && reveal(document.getElementById(decodeURIComponent(location.hash.slice(1))));
    toPlace();
    window.addEventListener("hashchange", toPlace);
    for (const hit of document.querySelectorAll("details:not([open]) .highlighted")) hit.closest("details").open = true;
  }

  /* On paper everything is open, and what is dark on the screen is white. */
  function startPrinting() {
    const look = document.documentElement.dataset;
    const folds = [];
    let theme = look.theme;
    window.addEventListener("beforeprint", () => {
      theme = look.theme;
      look.theme = "light";
      for (const fold of document.querySelectorAll("article details:not([open])")) { fold.open = true; folds.push(fold); }
    });
    window.addEventListener("afterprint", () => {
      look.theme = theme;
      for (const fold of folds.splice(0)) fold.open = false;
    });
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
    startPreviews();
    startFolds();
    startPrinting();
    reachWideRegions();
    new ResizeObserver(reachWideRegions).observe(document.body);
  });
})();
