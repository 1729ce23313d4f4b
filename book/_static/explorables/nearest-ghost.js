/* Three classes along a step: zeros of the partition function, Taylor disc, loss and partial sums. */
(function () {
  "use strict";

  /* The softmax at the real step u, and F(u + iy) / F(u) as a pair (real, imaginary). */
  function probabilities(z, a, u) {
    return Explorable.softmax(z.map((value, k) => value + a[k] * u));
  }

  function phi(z, a, u, y) {
    const p = probabilities(z, a, u);
    return [
      Explorable.sum(p.map((value, k) => value * Math.cos(a[k] * y))),
      Explorable.sum(p.map((value, k) => value * Math.sin(a[k] * y))),
    ];
  }

  /* Newton's method for F from one starting point; null if it does not arrive. */
  function newton(z, a, u, y) {
    const spread = Math.max(...a) - Math.min(...a);
    for (let i = 0; i < 60; i++) {
      const p = probabilities(z, a, u);
      let [fr, fi, dr, di] = [0, 0, 0, 0];
      p.forEach((value, k) => {
        const [c, s] = [value * Math.cos(a[k] * y), value * Math.sin(a[k] * y)];
        fr += c; fi += s; dr += a[k] * c; di += a[k] * s;
      });
      const size = dr * dr + di * di;
      if (size < 1e-30) return null;
      let [su, sy] = [(fr * dr + fi * di) / size, (fi * dr - fr * di) / size];
      const shrink = Math.max(1, Math.hypot(su, sy) * spread);
      u -= su / shrink; y = Math.abs(y - sy / shrink);
      if (Math.hypot(su, sy) * spread < 1e-13) break;
    }
    const [fr, fi] = phi(z, a, u, y);
    return Math.hypot(fr, fi) < 1e-9 ? [u, y] : null;
  }

  /* Zeros in the upper half of the disc |t| < radius, nearest first. */
  function zeros(z, a, radius) {
    const spread = Math.max(...a) - Math.min(...a);
    const step = Math.PI / (2 * spread);
    const found = [];
    for (let u = -radius; u <= radius; u += step) {
      if (Math.max(...probabilities(z, a, u)) > 0.85) continue;
      for (let y = Math.PI / spread; y <= radius; y += step) {
        const root = newton(z, a, u, y);
        if (root && Math.hypot(...root) < radius &&
            found.every((other) => Math.hypot(root[0] - other[0], root[1] - other[1]) > 2e-3 / spread)) found.push(root);
      }
    }
    return found.sort((one, two) => Math.hypot(...one) - Math.hypot(...two));
  }

  /* Coefficients of log F at 0 up to a degree: n c_n = n f_n - sum_k k c_k f_{n-k}. */
  function coefficients(z, a, degree) {
    const p = Explorable.softmax(z);
    const mean = Explorable.sum(p.map((value, k) => value * a[k]));
    const powers = p.slice();
    const f = [1];
    const scaled = [0];
    for (let n = 1; n <= degree; n++) {
      a.forEach((slope, k) => { powers[k] *= (slope - mean) / n; });
      f.push(Explorable.sum(powers));
      let value = n * f[n];
      for (let k = 1; k < n; k++) value -= scaled[k] * f[n - k];
      scaled.push(value);
    }
    scaled[1] = mean;
    return scaled.map((value, n) => (n ? value / n : Explorable.lse(z)));
  }

  Explorable.define("nearest-ghost", {
    title: "How far does the Taylor series of a loss reach?",
    task: "Raise the degree: inside the dotted lines the polynomial closes in on the loss, outside it runs away. Drag a class and the ghosts move.",
    start: { "degree": 16, "z1": 2, "z2": 0, "z3": -1, "a1": -1, "a2": 0.5, "a3": 1 },
    params: {
      degree: { label: "degree of the Taylor polynomial", min: 1, max: 60, step: 1 },
      z1: { label: "logit 1 (the label)", min: -4, max: 4, hidden: true },
      z2: { label: "logit 2", min: -4, max: 4, hidden: true },
      z3: { label: "logit 3", min: -4, max: 4, hidden: true },
      a1: { label: "slope 1", min: -2, max: 2, hidden: true },
      a2: { label: "slope 2", min: -2, max: 2, hidden: true },
      a3: { label: "slope 3", min: -2, max: 2, hidden: true },
    },
    panels: 3,
    play: "degree",
    compute(p) {
      const z = [p.z1, p.z2, p.z3];
      const a = [p.a1, p.a2, p.a3];
      const spread = Math.max(...a) - Math.min(...a);
      const bound = Math.PI / spread;
      let ghosts = [];
      for (let radius = 6; spread > 0.02 && !ghosts.length && radius < 2000; radius *= 1.5) ghosts = zeros(z, a, radius);
      const radius = ghosts.length ? Math.hypot(...ghosts[0]) : Infinity;
      return { radius, bound, spread, ghosts: ghosts.map(([u, y]) => ({ u, y })), series: coefficients(z, a, p.degree) };
    },
    draw([left, middle, right], p, r) {
      const z = [p.z1, p.z2, p.z3];
      const a = [p.a1, p.a2, p.a3];
      left.axes({ x: [-2.2, 2.2], y: [-4.4, 4.4], xlabel: "slope a", ylabel: "logit z" });
      [1, 2, 3].forEach((k) => {
        left.handle(`class ${k}`, { x: `a${k}`, y: `z${k}`, label: `class ${k}: slope and logit` });
        left.text(p[`a${k}`], p[`z${k}`], String(k), { anchor: "middle", dy: -14 });
      });

      middle.axes({ x: [-6, 6], y: [-6, 6], xlabel: "Re t", ylabel: "Im t", equal: true });
      middle.heat((u, y) => Math.hypot(...phi(z, a, u, y)));
      const turn = Explorable.linspace(0, 2 * Math.PI, 121);
      const circle = (size, role, label) => Number.isFinite(size) && size < 50 &&
        middle.line(turn.map((s) => size * Math.cos(s)), turn.map((s) => size * Math.sin(s)), { role, label });
      circle(r.radius, "failure", "radius");
      circle(r.bound, "bound", "π / spread");
      const [us, ys] = [r.ghosts.map((g) => g.u), r.ghosts.map((g) => g.y)];
      middle.points([...us, ...us], [...ys, ...ys.map((y) => -y)], { role: "failure", size: 5, label: "ghosts" });

      const ts = Explorable.linspace(-6, 6, 241);
      const loss = ts.map((t) => Explorable.lse(z.map((value, k) => value + a[k] * t)) - p.z1 - p.a1 * t);
      const sum = ts.map((t) => r.series.reduceRight((total, c) => total * t + c, 0) - p.z1 - p.a1 * t);
      const top = Math.max(3, ...loss.filter((_, i) => Math.abs(ts[i]) < 3)) * 1.4;
      right.axes({ x: [-6, 6], y: [-0.3 * top, top], xlabel: "step t", ylabel: "loss (nats)" });
      if (r.radius < 6) [-r.radius, r.radius].forEach((t, i) => right.vline(t, { role: "failure", label: i ? "± radius" : "" }));
      right.line(ts, sum, { role: "bound", label: `degree ${p.degree}` });
      right.line(ts, loss, { role: "measured", label: "loss" });
    },
    values: (p, r) => [
      ["nearest ghost at distance", Explorable.format(r.radius)],
      ["π / spread (the paper's bound)", Explorable.format(r.bound)],
      ["nearest ghost", r.ghosts.length ? `${Explorable.format(r.ghosts[0].u)} ± ${Explorable.format(r.ghosts[0].y)} i` : "none in view"],
    ],
  });
})();
