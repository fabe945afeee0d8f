"""Reads a written archive without Holdfast (I10) and compares it with what `holdfast restore` printed.

    python read.py ARCHIVE RESTORED

ARCHIVE holds `tables/<workspace>/<table>/`; RESTORED holds `<workspace>/<table>.ndjson`, one record a line. Each table is
read with deltalake-python, Polars and ClickHouse (chdb). Each of them must give the number of rows, the sums of the
integer columns, the first and last time, the rows of each day, and the rows themselves as they follow from the NDJSON.
Exit code 0: they all agree; 1: they do not, or there was nothing to compare.
"""

import collections
import datetime
import json
import os
import pathlib
import re
import sys
import time
import zlib

import chdb
import deltalake
import polars
import pyarrow
import pyarrow.compute

# Of larger tables a part of the rows is compared one by one, chosen by what they hold.
MOST_ROWS = 100_000

MICROSECOND = datetime.timedelta(microseconds=1)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
TIMESTAMP = pyarrow.timestamp("us", "UTC")


class Number(str):
    """A number as it was written: 1, 1.0 and 1e0 are three."""


class Members(list):
    """An object's members, repeated keys and all."""


def parse(text):
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=Number, object_pairs_hook=Members)


# --- What the readers should find ---


class Table:
    """A table's columns by the types that Holdfast gave them: text, json, bool, int, long, double, timestamp."""

    def __init__(self, path):
        fields = json.loads(deltalake.DeltaTable(path).schema().to_json())["fields"]
        self.path = str(path)
        self.types = {f["name"]: f["metadata"]["holdfast.type"] for f in fields if "holdfast.type" in f["metadata"]}
        self.time = next((f["name"] for f in fields if "holdfast.time" in f["metadata"]), None)
        self.integers = [name for name, kind in self.types.items() if kind in ("int", "long")]

    def value(self, name, value):
        """A value as it can be compared: doubles by their value, times by their microsecond, all else as it was."""
        kind = self.types.get(name)
        if kind == "double" and isinstance(value, Number):
            return ("double", float(value))
        if kind == "timestamp" and isinstance(value, str) and not isinstance(value, Number):
            micros = micros_of(value)
            return ("text", value) if micros is None else ("time", micros)
        return plain(value)

    def row(self, members):
        """One row, whatever the order of its members; a null is as good as nothing."""
        return repr(sorted((name, self.value(name, value)) for name, value in members if value is not None))


def plain(value):
    if isinstance(value, Members):
        return ("object", tuple(sorted((name, plain(inner)) for name, inner in value)))
    if isinstance(value, list):
        return ("array", tuple(plain(inner) for inner in value))
    if isinstance(value, Number):
        return ("number", str(value))
    if isinstance(value, str):
        return ("text", value)
    return ("word", repr(value))


def micros_of(text):
    """Microseconds since 1970 of an ISO or US timestamp, further digits cut off; None if it is neither."""
    iso = re.fullmatch(
        r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))? ?([Zz]|[+-]\d\d(?::?\d\d)?)?", text, re.ASCII
    )
    us = re.fullmatch(
        r"(\d\d?)/(\d\d?)/(\d{4}),? (\d\d?):(\d\d):(\d\d)(?:\.(\d+))?(?: ([AaPp][Mm]))? ?([Zz]|[+-]\d\d(?::?\d\d)?)?",
        text,
        re.ASCII,
    )
    if iso:
        year, month, day, hour, minute, second, fraction, zone = iso.groups()
    elif us:
        month, day, year, hour, minute, second, fraction, half, zone = us.groups()
        if half:
            hour = int(hour) % 12 + (12 if half.lower() == "pm" else 0)
    else:
        return None
    moment = datetime.datetime(*map(int, (year, month, day, hour, minute, second)), tzinfo=datetime.timezone.utc)
    if zone and zone not in "Zz":
        sign = -1 if zone[0] == "-" else 1
        digits = zone[1:].replace(":", "").ljust(4, "0")
        moment -= sign * datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return (moment - EPOCH) // MICROSECOND + int((fraction or "0")[:6].ljust(6, "0"))


def is_integer(value, kind):
    """True if the value prints back from an integer column: no -0, no exponent, within 32 or 64 bits."""
    if not isinstance(value, Number) or not re.fullmatch(r"-?\d+", value):
        return False
    bits = 31 if kind == "int" else 63
    return str(int(value)) == value and -(2**bits) <= int(value) < 2**bits


class Facts:
    """What is compared. `differences` says in what two of them differ."""

    def __init__(self):
        self.count = 0
        self.sums = {}
        self.times = None
        self.days = {}
        self.rows = collections.Counter()

    def differences(self, other):
        found = []
        for what in ("count", "sums", "times", "days"):
            if getattr(self, what) != getattr(other, what):
                found.append(f"{what}: {shown(getattr(self, what))}, but {shown(getattr(other, what))}")
        missing, extra = self.rows - other.rows, other.rows - self.rows
        if missing or extra:
            found.append(f"{sum(missing.values())} rows are missing, {sum(extra.values())} are too many")
            found.extend(f"missing: {row[:2000]}" for row in sorted(missing)[:2])
            found.extend(f"too many: {row[:2000]}" for row in sorted(extra)[:2])
        return found


def shown(value):
    return str(value)[:500]


def wrapped(number):
    """Sums are of 64 bits, as the engines have them."""
    return (int(number or 0) + 2**63) % 2**64 - 2**63


def is_compared(row, count):
    return count <= MOST_ROWS or zlib.crc32(row.encode("utf-8", "surrogatepass")) % (count // MOST_ROWS + 1) == 0


def expected(table, path):
    facts = Facts()
    sums, days, rows = collections.Counter(), collections.Counter(), []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            members = parse(line)
            facts.count += 1
            row = dict(members)
            repeated = {name for name, times in collections.Counter(name for name, _ in members).items() if times > 1}
            for name in table.integers:
                if name not in repeated and is_integer(row.get(name), table.types[name]):
                    sums[name] += int(row[name])
            if table.time:
                micros = micros_of(row[table.time])
                day = EPOCH + datetime.timedelta(microseconds=micros)
                days[day.date().isoformat()] += 1
                first, last = facts.times or (micros, micros)
                facts.times = (min(first, micros), max(last, micros))
            rows.append(table.row(members))
    facts.sums = {name: wrapped(sums[name]) for name in table.integers}
    facts.days = dict(days)
    facts.rows.update(row for row in rows if is_compared(row, facts.count))
    return facts


# --- What they find ---


def found(table, count, sums, times, days, rows):
    """Facts from an engine's answers: numbers from its own aggregation, rows as an Arrow table."""
    facts = Facts()
    facts.count = count
    facts.sums = {name: wrapped(value) for name, value in zip(table.integers, sums, strict=True)}
    # Of nothing there is no first and no last, whatever an engine makes of it.
    if table.time and count:
        facts.times = tuple((time - EPOCH) // MICROSECOND for time in times)
        facts.days = {str(day)[:10]: count for day, count in days}
    for row in logical_rows(table, rows):
        if is_compared(row, count):
            facts.rows[row] += 1
    return facts


def logical_rows(table, rows):
    columns = {}
    for name in rows.column_names:
        column = rows[name]
        if table.types.get(name) == "timestamp":
            column = pyarrow.compute.cast(column, TIMESTAMP).cast(pyarrow.int64())
        columns[name] = column.to_pylist()
    rest = columns.pop("_hf_rest")
    kept = [(name, table.types[name], values) for name, values in columns.items() if name in table.types]
    for at in range(rows.num_rows):
        row = [(name, typed(kind, values[at])) for name, kind, values in kept if values[at] is not None]
        if rest[at] is not None:
            row.extend((name, table.value(name, value)) for name, value in parse(rest[at]) if value is not None)
        yield repr(sorted(row))


def typed(kind, value):
    if kind == "json":
        return plain(parse(value))
    if kind == "bool":
        return ("word", repr(bool(value)))
    if kind in ("int", "long"):
        return ("number", str(value))
    if kind == "double":
        return ("double", value)
    return ("time" if kind == "timestamp" else "text", value)


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def aggregates(table):
    sums = [f"sum({quoted(name)})" for name in table.integers]
    times = [f"min({quoted(table.time)})", f"max({quoted(table.time)})"] if table.time else []
    return ", ".join(["count(*)", *sums, *times])


def split(table, values):
    """count, sums, times of one row of `aggregates`."""
    return values[0], values[1 : 1 + len(table.integers)], [utc(value) for value in values[1 + len(table.integers) :]]


def utc(value):
    if value is None:
        return None
    return value.astimezone(datetime.timezone.utc) if value.tzinfo else value.replace(tzinfo=datetime.timezone.utc)


def with_deltalake(table):
    delta = deltalake.DeltaTable(table.path)
    engine = deltalake.QueryBuilder().register("t", delta)

    def ask(sql):
        return pyarrow.table(engine.execute(sql).read_all())

    answer = [column[0].as_py() for column in ask(f"SELECT {aggregates(table)} FROM t").columns]
    days = ask('SELECT "_hf_day", count(*) FROM t GROUP BY "_hf_day"')
    days = list(zip(*(column.to_pylist() for column in days.columns)))
    return found(table, *split(table, answer), days, delta.to_pyarrow_table())


def with_polars(table):
    frame = polars.scan_delta(table.path)
    sums = [polars.col(name).cast(polars.Int64).sum().alias(f"sum {name}") for name in table.integers]
    times = [polars.col(table.time).min().alias("first"), polars.col(table.time).max().alias("last")] if table.time else []
    answer = frame.select([polars.len(), *sums, *times]).collect().row(0)
    days = frame.group_by("_hf_day").agg(polars.len()).collect().rows()
    return found(table, *split(table, answer), days, frame.collect().to_arrow())


def with_clickhouse(table):
    source = "deltaLakeLocal('" + table.path.replace("\\", "\\\\").replace("'", "\\'") + "')"
    settings = "SETTINGS output_format_arrow_string_as_string = 1"

    def ask(what, rest=""):
        return chdb.query(f"SELECT {what} FROM {source} {rest} {settings}", "ArrowTable")

    answer = [column[0].as_py() for column in ask(aggregates(table)).columns]
    days = ask("toString(_hf_day), count(*)", "GROUP BY _hf_day")
    days = list(zip(*(column.to_pylist() for column in days.columns)))
    return found(table, *split(table, answer), days, ask("*"))


READERS = {
    f"deltalake {deltalake.__version__}": with_deltalake,
    f"polars {polars.__version__}": with_polars,
    f"chdb {chdb.__version__}": with_clickhouse,
}


def main(archive, restored):
    os.chdir(archive)  # chdb reads nothing outside the working folder
    paths = sorted(log.parent for log in (archive / "tables").glob("*/*/_delta_log"))
    originals = sorted(restored.glob("*/*.ndjson"))
    names = [f"{path.parent.name}/{path.name}" for path in paths]
    failed = names != [f"{path.parent.name}/{path.stem}" for path in originals]
    if failed or not names:
        print(f"there should be the same tables in both, and at least one: {names}, {[str(path) for path in originals]}")
        return 1
    if not any(original.stat().st_size for original in originals):
        print("nothing was restored from any table")
        failed = True
    for name, path, original in zip(names, paths, originals, strict=True):
        table = Table(path)
        facts = expected(table, original)
        compared = f"{sum(facts.rows.values())} rows, {len(facts.sums)} sums, {len(facts.days)} days"
        for reader, read in READERS.items():
            began = time.monotonic()
            try:
                differences = facts.differences(read(table))
            except Exception as error:  # whatever a reader raises: the others are still asked
                differences = [f"it cannot read the table: {type(error).__name__}: {error}"]
            verdict = "DIFFERS" if differences else "agrees"
            print(f"{name}: {reader} {verdict} ({facts.count} rows; compared {compared}; {time.monotonic() - began:.1f} s)")
            for difference in differences:
                print(f"    {difference}")
            failed = failed or bool(differences)
    return int(failed)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()))
