"""Fields of a panel: their configuration, and the tables that transformations make of them."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .source import Series

Config = dict[str, Any]
Table = dict[str, list[Any]]
"""Columns by name, all of one length."""


def config_of(panel: Mapping[str, Any], name: str, ref: str = "") -> Config:
    """Return the configuration of a field: the panel's, and what overrides of its name say."""
    config: Config = {**panel["fieldConfig"]["defaults"]}
    config["custom"] = {**config.get("custom", {})}
    for override in panel["fieldConfig"]["overrides"]:
        kind, options = override["matcher"]["id"], override["matcher"]["options"]
        matches = {
            "byName": lambda o=options: o == name,
            "byNames": lambda o=options: name in o["names"],
            "byRegexp": lambda o=options: re.search(o.strip("/"), name) is not None,
            "byFrameRefID": lambda o=options: o == ref,
        }[kind]
        for each in override["properties"] if matches() else ():
            if each["id"].startswith("custom."):
                config["custom"][each["id"].removeprefix("custom.")] = each["value"]
            else:
                config[each["id"]] = each["value"]
    return config


def reduce(values: Sequence[Any], calculation: str) -> float | None:
    """Return one number of many, as the calculations of stats and legends are called."""
    found = [value for value in values if isinstance(value, float) and not math.isnan(value)]
    if not found:
        return None
    calculations: dict[str, Callable[[list[float]], float]] = {
        "lastNotNull": lambda f: f[-1],
        "last": lambda f: f[-1],
        "firstNotNull": lambda f: f[0],
        "first": lambda f: f[0],
        "max": max,
        "min": min,
        "mean": lambda f: sum(f) / len(f),
        "sum": sum,
        "count": lambda f: float(len(f)),
        "range": lambda f: max(f) - min(f),
        "diff": lambda f: f[-1] - f[0],
    }
    return calculations[calculation](found)


def tables_of(series: Sequence[Series], panel: Mapping[str, Any]) -> list[Table]:
    """Return a table for each query: time, labels, value."""
    refs = [target["refId"] for target in panel["targets"] if not target.get("hide")]
    tables = []
    for ref in refs:
        rows = [each for each in series if each.ref == ref and each.values]
        labels = sorted({label for each in rows for label in each.labels})
        value = "Value" if len(refs) == 1 else f"Value #{ref}"
        table: Table = {"Time": [each.times[-1] * 1000 for each in rows]}
        table |= {label: [each.labels.get(label, "") for each in rows] for label in labels}
        tables.append({**table, value: [each.values[-1] for each in rows]})
    return tables


def transformed(tables: list[Table], panel: Mapping[str, Any]) -> Table:
    """Return the one table that a panel's transformations leave."""
    for each in panel.get("transformations", ()):
        tables = TRANSFORMATIONS[each["id"]](tables, each["options"])
    return tables[0] if tables else {}


def _merge(tables: list[Table], options: Config) -> list[Table]:
    """Put what has the same labels into one row."""
    names = list(dict.fromkeys(name for table in tables for name in table))
    rows: list[Config] = []
    for table in tables:
        for row in _rows(table):
            keys = [name for name in row if name != "Time" and not name.startswith("Value")]
            same = [
                known
                for known in rows
                if all(known.get(key, row[key]) == row[key] for key in keys)
                and not any(n.startswith("Value") and n in known for n in row)
            ]
            if same:
                for known in same:
                    known.update(row)
            else:
                rows.append(dict(row))
    return [{name: [row.get(name) for row in rows] for name in names}]


def _organize(tables: list[Table], options: Config) -> list[Table]:
    order = options.get("indexByName", {})
    excluded = options.get("excludeByName", {})
    included = options.get("includeByName", {})
    names = options.get("renameByName", {})
    return [
        {
            names.get(name, name): column
            for name, column in sorted(table.items(), key=lambda item: order.get(item[0], 99))
            if not excluded.get(name) and (not included or included.get(name))
        }
        for table in tables
    ]


def _matrix(tables: list[Table], options: Config) -> list[Table]:
    column, row, value = (options[f"{key}Field"] for key in ("column", "row", "value"))
    (table,) = tables
    if row not in table:
        return [{}]
    heads, columns = (list(dict.fromkeys(table[name])) for name in (row, column))
    cells = {(each[row], each[column]): each[value] for each in _rows(table)}
    matrix = {f"{row}\\{column}": heads}
    return [matrix | {name: [cells.get((head, name)) for head in heads] for name in columns}]


def _convert(tables: list[Table], options: Config) -> list[Table]:
    for conversion in options["conversions"]:
        assert conversion["destinationType"] == "number", conversion
        for table in tables:
            name = conversion["targetField"]
            if name in table:
                table[name] = [float(value) for value in table[name]]
    return tables


def _sort(tables: list[Table], options: Config) -> list[Table]:
    for sort in options["sort"]:
        for index, table in enumerate(tables):
            if sort["field"] in table:
                rows = sorted(
                    _rows(table),
                    key=lambda row: (row[sort["field"]] is None, row[sort["field"]]),
                    reverse=sort.get("desc", False),
                )
                tables[index] = {name: [row[name] for row in rows] for name in table}
    return tables


def _join(tables: list[Table], options: Config) -> list[Table]:
    by = options["byField"]
    rows: dict[Any, Config] = {}
    for index, table in enumerate(tables, 1):
        for row in _rows(table):
            named = {
                name if name == by or name.startswith("Value") else f"{name} {index}": value
                for name, value in row.items()
            }
            rows.setdefault(row[by], {}).update(named)
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    return [{name: [row.get(name) for row in rows.values()] for name in names}]


def _rows(table: Table) -> list[Config]:
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


TRANSFORMATIONS: Mapping[str, Callable[[list[Table], Config], list[Table]]] = {
    "merge": _merge,
    "organize": _organize,
    "groupingToMatrix": _matrix,
    "convertFieldType": _convert,
    "sortBy": _sort,
    "joinByField": _join,
}
"""Those that are drawn; others are refused, since a picture of something else would mislead."""
