#!/usr/bin/env python3
"""Makes an archive with a past, for a report to draw: archived, retired, destroyed, raw, quarantined, with holes.

    tests/browser/archive.py HOLDFAST FOLDER DAYS [TIMES]

HOLDFAST is the binary, FOLDER a new folder, DAYS how many days of logs there are, the last of them 2026-06-28, each with
TIMES as many records as usual. A run every two weeks archives, retires and destroys; what it asks for is approved. The
same arguments give the same archive, but for the ids of runs.
"""

import datetime
import json
import math
import pathlib
import subprocess
import sys

LAST = datetime.date(2026, 6, 28)

ACTIVITIES = {
    4624: "An account was successfully logged on.",
    4625: "An account failed to log on.",
    4634: "An account was logged off.",
    4672: "Special privileges assigned to new logon.",
}

# Table, retain in days (none: for ever), rows on a usual day, days without records (counted back from the last).
TABLES = [
    ("SecurityEvent", 730, 60, []),
    ("SigninLogs", 365, 34, [(41, 44)]),
    ("AZFWNetworkRule", 60, 48, [(20, 20)]),
    ("AuditLogs", None, 16, [(66, 74)]),
]

POLICY = """version = 1
[defaults]
archive_after = "6d"
keep_raw = "0d"
purge_delay = "28d"
retain = "forever"
"""

SETTINGS = """archive = "archive"
policies = "policies"
simulation = true
[delete]
raw = true
expired = true
[[source]]
name = "collector"
url = "logs"
layout = "{table}/{year}/{month}/{day}/*"
settle = "0s"
"""


def noise(*seeds):
    """A number from 0 to 1 that is the same each time."""
    value = 2166136261
    for byte in repr(seeds).encode():
        value = (value ^ byte) * 16777619 % (1 << 32)
    return value / (1 << 32)


def rows_of(table, usual, day, back):
    weekend = 0.35 if day.weekday() >= 5 else 1.0
    season = 1 + 0.45 * math.sin(back / 58 + len(table))
    return max(1, round(usual * weekend * season * (0.75 + 0.5 * noise(table, str(day)))))


def write_day(folder, table, usual, day, back):
    path = folder / "logs" / table / day.strftime("%Y/%m/%d") / "events.json"
    path.parent.mkdir(parents=True)
    lines = []
    count = rows_of(table, usual, day, back)
    for number in range(count):
        second = int(86400 * (number + noise(table, str(day), number)) / count)
        time = datetime.datetime.combine(day, datetime.time()) + datetime.timedelta(seconds=second)
        event = [4624, 4634, 4672, 4624, 4624, 4625, 4634][int(7 * noise(number, str(day)))]
        lines.append(json.dumps({
            "TimeGenerated": time.isoformat() + "Z",
            "TenantId": "8d6a8f0e-2f0b-4b7e-9a55-1f5d3c9c0a11",
            "Account": f"CONTOSO\\user{number % 7}",
            "Computer": f"host-{number % 23:02}.contoso.example",
            "EventID": event,
            "Activity": ACTIVITIES[event],
            "IpAddress": f"10.20.{day.day}.{number % 251}",
        }))
    if table == "SigninLogs" and back % 37 == 11:
        lines.append('{"TimeGenerated": "cut off in the mi')
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(holdfast, folder, days, times):
    folder = pathlib.Path(folder)
    (folder / "policies").mkdir(parents=True)
    (folder / "holdfast.toml").write_text(SETTINGS, encoding="utf-8")
    (folder / "policies" / "defaults.toml").write_text(POLICY, encoding="utf-8")
    rules = "version = 1\n"
    for table, retain, _, _ in TABLES:
        if retain:
            rules += f'[[table]]\nname = "{table}"\nretain = "{retain}d"\n'
    (folder / "policies" / "security.toml").write_text(rules, encoding="utf-8")

    def command(*arguments, may_fail=False):
        called = [holdfast, "--config", str(folder / "holdfast.toml"), *arguments]
        ran = subprocess.run(called, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if ran.returncode not in ((0, 3, 4) if may_fail else (0,)):
            sys.exit(f"{' '.join(called)} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        return ran.returncode

    def run(night):
        if command("run", "--as-of", night, may_fail=True) == 4:
            plan = folder / "plan.json"
            command("plan", "--as-of", night, "--out", str(plan), may_fail=True)
            command("approve", str(plan), "--by", "auditor", "--reason", "it is due")
            command("run", "--as-of", night, may_fail=True)

    for back in range(days - 1, -1, -1):
        day = LAST - datetime.timedelta(days=back)
        for table, _, usual, holes in TABLES:
            if not any(first <= back <= last for first, last in holes):
                write_day(folder, table, usual * times, day, back)
        # Each run leaves the newest days raw.
        if back % 14 == 0:
            run(f"{day + datetime.timedelta(days=1)}T02:00:00Z")


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) == 5 else 1)
