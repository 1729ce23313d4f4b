"""Random settings of ``safe-step.js``."""


def parameters(rng) -> dict:
    return {"distance": 10 ** rng.uniform(-1, 0.69), "step": rng.uniform(0, 12)}
