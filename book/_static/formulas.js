/* Formulas are set where the reader is first, and the others while the browser has nothing to do. */
(function () {
  "use strict";
  if (!window.MathJax) return;

  const PLACES = ".math, .tex2jax_process";
  const BLOCKS = "p, li, td, th, dt, dd, figcaption, h1, h2, h3, h4, div, details";
  const NEAR = "600px";
  const SLICE = 12;
  const waiting = new Set();
  const later = window.requestIdleCallback || ((work) => setTimeout(work, 60));
  let busy = Promise.resolve();
  let ready;

  /* What is set in one piece: the block around a formula, not a whole table. */
  function blocks() {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const text = walker.currentNode;
      if (!/\\[([]/.test(text.data)) continue;
      const place = text.parentElement.closest(PLACES);
      const block = place && text.parentElement.closest(BLOCKS);
      if (block) waiting.add(block);
    }
  }

  function claim(chosen) {
    const some = chosen.filter((block) => waiting.delete(block));
    for (const block of some) block.classList.add("tex2jax_process");
    return some.filter((block) => !some.some((other) => other !== block && other.contains(block)));
  }

  function set(chosen) {
    const some = claim(chosen);
    if (some.length) busy = busy.then(() => window.MathJax.typesetPromise(some));
    return busy;
  }

  async function whenIdle() {
    await set([...waiting].slice(0, SLICE));
    if (waiting.size) later(whenIdle);
  }

  function all() {
    return ready.then(() => set([...waiting]));
  }

  async function start() {
    await window.MathJax.startup.promise;
    blocks();
    await new Promise((resolve) => {
      const watch = new IntersectionObserver((seen) => {
        const near = seen.filter((entry) => entry.isIntersecting).map((entry) => entry.target);
        for (const block of near) watch.unobserve(block);
        set(near).then(resolve);
      }, { rootMargin: `${NEAR} 0px` });
      for (const block of waiting) watch.observe(block);
      if (!waiting.size) resolve();
    });
    later(whenIdle);
  }

  ready = start();
  window.addEventListener("beforeprint", () => window.MathJax.typeset?.(claim([...waiting])));
  window.formulas = { ready, all };
})();
