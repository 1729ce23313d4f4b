"""Records of the kernels as tables that say what they compare."""

from __future__ import annotations

from html import escape

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from xent import records
from xent_site.html import raw, table
from xent_site.targets import peers, targets


def parity(record: records.Record) -> str:
    """One row per twin: errors of value and gradient by backend and dtype."""
    rows, by_twin = record.values["rows"], {}
    for row in rows:
        by_twin.setdefault(row["name"], {})[row["backend"], row["dtype"]] = row
    kinds = sorted({kind for found in by_twin.values() for kind in found})
    cells = [
        [
            f"<code>{escape(name)}</code>",
            *(_errors(found.get(kind)) for kind in kinds),
            _share(found),
        ]
        for name, found in by_twin.items()
    ]
    passed = sum(row["passed"] for row in rows)
    words = (
        f"<p>{passed} of {len(rows)} comparisons are within their tolerance. Each cell gives the "
        "largest error of the values and, below it, of the gradients; the last column the largest "
        "error over what its row allows.</p>"
    )
    names = ["function", *(f"{backend} {dtype}" for backend, dtype in kinds), "of allowed"]
    return words + table(names, cells, label=f"{record.name}: parity of twins")


def _errors(row) -> str:
    if row is None:
        return "–"
    found = [row[key] for key in ("error", "gradient_error") if row[key] is not None]
    text = "<br>".join(f"{float(error):.0e}" for error in found)
    return text if row["passed"] else f"✗ {text}<br><small>{escape(row['worst_case'])}</small>"


def _share(found) -> str:
    pairs = (("error", "tolerance"), ("gradient_error", "gradient_tolerance"))
    shares = [
        float(row[error]) / row[allowed]
        for row in found.values()
        for error, allowed in pairs
        if row[error] is not None
    ]
    return f"{100 * max(shares):.0f} %"


def linear(record: records.Record) -> str:
    """Per shape, loss and gradients by method; then what the statistics cost, then accuracy."""
    text = ""
    for shape in _shapes(record):
        rows = [row for row in record.values["rows"] if row["shape"] == shape]
        text += f"<h3>{_sizes(shape)}</h3>" + _methods(rows, shape) + _statistics(rows, shape)
    return text + _accuracy(record.values["accuracy"])


def attention(record: records.Record) -> str:
    """Per shape and mask, time of each method over that of attention without entropy."""
    text = ""
    for shape in _shapes(record):
        cells = []
        for causal in (False, True):
            rows = [r for r in record.values["rows"] if r["shape"] == shape]
            rows = [r for r in rows if r["causal"] is causal]
            base = {r["pass"]: r.get("seconds") for r in rows if r["method"].startswith("torch")}
            for row in rows:
                mask, times = "causal" if causal else "none", ["–"] * 3
                if "failed" in row:
                    times[0] = _failed(row["failed"])
                else:
                    over = base[row["pass"]] and row["seconds"] / base[row["pass"]]
                    times = [_milliseconds(row), _number(over), _number(row.get("TFLOP/s"))]
                passes = "forward and backward" if row["pass"] == "both" else "forward"
                name = _name(row["method"])
                memory = _number(row.get("extra MiB"))
                cells.append([name, passes, mask, *times, memory])
        batch, heads, tokens, width = shape
        sizes = f"{batch} × {heads} heads, {tokens} tokens, width {width}"
        names = ("method", "pass", "mask", "ms", "over torch", "TFLOP/s", "extra MiB")
        text += f"<h3>{sizes}</h3>" + table(names, cells, label=f"Attention, {sizes}")
    return text


def bandwidth(record: records.Record) -> str:
    """Bytes per second beside a copy's."""
    cells = [
        [
            escape(row["task"]),
            f"{row['shape'][0]} × {row['shape'][1]}",
            escape(row["dtype"]),
            escape(row["backend"]),
            _number(row["GB/s"]),
            _number(row["fraction"]),
        ]
        for row in record.values["rows"]
    ]
    names = ("task", "rows × classes", "dtype", "backend", "GB/s", "of a copy")
    return table(names, cells, label=f"{record.name}: speed beside a copy")


FORMATS = {
    "parity": parity,
    "linear_benchmark": linear,
    "attention_benchmark": attention,
    "softmax_bandwidth": bandwidth,
}


def _shapes(record) -> list:
    shapes = []
    for row in record.values["rows"]:
        if row["shape"] not in shapes:
            shapes.append(row["shape"])
    return shapes


def _sizes(shape) -> str:
    tokens, width, classes = shape
    return f"{tokens} tokens, width {width}, {classes} classes"


def _methods(rows, shape) -> str:
    both = [row for row in rows if row["pass"] == "both"]
    counts = sorted({row.get("threads", 0) for row in both})
    names, columns = ["method", "products"], {row["method"]: [] for row in both}
    for count in counts:
        turn = {row["method"]: row for row in both if row.get("threads", 0) == count}
        fastest = min((row["seconds"] for row in peers(turn.values())), default=None)
        for method, cells in columns.items():
            cells += _times(turn.get(method, {}), count, fastest)
        words = {0: "", 1: ", 1 thread"}.get(count, f", {count} threads")
        names += ["ms" + words, "over the fastest peer" + words]
        names += [f"by the clock{words}"] if count > 1 else []
    first = [row for row in both if row.get("threads", 0) == counts[0]]
    cells = []
    for row in sorted(first, key=lambda row: row.get("seconds", 1e9)):
        name = _name(row["method"]) + (f", {row['tokens']} tokens" if "tokens" in row else "")
        memory = _number(row.get("extra MiB")), _number(row.get("of eager"))
        cells.append([name, str(row["products"]), *columns[row["method"]], *memory])
    names += ["extra MiB", "of eager"]
    return table(names, cells, label="Loss and gradients, " + _sizes(shape))


def _times(row, threads: int, fastest) -> list[str]:
    if "seconds" not in row:
        reason = _failed(row["failed"]) if row else "–"
        return [reason, "–", *["–"] * (threads > 1)]
    over = fastest and row["seconds"] / fastest
    cells = [_milliseconds(row), _number(over)]
    return cells + ([_milliseconds(row, "wall")] if threads > 1 else [])


def _statistics(rows, shape) -> str:
    forward = [r for r in rows if r["pass"] == "forward" and r.get("threads", 1) == 1]
    measured = [row for row in forward if "seconds" in row]
    cells = [
        [
            escape(row["method"].removeprefix("forward: ")),
            _milliseconds(row),
            f"{100 * (row['seconds'] / measured[0]['seconds'] - 1):+.1f} %",
            _number(row["TFLOP/s"]),
        ]
        for row in measured
    ]
    names = ("one forward sweep for", "ms", "over lse alone", "TFLOP/s")
    return table(names, cells, label="Forward sweeps, " + _sizes(shape)) if cells else ""


def _accuracy(rows) -> str:
    cells = [
        [_name(name), *(_failed(v) if isinstance(v, str) else f"{v:.1e}" for v in found)]
        for name in rows[0]
        if name not in ("gap", "loss")
        for found in [[row[name] for row in rows]]
    ]
    columns = ["relative error of the loss", *(f"gap {row['gap']:g}" for row in rows)]
    words = "<h3>Accuracy by the gap of the label's logit to 255 equal others</h3>"
    return words + table(columns, cells, label="Accuracy of the loss")


def _name(method: str) -> str:
    return f"<b>{escape(method)}</b>" if method.startswith("ours") else escape(method)


def _failed(reason: str) -> str:
    return f"failed<br><small>{escape(reason)}</small>"


def _milliseconds(row, key: str = "seconds") -> str:
    return _number(1e3 * row[key])


def _number(value) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


class Targets(SphinxDirective):
    """``{targets}``: every target of the kernels, met or not, by the records."""

    def run(self) -> list[nodes.Node]:
        from xent_site.measured import load_records

        found = {r.name: r for r in load_records(self.env.srcdir, "")}
        cells = []
        for target in targets({name: record.values for name, record in found.items()}):
            verdict = {None: "not-tested", True: "holds", False: "not-reproduced"}[target.met]
            word = {None: "not measured yet", True: "met", False: "not met"}[target.met]
            badge = f'<span class="verdict verdict-{verdict}">{word}</span>'
            measured = escape(target.measured or "–")
            cells.append([target.device, escape(target.says), measured, badge])
        names = ("on", "target", "measured", "")
        return [raw(table(names, cells, label="Targets of the kernels"))]


def setup(app) -> None:
    app.add_directive("targets", Targets)
