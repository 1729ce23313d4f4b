/* Two examples with opposite labels on one line: which rules for the step are safe? */
(function () {
  "use strict";
  const E = Explorable;
  const SHARES = E.linspace(0, 1, 161);

  const logCosh = (x) => Math.abs(x) + Math.log1p(Math.exp(-2 * Math.abs(x))) - Math.LN2;

  /* the positive root of e^x - 1 - x = c x, by Newton's method from above */
  function root(c) {
    let x = 2 * Math.log1p(c);
    for (let i = 0; i < 60; i++) x -= (Math.expm1(x) - x - c * x) / (Math.expm1(x) - c);
    return x;
  }

  E.define("safe-step", {
    title: "Which step is certain to lower the loss?",
    task: "Start near the minimum and r = 1 overshoots; start far from it and 2g/κ does, by far. The safe step never does.",
    start: { "distance": 1, "step": 1.2 },
    params: {
      distance: { label: "distance d to the minimum", min: 0.1, max: 5, log: true },
      step: { label: "your step t", min: 0, max: 12 },
    },
    height: 300,
    compute({ distance, step }) {
      const g = Math.tanh(distance / 2) / 2;
      const kappa = 1 / (4 * Math.cosh(distance / 2) ** 2);
      const change = (t) => logCosh((t - distance) / 2) - logCosh(distance / 2);
      const promise = (t) => -g * t + kappa * (Math.expm1(t) - t);
      const end = Math.max(4, 2.6 * distance);
      const steps = SHARES.map((share) => share * end);
      return {
        g, kappa, steps,
        returns: 2 * distance,
        newton: (2 * g) / kappa,
        safe: root(g / kappa),
        best: Math.log1p(g / kappa),
        simple: 1 / (kappa / (2 * g) + 1 / 2),
        change: steps.map(change),
        promise: steps.map((t) => Math.min(promise(t), 10)),
        now: change(step),
        promised: Math.min(promise(step), 10),
      };
    },
    draw(plot, p, r) {
      const low = Math.min(...r.change);
      const end = r.steps[r.steps.length - 1];
      plot.axes({ x: [0, end], y: [1.25 * low, -1.1 * low], xlabel: "step t", ylabel: "change of the loss (nats)" });
      plot.hline(0, { role: "ink" });
      plot.vline(Math.PI, { role: "paper", label: "r = 1" });
      plot.vline(r.newton, { role: "failure", label: "2g/κ" });
      plot.vline(r.safe, { role: "ours", label: "safe" });
      plot.line(r.steps, r.promise, { role: "bound", label: "guarantee" });
      plot.line(r.steps, r.change, { role: "measured", label: "loss" });
      plot.handle("step", { x: "step", y: r.now, label: "your step" });
    },
    values: (p, r) => [
      ["loss is back at its start at", E.format(r.returns)],
      ["r = 1 is at", E.format(Math.PI)],
      ["2g/κ", E.format(r.newton)],
      ["safe step", E.format(r.safe)],
      ["reciprocal rule", E.format(r.simple)],
      ["your step changes the loss by", `${E.format(r.now)} nats`],
      ["guaranteed: at most", r.promised < 10 ? `${E.format(r.promised)} nats` : "nothing"],
    ],
  });
})();
