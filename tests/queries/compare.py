"""Asks Holdfast what an investigator would ask of real logs, and DuckDB the same of the original JSON.

    python compare.py HOLDFAST REAL [--work FOLDER] [--only WORDS] [--short TABLE]

HOLDFAST is the binary; REAL the folder of real logs (see real.py). They are archived once as a whole and once by half.
Each query of queries.toml is asked of the whole archive; those with `raw = true` also of the half, with --include-raw,
which must make no difference. --short leaves one record of a table out of the archives: then the comparison must fail.
Exit code 0: all answers agree; 1: some differ.
"""

from __future__ import annotations

import argparse
import datetime
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb

import real

Row = tuple[Any, ...]


@dataclass
class Query:
    """One question, in both dialects."""

    name: str
    sql: str
    duckdb: str
    # The order of the rows is part of the answer.
    ordered: bool = False
    # Also asked of the half, with --include-raw.
    raw: bool = False
    # Days that must be left unread, for want of anything in the asked time.
    prunes: bool = False
    # Values that Holdfast counts as null, and says so: `{column = count}`.
    uncast: dict[str, int] | None = None


@dataclass
class Answer:
    columns: list[str]
    rows: list[Row]
    told: dict[str, Any]


class Failed(Exception):
    """Holdfast or DuckDB gave no answer."""


def ask_holdfast(holdfast: pathlib.Path, site: pathlib.Path, sql: str, *options: str) -> Answer:
    command = [holdfast, "--config", site / "holdfast.toml", "search", sql, "--format", "json", *options]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, encoding="utf-8", check=False)
    if ran.returncode != 0:
        raise Failed(f"exit code {ran.returncode}: {ran.stderr.strip() or ran.stdout.strip()}")
    *lines, last = ran.stdout.splitlines()
    told = json.loads(last)["_hf_answer"]
    if told["rows"] != len(lines):
        raise Failed(f"it gave {len(lines)} rows and told of {told['rows']}")
    records = [json.loads(line, parse_float=Decimal) for line in lines]
    # A null is left out, so that the columns are those of all rows together.
    columns = list(dict.fromkeys(name for record in records for name in record))
    return Answer(columns, [tuple(map(record.get, columns)) for record in records], told)


def ask_duckdb(database: duckdb.DuckDBPyConnection, sql: str) -> Answer:
    try:
        asked = database.execute(sql)
        return Answer([column[0] for column in asked.description or []], asked.fetchall(), {})
    except duckdb.Error as error:
        raise Failed(f"DuckDB: {error}") from error


def database(logs: list[real.Log], folder: pathlib.Path) -> duckdb.DuckDBPyConnection:
    """The original records: each table twice, with the types that DuckDB finds, and as `"<table> json"` with one column,
    `record`. Of a table in which DuckDB finds no types there is the second only."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    folder.mkdir()
    for log in logs:
        path = folder / f"{log.table}.ndjson"
        path.write_bytes(b"".join(record + b"\n" for record in log.records))
        options = "format = 'newline_delimited', maximum_object_size = 100_000_000"
        connection.execute(
            f"""CREATE TABLE "{log.table} json" AS FROM read_ndjson_objects(?, {options}) SELECT json AS record""", [str(path)]
        )
        try:
            typed = connection.sql(f"FROM read_json(?, {options}, sample_size = -1)", params=[str(path)])
            typed.select(", ".join(map(without_zone, typed.columns, typed.types))).create(f'"{log.table}"')
        except duckdb.NotImplementedException:
            # It cannot tell apart keys that differ in case only, below the first level.
            pass
    return connection


def without_zone(name: str, kind: object) -> str:
    """A column as it is, but for times: in UTC without saying so, for which Python needs no library of time zones."""
    quoted = '"' + name.replace('"', '""') + '"'
    return f"{quoted}::TIMESTAMP AS {quoted}" if str(kind) == "TIMESTAMP WITH TIME ZONE" else quoted


TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?")


def comparable(value: Any) -> Any:
    """Numbers by their value, times by their microsecond in UTC, all else as it is."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float, Decimal)):
        number = Decimal(value) if not isinstance(value, float) else Decimal(repr(value))
        if number == number.to_integral_value():
            return int(number)
        # What was computed may differ in the last digits.
        return float(f"{number:.12g}")
    if isinstance(value, datetime.datetime):
        zoned = value if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)
        return zoned.astimezone(datetime.timezone.utc)
    if isinstance(value, str) and TIME.fullmatch(value):
        return comparable(datetime.datetime.fromisoformat(value))
    return str(value)


def comparables(rows: Sequence[Row]) -> list[Row]:
    return [tuple(comparable(value) for value in row) for row in rows]


def differences(query: Query, ours: Answer, theirs: Answer) -> list[str]:
    """What is wrong with our answer, a line each; nothing if it is right."""
    unknown = [name for name in ours.columns if name not in theirs.columns]
    if unknown:
        return [f"the columns are {ours.columns}, not {theirs.columns}"]
    records = [dict(zip(ours.columns, row)) for row in ours.rows]
    mine = comparables([tuple(map(record.get, theirs.columns)) for record in records])
    others = comparables(theirs.rows)
    found = []
    missing, extra = Counter(others) - Counter(mine), Counter(mine) - Counter(others)
    found += [f"missing {row}" for row in list(missing.elements())[:5]]
    found += [f"too much {row}" for row in list(extra.elements())[:5]]
    if not found and query.ordered and mine != others:
        found.append("the rows are right, their order is not")
    if not others:
        found.append("an empty answer compares nothing: ask for something that is there")
    return found


def untrue(query: Query, told: dict[str, Any], include_raw: bool) -> list[str]:
    """What is wrong with what the answer says of itself."""
    found = [] if told["complete"] else [f"it says it is not whole: {told}"]
    uncast: Counter[str] = Counter()
    for table in told["tables"]:
        uncast.update(table["uncast"])
    if uncast != Counter(query.uncast or {}):
        found.append(f"it says that {dict(uncast)} could not be read, not {query.uncast or {}}")
    searched, days = (sum(table[key] for table in told["tables"]) for key in ("days_searched", "days"))
    if query.prunes and searched >= days:
        found.append(f"{searched} of {days} days were searched: nothing was left out")
    if include_raw and not any((table["raw_included"] or {}).get("objects") for table in told["tables"]):
        found.append("no raw object was read")
    return found


def judge(query: Query, ask_ours: Any, theirs: Answer | None, why: str, include_raw: bool) -> tuple[str, int, list[str]]:
    if theirs is None:
        return "FAILED", 0, [why]
    try:
        ours = ask_ours()
    except Failed as failed:
        return "FAILED", 0, [str(failed)]
    problems = differences(query, ours, theirs) + untrue(query, ours.told, include_raw)
    return ("DIFFERS" if problems else "agrees"), len(ours.rows), problems


def compare(queries: list[Query], holdfast: pathlib.Path, work: pathlib.Path, originals: duckdb.DuckDBPyConnection) -> int:
    """Prints a line for each comparison, and below it what is wrong. Returns how many are."""
    width = max(len(query.name) for query in queries) + len(", half raw")
    wrong = 0
    for query in queries:
        theirs, why = None, ""
        try:
            theirs = ask_duckdb(originals, query.duckdb)
        except Failed as failed:
            why = str(failed)
        for include_raw in (False, True) if query.raw else (False,):
            site, options = (work / "half", ["--include-raw"]) if include_raw else (work / "whole", [])
            began = time.monotonic()
            ask = lambda: ask_holdfast(holdfast, site, query.sql, *options)  # noqa: B023, E731
            verdict, rows, problems = judge(query, ask, theirs, why, include_raw)
            name = query.name + (", half raw" if include_raw else "")
            print(f"{name:{width}}  {rows:6} rows  {time.monotonic() - began:5.1f} s  {verdict}", flush=True)
            for problem in problems:
                print(f"    {problem}")
            wrong += bool(problems)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="Compares Holdfast's answers over real logs with DuckDB's.")
    parser.add_argument("holdfast", type=pathlib.Path)
    parser.add_argument("real", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, help="keep the archives here, and use those that are there")
    parser.add_argument("--only", default="", help="ask only queries whose name holds this")
    parser.add_argument("--short", default="", help="leave a table's last record out of the archives")
    asked = parser.parse_args()
    text = (pathlib.Path(__file__).parent / "queries.toml").read_text(encoding="utf-8")
    queries = [Query(**query) for query in tomllib.loads(text)["query"] if asked.only in query["name"]]
    with tempfile.TemporaryDirectory() as temporary:
        work = asked.work or pathlib.Path(temporary)
        logs = real.read(asked.real)
        if not (work / "half").exists():
            make_archives(asked.holdfast.resolve(), logs, work, asked.short)
        with tempfile.TemporaryDirectory() as lines:
            originals = database(logs, pathlib.Path(lines, "originals"))
        wrong = compare(queries, asked.holdfast.resolve(), work, originals)
    comparisons = len(queries) + sum(query.raw for query in queries)
    print(f"{len(queries)} queries, {comparisons} comparisons: {comparisons - wrong} agree, {wrong} do not")
    return 1 if wrong or not queries else 0


def make_archives(holdfast: pathlib.Path, logs: list[real.Log], work: pathlib.Path, short: str) -> None:
    archived = [real.without_last(log) if log.table == short else log for log in logs]
    for name, now in (("whole", real.WHOLE), ("half", real.HALF)):
        real.lay_out(archived, work / name)
        real.archive(holdfast, work / name, now)


if __name__ == "__main__":
    sys.exit(main())
