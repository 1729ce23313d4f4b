/* Policies over three responses: where a gradient step raises entropy and where it lowers it. */
(function () {
  "use strict";
  const E = Explorable;
  const TOP = Math.sqrt(3) / 2;
  const NAMES = ["A", "B", "C"];
  const CORNERS = [[0, 0], [1, 0], [0.5, TOP]];
  const FLOOR = 1e-3;
  const STEPS = 80;
  const RATES = { "policy gradient": 0.5, "natural gradient": 0.1 };

  /* 171 policies, evenly over the triangle */
  const LATTICE = [];
  for (let i = 1; i < 19; i++) for (let j = 1; i + j < 20; j++) LATTICE.push([i / 20, j / 20, (20 - i - j) / 20]);

  const mean = (p, x) => E.sum(p.map((a, i) => a * x[i]));
  const entropy = (p) => -mean(p, p.map(Math.log));
  const place = (p) => [p[1] + p[2] / 2, TOP * p[2]];

  /* the point of the triangle as a policy, moved inside if it lies outside */
  function policy(x, y) {
    const third = y / TOP;
    const kept = [1 - third / 2 - x, x - third / 2, third].map((a) => Math.max(a, FLOOR));
    return kept.map((a) => a / E.sum(kept));
  }

  /* the logits' change for a unit step */
  function delta(p, rewards, method) {
    const advantages = rewards.map((r) => r - mean(p, rewards));
    return method === "natural gradient" ? advantages : advantages.map((a, i) => p[i] * a);
  }

  /* minus the covariance of log-probability and change */
  function rate(p, rewards, method) {
    const s = p.map(Math.log);
    const change = delta(p, rewards, method);
    return mean(p, s) * mean(p, change) - mean(p, s.map((value, i) => value * change[i]));
  }

  E.define("policy-triangle", {
    title: "Where does a gradient step raise the entropy?",
    task: "Triangles mark policies whose entropy rises, dots those whose entropy falls. Make the best response rare and follow the path.",
    start: { "method": "policy gradient", "r0": 1, "r1": 0.3, "r2": 0, "x": 0.725, "y": 0.2165 },
    params: {
      method: { label: "method", options: Object.keys(RATES) },
      r0: { label: "reward of A", min: 0, max: 1, step: 0.05 },
      r1: { label: "reward of B", min: 0, max: 1, step: 0.05 },
      r2: { label: "reward of C", min: 0, max: 1, step: 0.05 },
      x: { label: "policy, across", min: 0, max: 1, hidden: true },
      y: { label: "policy, up", min: 0, max: TOP, hidden: true },
    },
    height: 340,
    compute({ method, r0, r1, r2, x, y }) {
      const rewards = [r0, r1, r2];
      const start = policy(x, y);
      const path = [start];
      let z = start.map(Math.log);
      for (let n = 0; n < STEPS; n++) {
        const change = delta(path[n], rewards, method);
        z = z.map((value, i) => value + RATES[method] * change[i]);
        path.push(E.softmax(z));
      }
      return {
        policy: start, path,
        entropy: entropy(start),
        rate: rate(start, rewards, method),
        reward: mean(start, rewards),
        rates: LATTICE.map((p) => rate(p, rewards, method)),
        highest: Math.max(...path.map(entropy)),
        last: entropy(path[STEPS]),
      };
    },
    draw(plot, p, r) {
      plot.axes({ x: [-0.05, 1.05], y: [-0.1, 0.97], xticks: [], yticks: [], equal: true });
      const ring = [...CORNERS, CORNERS[0]];
      plot.line(ring.map((v) => v[0]), ring.map((v) => v[1]), { role: "ink", width: 1.5 });
      const draw = (keep, options) => {
        const at = LATTICE.filter((_, i) => keep(r.rates[i])).map(place);
        plot.points(at.map((v) => v[0]), at.map((v) => v[1]), options);
      };
      draw((v) => v > 0, { role: "bound", size: 3.4, label: "entropy rises" });
      draw((v) => v < 0, { role: "measured", size: 2, label: "entropy falls" });
      const way = r.path.map(place);
      plot.line(way.map((v) => v[0]), way.map((v) => v[1]), { role: "ink", width: 2.5, label: "80 steps" });
      CORNERS.forEach(([x, y], i) => plot.text(x, y, NAMES[i], { anchor: "middle", dy: y ? -8 : 18 }));
      plot.handle("policy", { x: "x", y: "y", label: "policy" });
    },
    values: (p, r) => [
      ["policy (A, B, C)", r.policy.map((a) => a.toFixed(2)).join(", ")],
      ["expected reward", E.format(r.reward)],
      ["entropy", `${E.format(r.entropy)} nats`],
      ["its change per unit step", `${E.format(r.rate)} nats`],
      ["highest on the path", `${E.format(r.highest)} nats`],
      ["after 80 steps", `${E.format(r.last)} nats`],
    ],
  });
})();
