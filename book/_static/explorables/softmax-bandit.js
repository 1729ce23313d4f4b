/* A softmax bandit of four actions: policy, reward and entropy, and what the covariance predicts. */
Explorable.define("softmax-bandit", {
  title: "Does the covariance predict how entropy falls?",
  task: "Raise the learning rate until the dash-dotted line leaves the entropy; or start where the right answer is rare.",
  start: {
    "method": "policy gradient", "start": "one likely", "eta": 0.5, "step": 20,
    "r0": 0, "r1": 0.6, "r2": 0.3, "r3": 1
  },
  params: {
    method: {
      label: "method",
      options: ["policy gradient", "natural gradient", "gradient + bonus", "half dropped", "all dropped"],
    },
    start: { label: "start", options: ["one likely", "uniform", "right answer rare"] },
    eta: { label: "learning rate η", min: 0.01, max: 2, log: true },
    step: { label: "update", min: 0, max: 100, step: 1 },
    r0: { label: "reward of action 1", min: 0, max: 1, hidden: true },
    r1: { label: "reward of action 2", min: 0, max: 1, hidden: true },
    r2: { label: "reward of action 3", min: 0, max: 1, hidden: true },
    r3: { label: "reward of action 4", min: 0, max: 1, hidden: true },
  },
  panels: 2,
  play: "step",
  compute({ method, start, eta, step, r0, r1, r2, r3 }) {
    const rewards = [r0, r1, r2, r3];
    const starts = { "one likely": [2, 0.5, 0, 0], uniform: [0, 0, 0, 0], "right answer rare": [1, 1, 1, -4] };
    const mean = (pi, x) => Explorable.sum(pi.map((p, a) => p * x[a]));
    const TAU = 0.3; // coefficient of the bonus
    const LIMIT = 0.05; // covariance above which tokens are dropped

    function update(pi, s, H) {
      const A = rewards.map((r) => r - mean(pi, rewards));
      if (method === "natural gradient") return A.map((a) => eta * a);
      const share = { "half dropped": 0.5, "all dropped": 0 }[method];
      const kept = A.map((a, i) => (share !== undefined && (s[i] + H) * a > LIMIT ? share * a : a));
      const total = mean(pi, kept);
      const bonus = method === "gradient + bonus" ? TAU : 0;
      return pi.map((p, i) => eta * p * (kept[i] - total - bonus * (s[i] + H)));
    }

    let z = starts[start];
    const found = { entropy: [], reward: [], predicted: [], policy: [] };
    let law = null;
    for (let n = 0; n <= 100; n++) {
      const lse = Explorable.lse(z);
      const s = z.map((value) => value - lse);
      const pi = s.map(Math.exp);
      const H = -mean(pi, s);
      if (law === null) law = H;
      found.entropy.push(H);
      found.predicted.push(law);
      found.reward.push(mean(pi, rewards));
      found.policy.push(pi);
      const delta = update(pi, s, H);
      law -= mean(pi, s.map((value, a) => (value + H) * delta[a]));
      z = z.map((value, a) => value + delta[a]);
    }
    return { ...found, now: found.policy[step], change: found.entropy[step] - found.entropy[0] };
  },
  draw([left, right], p, r) {
    const actions = [1, 2, 3, 4];
    left.axes({ x: [0.4, 4.6], y: [-0.12, 1.12], yticks: [0, 0.5, 1], xticks: actions, xlabel: "action", ylabel: "probability, reward" });
    left.bars(actions, r.now, { width: 0.55, label: "probability (circles: reward)" });
    actions.forEach((a, i) => left.handle(`r${i}`, { x: a, y: `r${i}`, label: `reward of action ${a}` }));
    const steps = r.entropy.map((_, n) => n);
    right.axes({ x: [0, 100], y: [0, 1.75], xlabel: "update", ylabel: "entropy (nats), reward" });
    right.line(steps, r.entropy, { role: "measured", label: "entropy" });
    right.line(steps, r.predicted, { role: "bound", label: "start − sum of covariances" });
    right.line(steps, r.reward, { role: "ours", label: "reward" });
    right.vline(p.step, { role: "ink", label: "shown" });
  },
  values: (p, r) => [
    ["entropy", `${Explorable.format(r.entropy[p.step])} of ${Explorable.format(Math.log(4))} nats`],
    ["covariance law says", `${Explorable.format(r.predicted[p.step])} nats`],
    ["expected reward", Explorable.format(r.reward[p.step])],
    ["change of entropy so far", `${Explorable.format(r.change)} nats`],
  ],
});
