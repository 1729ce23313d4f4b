/* Three ways to compute one float32 loss: which digits survive a wide gap and a common offset? */
Explorable.define("online-softmax", {
  title: "Which way of computing one float32 loss keeps its digits?",
  task: "At a gap of 20 nats one formula returns 0. Add a common offset and see which of the other two keeps six digits.",
  start: { "gap": 20, "offset": 0 },
  params: {
    gap: { label: "gap of the target (nats)", min: 0, max: 60, step: 1 },
    offset: { label: "common offset", min: 0, max: 10000, step: 100 },
  },
  play: "gap",
  compute({ gap, offset }) {
    const round = Math.fround;
    const others = Array.from({ length: 15 }, (_, j) => 2 * Math.sin(3 * (j + 1)));
    const row = (lead) =>
      [lead + Explorable.lse(others), ...others].map((z) => round(z + offset));
    const summed = (z, top) => z.reduce((s, v) => round(s + round(Math.exp(round(v - top)))), 0);
    const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

    function losses(z) {
      const [target, ...rest] = z;
      const top = Math.max(...z);
      const lse = round(top + round(Math.log(summed(z, top))));
      const high = Math.max(...rest);
      const restLse = round(high + round(Math.log(summed(rest, high))));
      const below = z.slice();
      below.splice(z.indexOf(top), 1);
      const r = summed(below, top);
      return {
        exact: Math.log1p(Explorable.sum(rest.map((v) => Math.exp(v - target)))),
        textbook: round(lse - target),
        targetOut: round(softplus(round(restLse - target))),
        maxOut: round(round(top - target) + round(Math.log1p(r))),
        r,
      };
    }

    const gaps = Explorable.linspace(0, 60, 61);
    const found = gaps.map((lead) => losses(row(lead)));
    const error = (name) =>
      found.map((loss) => Math.min(Math.max(Math.abs(loss[name] / loss.exact - 1), 1e-9), 10));
    return {
      gaps,
      exact: found.map((loss) => loss.exact),
      errors: { textbook: error("textbook"), targetOut: error("targetOut"), maxOut: error("maxOut") },
      now: losses(row(gap)),
      maxOut: found.map((loss) => loss.maxOut),
    };
  },
  draw(plot, p, r) {
    plot.axes({ x: [0, 60], y: [1e-9, 10], logy: true, xlabel: "gap of the target (nats)", ylabel: "relative error" });
    plot.line(r.gaps, r.errors.textbook, { role: "failure", label: "lse − target" });
    plot.line(r.gaps, r.errors.targetOut, { role: "bound", label: "target left out, lse first" });
    plot.line(r.gaps, r.errors.maxOut, { role: "ours", label: "maximum left out" });
    plot.vline(p.gap, { role: "ink", label: "gap" });
  },
  values: (p, r) => [
    ["exact loss", `${Explorable.format(r.now.exact, 6)} nats`],
    ["lse − target", Explorable.format(r.now.textbook, 6)],
    ["target left out, lse first", Explorable.format(r.now.targetOut, 6)],
    ["maximum left out", Explorable.format(r.now.maxOut, 6)],
    ["rest r of the state (m, r)", Explorable.format(r.now.r, 6)],
  ],
});
