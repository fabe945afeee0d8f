"""Runs a command on a pseudo-terminal of so many columns and prints what it shows there.

usage: terminal.py COLUMNS out|err|both COMMAND ARGUMENT ...

`out`: only stdout is the terminal; `err`: only stderr. What goes elsewhere is dropped.
"""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

columns, streams, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
ours, theirs = pty.openpty()
fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
process = subprocess.Popen(
    command,
    stdin=subprocess.DEVNULL,
    stdout=theirs if streams in ("out", "both") else subprocess.DEVNULL,
    stderr=theirs if streams in ("err", "both") else subprocess.DEVNULL,
)
os.close(theirs)
shown = b""
while True:
    try:
        piece = os.read(ours, 65536)
    except OSError:
        break
    if not piece:
        break
    shown += piece
sys.stdout.buffer.write(shown.replace(b"\r\n", b"\n"))
sys.exit(process.wait())
