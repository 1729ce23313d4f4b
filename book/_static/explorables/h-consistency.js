/* Published and exact transforms of the comp-sum losses, and the bounds they give. */
(function () {
  "use strict";
  const E = Explorable;
  const BETAS = E.linspace(0, 1, 101);

  const loss = (s, tau) => (tau === 1 ? -Math.log(s) : (1 - s ** (tau - 1)) / (tau - 1));
  const xlogx = (x) => (x > 0 ? x * Math.log(x) : 0);

  /* kappa: what separating two tied classes gains to first order */
  function gain(b, q) {
    if (q === 1) return b;
    if (Math.abs(q) < 1e-6) return (xlogx(1 + b) + xlogx(1 - b)) / 2;
    const a = 1 / (1 - q);
    const ratio = (1 - b) / (1 + b);
    return Math.expm1(Math.log1p(b) + Math.log1p((ratio ** a - 1) / 2) / a) / q;
  }

  function published(b, tau, n) {
    const q = tau - 1;
    if (q >= 1) return b / (q * n ** q);
    return gain(b, q) / (q <= 0 ? 2 ** q : n ** q);
  }

  /* |p|_a - |w|_a with masses x + beta, x, k - 2 times v, and r, minimized over x */
  function tied(b, k, r, q) {
    const a = 1 / (1 - q);
    const rest = Math.max(0, 1 - b - r);
    const others = Math.max(k - 2, 1);
    let high = rest / 2;
    let low = k === 2 ? high : Math.max(0, (rest - (k - 2) * b) / k);
    for (let i = 0; i < 40; i++) {
      const x = (low + high) / 2;
      const v = (rest - 2 * x) / others;
      if ((x + b) ** (a - 1) + x ** (a - 1) > 2 * v ** (a - 1)) high = x; else low = x;
    }
    const x = (low + high) / 2;
    const v = (rest - 2 * x) / others;
    const free = (x + b) ** a + x ** a + (k - 2) * v ** a + r ** a;
    return free ** (1 / a) - (k * ((1 - r) / k) ** a + r ** a) ** (1 / a);
  }

  function exact(b, tau, n) {
    const q = tau - 1;
    if (b === 0) return 0;
    if (q >= 1) {
      const z = Math.max(b, (1 + b) / n);
      let best = b;
      for (let k = 2; k <= n; k++) best = Math.min(best, z - Math.min(1, k * z - b) / k ** q);
      return best / q;
    }
    const pair = gain(b, q) / 2 ** q;
    if (q <= 0 || n === 2 || pair <= b ** tau * loss(0.5, tau)) return pair;
    let best = q * pair;
    for (let i = 1; i <= 60; i++) best = Math.min(best, tied(b, 2, Math.min(1 / 3, 1 - b) * i / 60, q));
    for (let k = 3; k <= n && b - k ** -q < best; k++) best = Math.min(best, tied(b, k, 0, q));
    return best / q;
  }

  /* the largest beta whose transform is at most t; the values increase */
  function inverse(values, t) {
    const i = values.findIndex((value) => value > t);
    if (i < 0) return 1;
    if (i === 0) return 0;
    const part = (t - values[i - 1]) / (values[i] - values[i - 1]);
    return BETAS[i - 1] + part * (BETAS[i] - BETAS[i - 1]);
  }

  E.define("h-consistency", {
    title: "How much error can an excess loss hide at one input?",
    task: "Raise the number of classes: the published bound weakens, the exact one hardly moves. At τ = 1 they agree.",
    start: { "tau": 1.5, "n": 10, "t": 0.05 },
    params: {
      tau: { label: "loss τ (1: cross-entropy)", min: 0, max: 4, step: 0.05 },
      n: { label: "classes n", min: 2, max: 100, step: 1 },
      t: { label: "excess loss in nats", min: 0.001, max: 1, log: true },
    },
    panels: 2,
    height: 260,
    compute(p) {
      const old = BETAS.map((b) => published(b, p.tau, p.n));
      const now = BETAS.map((b) => exact(b, p.tau, p.n));
      const grid = E.logspace(0.001, 1, 60);
      return {
        old, now, grid,
        oldBound: grid.map((t) => inverse(old, t)),
        nowBound: grid.map((t) => inverse(now, t)),
        before: inverse(old, p.t),
        after: inverse(now, p.t),
      };
    },
    draw([left, right], p, r) {
      left.axes({ x: [0, 1], y: [0, Math.max(r.now[100], 0.05) * 1.05], xlabel: "zero-one regret β", ylabel: "least excess loss" });
      left.line(BETAS, r.old, { role: "paper", label: "published" });
      left.line(BETAS, r.now, { role: "ours", label: "exact" });
      left.hline(p.t, { role: "bound", label: "excess loss" });
      right.axes({ x: [0.001, 1], y: [0, 1.02], logx: true, xlabel: "excess loss (nats)", ylabel: "largest excess error" });
      right.line(r.grid, r.oldBound, { role: "paper" });
      right.line(r.grid, r.nowBound, { role: "ours" });
      right.vline(p.t, { role: "bound" });
      right.handle("excess", { x: "t", y: r.after, label: "excess loss" });
    },
    values(p, r) {
      return [
        ["excess error at most, published", E.format(r.before)],
        ["exact", E.format(r.after)],
        ["exact / published transform at β = 1", E.format(r.now[100] / r.old[100])],
      ];
    },
  });
})();
