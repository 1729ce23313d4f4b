"""Pages made from recorded measurements: parity of the twins, timings of the kernels."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from xent import records
from xent_site.benchmarks import FORMATS
from xent_site.html import raw, table


def load_records(root, prefix: str) -> list[records.Record]:
    """The records whose names begin with ``prefix``, in the order of their names."""
    folder = Path(root) / "results"
    names = sorted(path.stem for path in folder.glob(f"{prefix}*.json"))
    return [records.load(name, folder=folder) for name in names]


def rows_table(rows: list[dict], label: str) -> str:
    """A table of a list of flat records: columns in the order in which they appear."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[shown(row.get(column)) for column in columns] for row in rows]
    return table([escape(c.replace("_", " ")) for c in columns], cells, label=label)


def shown(value) -> str:
    """A number with four significant digits; true and false as words; nothing as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "✓ yes" if value else "✗ no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return escape(value if isinstance(value, str) else json.dumps(value))


def tables_of(record: records.Record) -> str:
    """A record's tables under its origin: in its own format, or every list of rows as it is."""
    text = (
        f"<p class='origin'>{escape(record.origin())}: <code>results/{record.name}.json</code></p>"
    )
    for prefix, formatted in FORMATS.items():
        if record.name.startswith(prefix) and not record.stale:  # earlier code, other columns
            return text + formatted(record)
    for name, value in record.values.items():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            text += rows_table(value, f"{record.name}: {name}")
    return text


class Measured(SphinxDirective):
    """``{measured} parity``: the tables of all records whose names begin so."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        found = load_records(self.env.srcdir, self.arguments[0])
        if not found:
            return [nodes.paragraph("", "Not measured yet.")]
        return [raw("".join(tables_of(record) for record in found))]


def setup(app) -> None:
    app.add_directive("measured", Measured)
