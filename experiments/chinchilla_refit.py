"""Refit the additive law of size and data to the digitized points of Chinchilla's Figure 4.

``--data`` (or the environment variable XENT_DATA) is a folder that holds, at any depth,
``svg_extracted_data.csv`` from the repository epoch-research/analyzing-chinchilla; the points are
not part of this project.
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path

import numpy as np
from scipy import optimize

from xent import records
from xent.reference import scaling

FILE = "svg_extracted_data.csv"
OUTLIERS = 5  # the runs with the fewest tokens per parameter, which the replication leaves out
REPLICATION = (1.8172, 482.01, 2085.43, 0.3478, 0.3658)
HOFFMANN = tuple(np.exp([0.5267228, 6.0073404, 6.0179186])) + (0.33917084, 0.2849083)
ROUNDED = (1.69, 406.4, 410.7, 0.34, 0.28)
BUDGETS = 10.0 ** np.arange(18, 26.5, 0.5)


def find(folder) -> Path:
    """The data file at or below a folder.

    Raises:
        FileNotFoundError: if it is not there.
    """
    found = sorted(Path(folder).rglob(FILE)) if folder else []
    if not found:
        raise FileNotFoundError(f"no {FILE} in {folder!r}; give --data or set XENT_DATA")
    return found[0]


def read_points(folder) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parameters, tokens and losses, by falling tokens per parameter."""
    with open(find(folder), newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    columns = [[float(r[k]) for r in rows] for k in ("Model Size", "Training FLOP", "loss")]
    params, compute, loss = map(np.array, columns)
    tokens = compute / (6 * params)
    order = np.argsort(-tokens / params)
    return params[order], tokens[order], loss[order]


def shape_of(params, tokens) -> dict:
    """Moments of the design, from which a table of the same shape can be drawn."""
    n, d = np.log(params), np.log(tokens)
    return {
        "points": len(params),
        "log_params": [n.mean(), n.std(), n.min(), n.max()],
        "log_tokens": [d.mean(), d.std(), d.min(), d.max()],
        "correlation": np.corrcoef(n, d)[0, 1],
    }


def raw_objective(params, tokens, loss, huber=1e-3):
    """Sum of Huber's function and its gradient in (ln E, ln A, ln B, alpha, beta), not centered."""
    n, d, target = np.log(params), np.log(tokens), np.log(loss)

    def objective(theta):
        e, a, b, alpha, beta = theta
        terms = np.stack([np.full_like(n, e), a - alpha * n, b - beta * d], axis=1)
        top = terms.max(axis=1)
        log_law = top + np.log(np.exp(terms - top[:, None]).sum(axis=1))
        share = np.exp(terms - log_law[:, None])
        slopes = np.stack([-share[:, 1] * n, -share[:, 2] * d], axis=1)
        residual = log_law - target
        pull = np.clip(residual, -huber, huber)
        gradient = pull @ np.concatenate([share, slopes], axis=1)
        return scaling.huber_loss(residual, huber).sum(), gradient

    return objective


def early_stopping(params, tokens, loss, *, mean: bool) -> list[float]:
    """Best of L-BFGS-B runs with SciPy's default tolerances from part of the published grid."""
    objective = raw_objective(params, tokens, loss)
    unit = 1 / len(loss) if mean else 1.0
    best = (np.inf, None)
    for a in (0.0, 10.0, 20.0):
        for e in (-1.0, 0.0, 1.0):
            for exponent in (0.0, 0.5, 1.0):
                found = optimize.minimize(
                    lambda t: tuple(unit * part for part in objective(t)),
                    [e, a, a, exponent, exponent],
                    jac=True,
                    method="L-BFGS-B",
                )
                best = min(best, (found.fun / unit, tuple(found.x)))
    e, a, b, alpha, beta = best[1]
    return [*np.exp([e, a, b]), alpha, beta, best[0]]


def condition_number(params, tokens, loss, fit, *, centered: bool) -> float:
    """Condition number of the Hessian of the objective at the optimum, by differences."""
    n0, d0 = (np.log(params).mean(), np.log(tokens).mean()) if centered else (0.0, 0.0)
    objective = raw_objective(params / np.exp(n0), tokens / np.exp(d0), loss)
    e, a, b, alpha, beta = fit[:5]
    at = np.array([np.log(e), np.log(a) - alpha * n0, np.log(b) - beta * d0, alpha, beta])
    step = 1e-6
    columns = [
        (objective(at + step * u)[1] - objective(at - step * u)[1]) / (2 * step) for u in np.eye(5)
    ]
    return float(np.linalg.cond((np.array(columns) + np.array(columns).T) / 2))


def profile(params, tokens, loss, fit, constants) -> list[float]:
    """Objective above the minimum, in units of chi-squared(1), with E held fixed."""
    residual = np.log(scaling.chinchilla_law(params, tokens, *fit[:5])) - np.log(loss)
    pull = np.clip(residual, -1e-3, 1e-3)
    unit = np.mean(np.abs(residual) <= 1e-3) / np.mean(pull**2)
    n0, d0 = np.log(params).mean(), np.log(tokens).mean()
    objective = raw_objective(params / np.exp(n0), tokens / np.exp(d0), loss)
    start = np.array([np.log(fit.a) - fit.alpha * n0, np.log(fit.b) - fit.beta * d0])
    theta, raised = np.concatenate([start, [fit.alpha, fit.beta]]), []
    for constant in constants:

        def held(t, constant=constant):
            value, gradient = objective(np.concatenate([[np.log(constant)], t]))
            return value * 1e6, gradient[1:] * 1e6

        found = optimize.minimize(held, theta, jac=True, method="BFGS", options={"gtol": 1e-6})
        raised.append(float(2 * unit * (found.fun / 1e6 - fit.objective)))
    return raised


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("XENT_DATA"), help="default: XENT_DATA")
    parser.add_argument("--out", default="results")
    parser.add_argument("--bootstrap", type=int, default=600)
    parser.add_argument("--commit")
    options = parser.parse_args()
    everything = read_points(options.data)
    kept = tuple(column[:-OUTLIERS] for column in everything)
    fit = scaling.fit_chinchilla(*kept)
    residual = np.log(scaling.chinchilla_law(*kept[:2], *fit[:5])) - np.log(kept[2])
    unit = np.mean(np.abs(residual) <= 1e-3) / np.mean(np.clip(residual, -1e-3, 1e-3) ** 2)
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(options.bootstrap):
        index = rng.integers(len(residual), size=len(residual))
        again = scaling.fit_chinchilla(*(c[index] for c in kept), starts=[fit[:5]])
        draws.append([float(f"{value:.6g}") for value in again[:5]])
    constants = [1.69, 1.73, 1.75, 1.77, 1.79, 1.80, fit.e, 1.83, 1.84, 1.85, 1.87, 1.9]
    named = {"replication": REPLICATION, "hoffmann": HOFFMANN, "rounded": ROUNDED}
    objectives = {key: scaling.chinchilla_objective(*kept, value) for key, value in named.items()}
    values = {
        "file": {FILE: records.file_hash(find(options.data))},
        "design": shape_of(*kept[:2]),
        "fit": fit._asdict(),
        "fit_all": scaling.fit_chinchilla(*everything)._asdict(),
        "objectives": objectives,
        "chi2": {key: 2 * unit * (value - fit.objective) for key, value in objectives.items()},
        "residual_rms": float(np.sqrt(np.mean(residual**2))),
        "residual_median": float(np.median(residual)),
        "rounded_mean_residual": float(
            np.mean(np.log(kept[2]) - np.log(scaling.chinchilla_law(*kept[:2], *ROUNDED)))
        ),
        "quadratic_zone": int(np.sum(np.abs(residual) <= 1e-3)),
        "sum_of_losses": early_stopping(*kept, mean=False),
        "mean_of_losses": early_stopping(*kept, mean=True),
        "condition_raw": condition_number(*kept, fit, centered=False),
        "condition_centered": condition_number(*kept, fit, centered=True),
        "profile": {"e": constants, "chi2": profile(*kept, fit, constants)},
        "bootstrap": draws,
    }
    records.save(
        "chinchilla_refit",
        values,
        script=__file__,
        measures=("xent.reference.scaling",),
        seeds=[0],
        out=options.out,
        commit=options.commit,
    )


if __name__ == "__main__":
    main()
