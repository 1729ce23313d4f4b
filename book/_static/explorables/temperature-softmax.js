/* Three logits and a temperature: how softmax(z / τ) and its entropy change. */
Explorable.define("temperature-softmax", {
  title: "What does a temperature do to three probabilities?",
  task: "Lower τ until one class has nearly everything; then raise it and see toward which value the entropy grows.",
  start: { "tau": 1, "z0": 2, "z1": 1, "z2": -0.5 },
  params: {
    tau: { label: "temperature τ", min: 0.1, max: 10, log: true },
    z0: { label: "logit 1", min: -3, max: 3, hidden: true },
    z1: { label: "logit 2", min: -3, max: 3, hidden: true },
    z2: { label: "logit 3", min: -3, max: 3, hidden: true },
  },
  panels: 2,
  compute({ tau, z0, z1, z2 }) {
    const scaled = [z0, z1, z2].map((z) => z / tau);
    const probs = Explorable.softmax(scaled);
    const lse = Explorable.lse(scaled);
    const entropy = lse - Explorable.sum(probs.map((p, i) => p * scaled[i]));
    return { probs, lse, entropy };
  },
  draw([left, right], p, r) {
    const z = [p.z0, p.z1, p.z2];
    left.axes({ x: [0.4, 3.6], y: [-3.2, 3.2], xticks: [1, 2, 3], xlabel: "class", ylabel: "logit z" });
    left.bars([1, 2, 3], z, { role: "paper" });
    z.forEach((_, i) => left.handle(`z${i}`, { x: i + 1, y: `z${i}`, label: `logit ${i + 1}` }));
    right.axes({ x: [0.4, 3.6], y: [0, 1.1], xticks: [1, 2, 3], xlabel: "class", ylabel: "softmax(z / τ)" });
    right.bars([1, 2, 3], r.probs, { names: r.probs.map((q) => Explorable.format(q)) });
  },
  values: (p, r) => [
    ["entropy", `${Explorable.format(r.entropy)} of ${Explorable.format(Math.log(3))} nats`],
    ["log-sum-exp of z / τ", Explorable.format(r.lse)],
    ["largest probability", Explorable.format(Math.max(...r.probs))],
  ],
});
