"""Asks Holdfast what an investigator would ask of real logs, and DuckDB the same of the original JSON.

    python compare.py HOLDFAST REAL [--work FOLDER] [--only WORDS] [--short TABLE]

HOLDFAST is the binary; REAL the folder of real logs (see real.py). They are archived once as a whole and once by half.
Each query of queries.toml is asked of the whole archive; those with `raw = true` also of the half, with --include-raw,
which must make no difference. Exit code 0: all answers agree, but for those that are known to be `open`; 1: some differ,
or an open one agrees.
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
    # Why the answers still differ; empty where they must agree.
    open: str = ""


@dataclass
class Answer:
    columns: list[str]
    rows: list[Row]
    told: dict[str, Any]


class Failed(Exception):
    """Holdfast or DuckDB gave no answer."""


def ask_holdfast(holdfast: pathlib.Path, site: pathlib.Path, sql: str, *options: str) -> Answer:
    command = [str(holdfast), "--config", str(site / "holdfast.toml"), "search", sql, "--format", "json", *options]
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
    tables = told["tables"]
    found = [] if told["complete"] else [f"it says it is not whole: {told}"]
    found += [f"it says it could not read {table['uncast']}" for table in tables if table["uncast"]]
    searched, days = (sum(table[key] for table in tables) for key in ("days_searched", "days"))
    if query.prunes and searched >= days:
        found.append(f"{searched} of {days} days were searched: nothing was left out")
    if include_raw and not all((table["raw_included"] or {}).get("objects") for table in tables):
        found.append("raw objects were not read")
    return found


@dataclass
class Comparison:
    """A query, asked of one archive."""

    query: Query
    include_raw: bool

    @property
    def name(self) -> str:
        return self.query.name + (", half raw" if self.include_raw else "")

    def problems(self, holdfast: pathlib.Path, work: pathlib.Path, originals: duckdb.DuckDBPyConnection) -> tuple[int, list[str]]:
        """How many rows were compared, and what is wrong with the answer."""
        site, options = (work / "half", ["--include-raw"]) if self.include_raw else (work / "whole", [])
        try:
            theirs = ask_duckdb(originals, self.query.duckdb)
            ours = ask_holdfast(holdfast, site, self.query.sql, *options)
        except Failed as failed:
            return 0, [str(failed)]
        return len(ours.rows), differences(self.query, ours, theirs) + untrue(self.query, ours.told, self.include_raw)


def compare(queries: list[Query], holdfast: pathlib.Path, work: pathlib.Path, originals: duckdb.DuckDBPyConnection) -> bool:
    """Prints a line for each comparison, below it what is wrong, and a sum. True if all is as it should be."""
    comparisons = [Comparison(query, raw) for query in queries for raw in ((False, True) if query.raw else (False,))]
    width = max((len(comparison.name) for comparison in comparisons), default=0)
    verdicts: Counter[str] = Counter()
    for comparison in comparisons:
        began = time.monotonic()
        rows, problems = comparison.problems(holdfast, work, originals)
        if comparison.query.open:
            verdict = "open" if problems else "AGREES"
            problems = [comparison.query.open] if problems else ["say no longer that it is open"]
        else:
            verdict = "DIFFERS" if problems else "agrees"
        verdicts[verdict] += 1
        print(f"{comparison.name:{width}}  {rows:4} rows  {time.monotonic() - began:5.1f} s  {verdict}", flush=True)
        for problem in problems:
            print(f"    {problem}")
    sums = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    print(f"{len(queries)} queries, {len(comparisons)} comparisons: {sums}")
    return bool(comparisons) and verdicts["DIFFERS"] + verdicts["AGREES"] == 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Compares Holdfast's answers over real logs with DuckDB's.")
    parser.add_argument("holdfast", type=pathlib.Path)
    parser.add_argument("real", type=pathlib.Path)
    parser.add_argument("--work", type=pathlib.Path, help="keep the archives here, or use those that are there")
    parser.add_argument("--only", default="", help="ask only queries whose name holds this")
    parser.add_argument("--short", help="only this table, and archive all of its records but the last: it must differ")
    asked = parser.parse_args()
    text = (pathlib.Path(__file__).parent / "queries.toml").read_text(encoding="utf-8")
    queries = [Query(**query) for query in tomllib.loads(text)["query"] if asked.only in query["name"]]
    logs = [log for log in real.read(asked.real) if asked.short in (None, log.table)]
    holdfast = asked.holdfast.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        work = asked.work or pathlib.Path(temporary, "work")
        if not work.exists():
            archived = [real.without_last(log) if asked.short else log for log in logs]
            for name, now in (("whole", real.WHOLE), ("half", real.HALF)):
                real.lay_out(archived, work / name)
                real.archive(holdfast, work / name, now)
        originals = database(logs, pathlib.Path(temporary, "originals"))
        return 0 if compare(queries, holdfast, work, originals) else 1


if __name__ == "__main__":
    sys.exit(main())
