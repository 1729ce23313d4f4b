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

  document.addEventListener("DOMContentLoaded", () => {
    reachWideRegions();
    new ResizeObserver(reachWideRegions).observe(document.body);
    window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(reachWideRegions));
  });
})();
