"""Records of the kernels as tables that say what they compare."""

from __future__ import annotations

from html import escape

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from xent import records
from xent_site.html import raw, table
from xent_site.targets import peers, targets


def parity(record: records.Record) -> str:
    """Worst error and allowed error of every twin."""
    rows = record.values["rows"]
    passed = sum(row["passed"] for row in rows)
    cells = [
        [
            f"<code>{escape(row['name'])}</code>",
            escape(row["backend"]),
            escape(row["dtype"]),
            _pair(row["error"], row["tolerance"]),
            _pair(row["gradient_error"], row["gradient_tolerance"]),
            str(row["cases"]),
            "✓" if row["passed"] else f"✗ {escape(row['worst_case'])}",
        ]
        for row in rows
    ]
    names = ("function", "backend", "dtype", "error/allowed", "gradient's", "cases", "agrees")
    words = f"<p>{passed} of {len(rows)} comparisons within their tolerance.</p>"
    return words + table(names, cells, label=f"{record.name}: parity of twins")


def linear(record: records.Record) -> str:
    """Per shape, loss and gradients by method; then what the statistics cost, then accuracy."""
    text = ""
    for shape in _shapes(record):
        rows = [row for row in record.values["rows"] if row["shape"] == shape]
        text += f"<h4>{_sizes(shape)}</h4>" + _methods(rows, shape) + _statistics(rows, shape)
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
        text += f"<h4>{sizes}</h4>" + table(names, cells, label=f"Attention, {sizes}")
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
    names, columns = ["method", "products"], {}
    for count in counts:
        turn = [row for row in both if row.get("threads", 0) == count]
        fastest = min((row["seconds"] for row in peers(turn)), default=None)
        for row in turn:
            columns.setdefault(row["method"], []).extend(_times(row, count, fastest))
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
    if "failed" in row:
        return [_failed(row["failed"]), "–", *["–"] * (threads > 1)]
    over = fastest and row["seconds"] / fastest
    cells = [_milliseconds(row), _number(over)]
    return cells + ([_milliseconds(row, "wall")] if threads > 1 else [])


def _statistics(rows, shape) -> str:
    cells, base = [], {}
    for row in (row for row in rows if row["pass"] == "forward" and "seconds" in row):
        threads = row.get("threads", 0)
        base.setdefault(threads, row["seconds"])
        wanted = escape(row["method"].removeprefix("forward: "))
        cost = f"{100 * (row['seconds'] / base[threads] - 1):+.1f} %"
        speed = _number(row["TFLOP/s"])
        cells.append([wanted, str(threads or "–"), _milliseconds(row), cost, speed])
    names = ("one forward sweep for", "threads", "ms", "over lse alone", "TFLOP/s")
    return table(names, cells, label="Forward sweeps, " + _sizes(shape)) if cells else ""


def _accuracy(rows) -> str:
    cells = [
        [_name(name), *(_failed(v) if isinstance(v, str) else f"{v:.1e}" for v in found)]
        for name in rows[0]
        if name not in ("gap", "loss")
        for found in [[row[name] for row in rows]]
    ]
    columns = ["relative error of the loss", *(f"gap {row['gap']:g}" for row in rows)]
    words = "<h4>Accuracy by the gap of the label's logit to 255 equal others</h4>"
    return words + table(columns, cells, label="Accuracy of the loss")


def _name(method: str) -> str:
    return f"<b>{escape(method)}</b>" if method.startswith("ours") else escape(method)


def _failed(reason: str) -> str:
    return f"failed<br><small>{escape(reason)}</small>"


def _pair(error, allowed) -> str:
    if error is None:
        return "–"
    return "/".join(f"{x:.0e}" if isinstance(x, float) else str(x) for x in (error, allowed))


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
