"""Runs one command as a process of its own and says what the kernel charged it for, as one line of JSON.

measure.py CPUS COMMAND...: the command runs on the first CPUS processors that this process may use. Wall time is from
before the start to after the end; CPU and peak memory are those of the command and of what it waited for. Its standard
output goes to standard error, so that the last line here is ours alone.
"""

import json
import os
import subprocess
import sys
import time

cpus, command = int(sys.argv[1]), sys.argv[2:]
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cpus])
started = time.monotonic()
child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
_, status, usage = os.wait4(child.pid, 0)
print(
    json.dumps(
        {
            "wall_seconds": time.monotonic() - started,
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "peak_bytes": usage.ru_maxrss * 1024,
            "exit": os.waitstatus_to_exitcode(status),
        }
    )
)
