"""Random settings of ``softmax-bandit.js``."""

METHODS = ("policy gradient", "natural gradient", "gradient + bonus", "half dropped", "all dropped")
STARTS = ("one likely", "uniform", "right answer rare")
RTOL = 1e-7
ATOL = 1e-9


def parameters(rng) -> dict:
    rewards = {f"r{a}": round(rng.random(), 2) for a in range(4)}
    setting = {"method": str(rng.choice(METHODS)), "start": str(rng.choice(STARTS))}
    return {**setting, "eta": rng.uniform(0.01, 2), "step": int(rng.integers(101)), **rewards}
