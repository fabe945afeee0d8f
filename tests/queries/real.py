"""The real logs of `../shared/data/real` as records, and an archive of them.

Records are cut out of arrays, `{"Records":[…]}` and zips by their tokens, never parsed and written anew: what is archived
and what is compared with it are the same bytes, so that a number like 9007199254740993 or a repeated key stays as it was.
"""

from __future__ import annotations

import gzip
import pathlib
import re
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field

import duckdb

# When everything is archived, and when only each table's first half is: objects arrive on the 10th, the rest on the 20th.
WHOLE, HALF = "2026-03-01T00:00:00Z", "2026-01-15T00:00:00Z"
DAYS = ("10", "20")

# The larger logs come in more objects than one a day.
LARGEST_OBJECT = 6_000

# Tables whose records all have a usable time of their own: its column where it is not TimeGenerated. All others are kept by
# the day on which they arrived.
TIMES = {
    "AADAuditEvents": None,
    "CarbonBlackAuditLogs_CL": None,
    "OfficeActivityEvents": None,
    "Okta_CL": None,
    "WindowsEvents": None,
    "LinuxAudit_CL": "time",
    "cloudtrail": "eventTime",
    "covenant": "@timestamp",
}

SETTINGS = """\
archive = "archive"
policies = "policies"
simulation = true

[[source]]
name = "collector"
url = "landing"
layout = "{table}/{year}/{month}/{day}/{hour}/*"
settle = "0s"
"""

POLICY = """\
version = 1
[defaults]
archive_after = "0d"
retain = "20y"
clock = "arrival"
late_window = "3650d"
"""


@dataclass
class Log:
    """One table: its records, in the objects in which they arrived."""

    table: str
    objects: list[list[bytes]] = field(default_factory=list)

    @property
    def records(self) -> list[bytes]:
        return [record for records in self.objects for record in records]


def read(folder: pathlib.Path) -> list[Log]:
    """All logs below `folder`."""
    logs = []
    for path in sorted(folder.glob("panther/*.ndjson")):
        logs.append(Log(path.stem, [lines(path.read_bytes())]))
    for path in sorted(folder.glob("sentinel-sample/*.json")):
        logs.append(Log(path.stem, [elements(path.read_bytes(), 1)]))
    trails = [elements(path.read_bytes(), 2) for path in sorted(folder.glob("cloudtrail/*.json"))]
    logs.append(Log("cloudtrail", trails))
    for path in sorted([*folder.glob("otrf/*.zip"), *folder.glob("otrf/*.Zip")]):
        logs.append(Log(path.stem.split("_")[0], list(zipped(path))))
    for log in logs:
        log.objects = pieces(log)
    return [log for log in logs if log.objects]


def pieces(log: Log) -> list[list[bytes]]:
    """Objects of a bearable size, at least two if there are two records."""
    if len(log.objects) > 1:
        return log.objects
    records = log.records
    size = min(LARGEST_OBJECT, max(1, -(-len(records) // 2)))
    return [records[at : at + size] for at in range(0, len(records), size)]


def without_last(log: Log) -> Log:
    """The log without its last record."""
    return Log(log.table, [*log.objects[:-1], log.objects[-1][:-1]])


def lines(text: bytes) -> list[bytes]:
    return [line for line in (line.rstrip(b"\r") for line in text.split(b"\n")) if line]


# A string, or a single byte that opens or closes something.
TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)


def elements(text: bytes, depth: int) -> list[bytes]:
    """The objects and arrays that open at this depth (1: elements of an array; 2: of an array in an object)."""
    found, level, begin, clean = [], 0, 0, bytearray(text)
    for token in TOKEN.finditer(text):
        if token[0] in (b"{", b"["):
            level += 1
            if level == depth + 1:
                begin = token.start()
        elif token[0] in (b"}", b"]"):
            level -= 1
            if level == depth:
                found.append((begin, token.end()))
    if level != 0:
        raise ValueError("the brackets do not match")
    # Line ends stand between tokens only: within a string JSON has none. There a space is as good.
    for at, byte in enumerate(clean):
        if byte in b"\r\n":
            clean[at] = 0x20
    return [bytes(clean[begin:end]) for begin, end in found]


def zipped(path: pathlib.Path) -> Iterator[list[bytes]]:
    """The lines of each file in a zip, but for what macOS adds."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if not name.startswith("__MACOSX") and not name.endswith("/"):
                yield lines(archive.read(name))


def pack(number: int, path: pathlib.Path, text: bytes) -> None:
    """Writes an object plain, by gzip or by zstd, in turn."""
    if number % 3 == 0:
        path.with_suffix(".json").write_bytes(text)
    elif number % 3 == 1:
        path.with_suffix(".json.gz").write_bytes(gzip.compress(text, 1))
    else:
        target = str(path.with_suffix(".json.zst")).replace("'", "''")
        duckdb.execute(f"COPY (SELECT ?::BLOB) TO '{target}' (FORMAT BLOB, COMPRESSION zstd)", [text])


def lay_out(logs: list[Log], site: pathlib.Path) -> None:
    """Writes settings, a policy and all raw objects."""
    (site / "policies").mkdir(parents=True)
    (site / "holdfast.toml").write_text(SETTINGS, encoding="utf-8")
    rules = [POLICY]
    for table, column in TIMES.items():
        rules.append(f'[[table]]\nname = "{table}"\nretain = "20y"\nclock = "event"\n')
        rules.append(f'time_column = "{column}"\n' if column else "")
    (site / "policies" / "real.toml").write_text("".join(rules), encoding="utf-8")
    number = 0
    for log in logs:
        for at, records in enumerate(log.objects):
            day = DAYS[at >= -(-len(log.objects) // 2)]
            folder = site / "landing" / log.table / "2026" / "01" / day / "00"
            folder.mkdir(parents=True, exist_ok=True)
            pack(number, folder / f"{at:03}", b"".join(record + b"\n" for record in records))
            number += 1


def archive(holdfast: pathlib.Path, site: pathlib.Path, now: str) -> None:
    """Runs Holdfast as of `now`. Fails with what it said if it did not end well."""
    ran = subprocess.run(
        [holdfast, "--config", site / "holdfast.toml", "run", "--as-of", now],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )
    if ran.returncode != 0:
        raise SystemExit(f"the run ended with exit code {ran.returncode}:\n{ran.stdout}{ran.stderr}")
