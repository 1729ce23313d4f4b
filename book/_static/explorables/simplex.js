/* Three probabilities in a triangle: entropy, cross-entropy and divergences of two laws. */
(function () {
  "use strict";
  const E = Explorable;
  const TOP = Math.sqrt(3) / 2;
  const NAMES = ["sun", "clouds", "rain"];
  const CORNERS = [[0, 0], [1, 0], [0.5, TOP]];
  const FLOOR = 1e-4;

  const xlog = (a, b) => (a > 0 ? a * Math.log(b) : 0);
  const entropy = (p) => -E.sum(p.map((a) => xlog(a, a)));
  const cross = (p, q) => -E.sum(p.map((a, i) => xlog(a, q[i])));
  const kl = (p, q) => cross(p, q) - entropy(p);
  const middle = (p, q) => p.map((a, i) => (a + q[i]) / 2);
  const js = (p, q) => (kl(p, middle(p, q)) + kl(q, middle(p, q))) / 2;
  const variation = (p, q) => E.sum(p.map((a, i) => Math.abs(a - q[i]))) / 2;

  /* the point of the triangle as a law, moved inside if it lies outside */
  function law(x, y) {
    const rain = y / TOP;
    const clouds = x - rain / 2;
    const kept = [1 - rain - clouds, clouds, rain].map((a) => Math.max(a, FLOOR));
    return kept.map((a) => a / E.sum(kept));
  }

  const place = (p) => [p[1] + p[2] / 2, TOP * p[2]];

  const FIELDS = {
    "D(p‖q) as q moves": { at: "p", value: kl },
    "D(q‖p) as q moves": { at: "p", value: (p, q) => kl(q, p) },
    "Jensen–Shannon of p and q": { at: "p", value: js },
    "entropy": { at: "center", value: (center, q) => Math.log(3) - entropy(q) },
  };

  /* The level set around a center: the field grows along every ray from it. */
  function contour(center, field, level) {
    const [cx, cy] = place(center);
    const xs = [];
    const ys = [];
    for (let i = 0; i <= 120; i++) {
      const angle = (2 * Math.PI * i) / 120;
      const [dx, dy] = [Math.cos(angle), Math.sin(angle)];
      const slopes = [-dx - dy / 2 / TOP, dx - dy / 2 / TOP, dy / TOP];
      let high = Math.min(...slopes.map((s, k) => (s < 0 ? -center[k] / s : Infinity)));
      let low = 0;
      const at = (r) => center.map((c, k) => Math.max(c + r * slopes[k], 1e-12));
      if (field(center, at(high)) < level) { xs.push(NaN); ys.push(NaN); continue; }
      for (let k = 0; k < 40; k++) {
        const r = (low + high) / 2;
        if (field(center, at(r)) < level) low = r; else high = r;
      }
      xs.push(cx + low * dx);
      ys.push(cy + low * dy);
    }
    return [xs, ys];
  }

  E.define("simplex", {
    title: "How far apart are two laws on three outcomes?",
    task: "Drag q toward an edge of the triangle: D(p‖q) grows without bound, Jensen–Shannon and total variation do not.",
    start: { "field": "D(p‖q) as q moves", "px": 0.35, "py": 0.0866, "qx": 0.5, "qy": 0.433 },
    params: {
      field: { label: "level sets of", options: Object.keys(FIELDS) },
      px: { label: "p, across", min: 0, max: 1, hidden: true },
      py: { label: "p, up", min: 0, max: TOP, hidden: true },
      qx: { label: "q, across", min: 0, max: 1, hidden: true },
      qy: { label: "q, up", min: 0, max: TOP, hidden: true },
    },
    height: 360,
    compute(c) {
      const [p, q] = [law(c.px, c.py), law(c.qx, c.qy)];
      const { at, value } = FIELDS[c.field];
      const center = at === "p" ? p : [1 / 3, 1 / 3, 1 / 3];
      return {
        p, q, center, level: value(center, q),
        entropyP: entropy(p), entropyQ: entropy(q), cross: cross(p, q),
        forward: kl(p, q), backward: kl(q, p), js: js(p, q), variation: variation(p, q),
      };
    },
    draw(plot, c, r) {
      const field = FIELDS[c.field].value;
      plot.axes({ x: [-0.05, 1.05], y: [-0.1, 0.97], xticks: [], yticks: [], equal: true });
      const ring = [...CORNERS, CORNERS[0]];
      plot.line(ring.map((v) => v[0]), ring.map((v) => v[1]), { role: "ink", width: 1.5 });
      [0.02, 0.1, 0.25, 0.5, 1].forEach((level, i) => {
        const [xs, ys] = contour(r.center, field, level);
        plot.line(xs, ys, { role: "paper", width: 1, label: i ? "" : "0.02, 0.1, 0.25, 0.5 and 1 nats" });
      });
      const [xs, ys] = contour(r.center, field, r.level);
      plot.line(xs, ys, { role: "bound", width: 2, label: "the level of q" });
      CORNERS.forEach(([x, y], i) => plot.text(x, y, NAMES[i], { anchor: "middle", dy: y ? -8 : 18 }));
      for (const [name, point, role] of [["p", r.p, "measured"], ["q", r.q, "bound"]]) {
        const [x, y] = place(point);
        plot.points([x], [y], { role, size: 5 });
        plot.text(x, y, name, { dx: 12, dy: -8 });
      }
      plot.handle("p", { x: "px", y: "py", label: "law p" });
      plot.handle("q", { x: "qx", y: "qy", label: "law q" });
    },
    values(c, r) {
      const list = (p) => p.map((a) => a.toFixed(2)).join(", ");
      const nats = (x) => E.format(x) + " nats";
      return [
        ["p (sun, clouds, rain)", list(r.p)],
        ["q", list(r.q)],
        ["entropy H(p)", nats(r.entropyP)],
        ["cross-entropy H(p,q)", nats(r.cross)],
        ["D(p‖q)", nats(r.forward)],
        ["D(q‖p)", nats(r.backward)],
        ["Jensen–Shannon", nats(r.js)],
        ["total variation", E.format(r.variation)],
        ["Pinsker's bound on it", E.format(Math.sqrt(r.forward / 2))],
      ];
    },
  });
})();
