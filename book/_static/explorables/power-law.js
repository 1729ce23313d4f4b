/* Fit a power law with a constant to eight losses; the interval of the constant explodes when the
   range is short. Given the exponent the law is linear, so the fit and the profile interval of the
   constant need only a search over one number. */
(function () {
  "use strict";
  const E = Explorable;
  const COUNT = 8;
  const TRUTH = 2;
  const INDEX = [0, 1, 2, 3, 4, 5, 6, 7];

  /* eight standard normal numbers that depend on the number of the sample alone */
  function noise(sample) {
    let state = (sample * 2654435761) >>> 0;
    const uniform = () => {
      state = (Math.imul(state ^ (state >>> 15), 2246822519) + 374761393) >>> 0;
      const mixed = Math.imul(state ^ (state >>> 13), 3266489917) >>> 0;
      return ((mixed ^ (mixed >>> 16)) >>> 0) / 4294967296 + 1e-10;
    };
    return INDEX.map(() => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
  }

  /* least squares of loss = constant + amplitude * e: constant, amplitude, error, variance factor */
  function linear(e, loss) {
    const [me, ml] = [E.sum(e) / COUNT, E.sum(loss) / COUNT];
    const see = E.sum(e.map((v) => (v - me) ** 2));
    const amplitude = E.sum(e.map((v, i) => (v - me) * (loss[i] - ml))) / see;
    const constant = ml - amplitude * me;
    const error = E.sum(loss.map((v, i) => (v - constant - amplitude * e[i]) ** 2));
    return { constant, amplitude, error, spread: 1 / COUNT + (me * me) / see };
  }

  function fit(logx, loss) {
    const range = logx[COUNT - 1] - logx[0];
    const mean = E.sum(logx) / COUNT;
    const at = (rho) => linear(logx.map((t) => Math.exp((-rho * (t - logx[0])) / range)), loss);
    const grid = E.logspace(0.01, 40, 400);
    const tried = grid.map(at);
    const best = tried.reduce((b, now, i) => (now.error < tried[b].error ? i : b), 0);
    let [low, high] = [grid[Math.max(best - 1, 0)], grid[Math.min(best + 1, 399)]];
    for (let k = 0; k < 80; k++) {
      const [a, b] = [low + 0.382 * (high - low), low + 0.618 * (high - low)];
      if (at(a).error < at(b).error) high = b; else low = a;
    }
    const rho = (low + high) / 2;
    const found = at(rho);
    const threshold = found.error * (1 + 3.841 / (COUNT - 3));
    const line = linear(logx.map((t) => mean - t), loss);
    const inside = tried.filter((now) => now.error < threshold);
    const reach = (now) => Math.sqrt((threshold - now.error) * now.spread);
    const own = reach(found);
    return {
      lInf: found.constant,
      amplitude: found.amplitude,
      alpha: rho / range,
      rho,
      low: line.error < threshold ? -Infinity
        : Math.min(found.constant - own, ...inside.map((now) => now.constant - reach(now))),
      high: Math.max(found.constant + own, ...inside.map((now) => now.constant + reach(now))),
    };
  }

  const heights = {};
  for (const i of INDEX) {
    heights[`y${i}`] = { label: `loss ${i + 1}`, min: 1.5, max: 3.2, hidden: true };
  }

  E.define("power-law", {
    title: "Which constant do eight losses determine?",
    task: "Shorten the range until the reducible loss falls only twofold, and watch the interval of the constant.",
    start: {
      "decades": 3, "alpha": 0.3, "noise": 0.01, "sample": 1, "drag": false,
      "y0": 3, "y1": 2.743, "y2": 2.552, "y3": 2.41, "y4": 2.305, "y5": 2.227, "y6": 2.169, "y7": 2.126
    },
    params: {
      decades: { label: "range of x in decades", min: 0.3, max: 6, step: 0.1 },
      alpha: { label: "true exponent", min: 0.05, max: 1, step: 0.05 },
      noise: { label: "noise of one run (nats)", min: 0.0005, max: 0.05, log: true },
      sample: { label: "sample", min: 1, max: 40, step: 1 },
      drag: { label: "drag the points instead" },
      ...heights,
    },
    play: "sample",
    height: 320,
    compute(p) {
      const logx = INDEX.map((i) => (p.decades * Math.LN10 * i) / (COUNT - 1));
      const random = noise(p.sample);
      const loss = p.drag
        ? INDEX.map((i) => p[`y${i}`])
        : logx.map((t, i) => TRUTH + Math.exp(-p.alpha * t) + p.noise * random[i]);
      return { logx, loss, ...fit(logx, loss) };
    },
    draw(plot, p, r) {
      const end = p.decades * 1.35;
      const decades = r.logx.map((t) => t / Math.LN10);
      const dense = E.linspace(0, end, 120);
      plot.axes({ x: [-0.03 * end, end], y: [1.5, 3.2], xlabel: "decades of x", ylabel: "loss (nats)" });
      plot.area([p.decades * 1.03, end], [r.low, r.low].map((v) => Math.max(v, 1.4)),
        [r.high, r.high].map((v) => Math.min(v, 3.3)), { role: "failure", label: "95 % interval of the constant" });
      if (!p.drag) plot.hline(TRUTH, { role: "paper", label: "true constant" });
      plot.line(dense, dense.map((d) => r.lInf + r.amplitude * Math.exp(-r.alpha * Math.LN10 * d)),
        { role: "measured", label: "fit" });
      if (!p.drag) plot.points(decades, r.loss, { role: "measured" });
      else INDEX.forEach((i) => plot.handle(`point ${i + 1}`, { x: decades[i], y: `y${i}`, label: `loss ${i + 1}` }));
    },
    values(p, r) {
      return [
        ["fitted constant", E.format(r.lInf) + " nats"],
        ["95 % interval", `${E.format(r.low)} to ${E.format(r.high)} nats`],
        ["fitted exponent", E.format(r.alpha)],
        ["reducible loss falls", E.format(Math.exp(r.rho)) + " times"],
      ];
    },
  });
})();
