/* Loss against model size at a fixed budget of operations, and what a wrong size costs. */
(function () {
  "use strict";
  const E = Explorable;

  /* constant, amplitudes and exponents of E + A / N^alpha + B / D^beta */
  const FITS = {
    "replication": { e: 1.8172, a: 482.01, b: 2085.43, alpha: 0.3478, beta: 0.3658 },
    "as first published": {
      e: Math.exp(0.5267228), a: Math.exp(6.0073404), b: Math.exp(6.0179186), alpha: 0.33917084, beta: 0.2849083,
    },
  };
  const SIZES = E.logspace(1e7, 1e13, 121);
  const BUDGETS = E.logspace(1e18, 1e26, 33);

  const law = (f, n, d) => f.e + f.a * n ** -f.alpha + f.b * d ** -f.beta;
  const optimum = (f, c) =>
    ((f.alpha * f.a) / (f.beta * f.b)) ** (1 / (f.alpha + f.beta)) * (c / 6) ** (f.beta / (f.alpha + f.beta));
  const ratio = (f, c) => c / (6 * optimum(f, c) ** 2);

  E.define("isoflop", {
    title: "What does the wrong model size cost?",
    task: "Drag the size out of the valley: twice too large costs little, ten times a lot. Then raise the budget and compare what the two fits recommend.",
    start: { "fit": "replication", "compute": 1e23, "size": 1e11 },
    params: {
      fit: { label: "law", options: Object.keys(FITS) },
      compute: { label: "budget (operations)", min: 1e18, max: 1e26, log: true },
      size: { label: "model size (parameters)", min: 1e7, max: 1e13, log: true },
    },
    panels: 2,
    compute({ fit, compute, size }) {
      const f = FITS[fit];
      const tokens = compute / (6 * size);
      const loss = law(f, size, tokens);
      const best = optimum(f, compute);
      const bestLoss = law(f, best, compute / (6 * best));
      return {
        tokens, loss, best, bestLoss,
        perParameter: tokens / size,
        bestRatio: ratio(f, compute),
        share: ((loss - f.e) / (bestLoss - f.e)) ** (-(f.alpha + f.beta) / (f.alpha * f.beta)),
        curve: SIZES.map((n) => law(f, n, compute / (6 * n))),
        ratios: Object.values(FITS).map((one) => BUDGETS.map((c) => ratio(one, c))),
      };
    },
    draw([left, right], p, r) {
      const low = FITS[p.fit].e;
      const top = r.bestLoss + 0.8;
      left.axes({ x: [1e7, 1e13], y: [low - 0.05, top], logx: true, xlabel: "model size N", ylabel: "loss (nats)" });
      left.hline(low, { role: "paper", label: "constant" });
      left.vline(r.best, { role: "ours", label: "best size" });
      left.line(SIZES, r.curve, { role: "measured", label: "loss" });
      left.handle("size", { x: "size", y: r.loss, label: "model size" });
      right.axes({ x: [1e18, 1e26], y: [1, 1000], logx: true, logy: true, xlabel: "budget", ylabel: "tokens per parameter" });
      right.hline(20, { role: "bound", label: "rule of 20" });
      right.line(BUDGETS, r.ratios[0], { role: "measured", label: "replication" });
      right.line(BUDGETS, r.ratios[1], { role: "paper", label: "as first published" });
      right.points([p.compute], [r.perParameter], { role: "ink", label: "yours" });
    },
    values: (p, r) => [
      ["tokens", E.format(r.tokens)],
      ["tokens per parameter", E.format(r.perParameter)],
      ["loss", `${E.format(r.loss, 4)} nats`],
      ["best size", E.format(r.best)],
      ["its tokens per parameter", E.format(r.bestRatio)],
      ["lost by the wrong size", `${E.format(r.loss - r.bestLoss)} nats`],
      ["a best-sized run has this loss with", `${E.format(100 * r.share)} % of the budget`],
    ],
  });
})();
