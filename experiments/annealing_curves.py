"""Fit the learning-rate annealing law to public loss curves and predict the other schedules.

``--data`` (or the environment variable XENT_DATA) is a folder that holds, at any depth, the folder
``loss_curve_repo`` of the repository thu-yao-01-luo/MultiPowerLaw (MIT license).
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path

import numpy as np

from xent import records
from xent.reference import scaling

PEAK, FLOOR, WARMUP = 3e-4, 3e-5, 2160
WARMUP_AREA = PEAK * WARMUP / 2
SIZES = (25, 100, 400)
BRANCH = {
    "wsd_20000_24000": 20_000,
    "wsdld_20000_24000": 20_000,
    "wsdcon_3": 8000,
    "wsdcon_9": 8000,
    "wsdcon_18": 8000,
    "constant_72000": 24_000,
    "cosine_72000": 2160,
}
TWO = ("constant_24000", "cosine_24000")
THREE = (*TWO, "wsdcon_9")
DECAYS = tuple(float(f"{d:.6g}") for d in 1 - np.geomspace(2e-4, 2e-2, 21))


def schedule(name: str) -> np.ndarray:
    """Learning rate of every step from the end of the warm-up on."""
    kind, *numbers = name.split("_")
    if kind == "wsdcon":
        step = np.arange(WARMUP, 16_000)
        return np.where(step < 8000, PEAK, float(numbers[0]) * 1e-5)
    total = int(numbers[-1])
    step = np.arange(WARMUP, total)
    if kind == "constant":
        return np.full(len(step), PEAK)
    if kind == "cosine":
        turn = np.pi * (step - WARMUP) / (total - WARMUP)
        return FLOOR + (PEAK - FLOOR) * (1 + np.cos(turn)) / 2
    done = np.clip((step - int(numbers[0])) / (total - int(numbers[0])), 0, 1)
    return PEAK * 0.1**done if kind == "wsd" else PEAK - (PEAK - FLOOR) * done


def find(folder, size: int, name: str) -> Path:
    """The file of one curve at or below a folder.

    Raises:
        FileNotFoundError: if it is not there.
    """
    found = sorted(Path(folder).rglob(f"csv_{size}/{name}.csv")) if folder else []
    if not found:
        raise FileNotFoundError(f"no csv_{size}/{name}.csv in {folder!r}; set XENT_DATA")
    return found[0]


def read_curve(folder, size: int, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Schedule, indices of the measured steps in it, and losses."""
    with open(find(folder, size, name), newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    steps = np.array([int(r["step"]) for r in rows]) - WARMUP
    return schedule(name), steps, np.array([float(r["loss"]) for r in rows])


def predict(fit: scaling.AnnealingFit, lr, *, clock: float = 0.0) -> np.ndarray:
    """Loss of the fitted law at every step of a schedule."""
    areas = scaling.annealing_areas(lr, fit.decay, clock=clock, warmup_area=WARMUP_AREA)
    return scaling.annealing_law(*areas, *fit[:4])


def errors_after_branch(fit, curves: dict, names, *, clock: float = 0.0) -> dict:
    """Mean and worst absolute relative error per curve, after it leaves the shared run."""
    found = {}
    for name in names:
        lr, steps, loss = curves[name]
        error = np.abs(predict(fit, lr, clock=clock)[steps] / loss - 1)
        error = error[steps + WARMUP > BRANCH[name]]
        found[name] = [float(error.mean()), float(error.max())]
    return found


def fit_and_predict(curves: dict, train, *, clock: float = 0.0) -> dict:
    """One fit with its parameters and its errors on the curves that it has not seen."""
    used = [curves[name] for name in train]
    fit = scaling.fit_annealing(used, decay=DECAYS, clock=clock, warmup_area=WARMUP_AREA)
    unseen = [name for name in BRANCH if name not in train]
    return {"fit": fit._asdict(), "errors": errors_after_branch(fit, curves, unseen, clock=clock)}


def without_annealing(curves: dict, train) -> dict:
    """The law with C = 0: a power law in the area alone."""
    s1, loss = [], []
    for name in train:
        lr, steps, values = curves[name]
        s1.append(WARMUP_AREA + np.cumsum(lr)[steps])
        loss.append(values)
    fit = scaling.fit_power_law(
        np.concatenate(s1), np.concatenate(loss), huber=1e-3, log=True, bootstrap=0
    )
    law = scaling.AnnealingFit(fit.l_inf, fit.x0**fit.alpha, fit.alpha, 0.0, 0.0, fit.objective)
    unseen = [name for name in BRANCH if name not in train]
    return {"fit": law._asdict(), "errors": errors_after_branch(law, curves, unseen)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("XENT_DATA"), help="default: XENT_DATA")
    parser.add_argument("--out", default="results")
    parser.add_argument("--commit")
    options = parser.parse_args()
    values = {"files": {}, "fits": {}}
    for size in SIZES:
        curves = {name: read_curve(options.data, size, name) for name in (*TWO, *BRANCH)}
        for name in curves:
            path = find(options.data, size, name)
            values["files"][f"{size}/{name}"] = records.file_hash(path)
        fits = {}
        for key, train in (("two", TWO), ("three", THREE)):
            for clock in (0.0, 0.25, 0.5, 1.0):
                fits[f"{key} {clock:g}"] = fit_and_predict(curves, train, clock=clock)
        fits["two without"] = without_annealing(curves, TWO)
        values["fits"][str(size)] = fits
        rerun = np.interp(curves["constant_24000"][1], *curves["constant_72000"][1:])
        gap = rerun / curves["constant_24000"][2] - 1
        values.setdefault("noise_floor", {})[str(size)] = float(np.sqrt(np.mean(gap**2)))
    records.save(
        "annealing_curves",
        values,
        script=__file__,
        measures=("xent.reference.scaling",),
        out=options.out,
        commit=options.commit,
    )


if __name__ == "__main__":
    main()
