"""Usage: python3 -S pull_plug.py MOUNT RECORD

On a line of its input: no write that has not reached the disk of the file system at MOUNT ever will. Prints how many
bytes RECORD, which lies elsewhere, had in the instant before: a machine without power acknowledges nothing, but here the
program goes on for a moment, and the kernel may tell it then that a sync succeeded.
"""

import fcntl
import os
import struct
import sys

GOING_DOWN = 0x8004587D  # XFS_IOC_GOINGDOWN, which ext4 knows as EXT4_IOC_SHUTDOWN
NO_LOG_FLUSH = 2

mount = os.open(sys.argv[1], os.O_RDONLY)
record = os.open(sys.argv[2], os.O_RDONLY | os.O_CREAT)
flags = struct.pack("I", NO_LOG_FLUSH)
print("ready", flush=True)
sys.stdin.readline()
size_bytes = os.fstat(record).st_size
fcntl.ioctl(mount, GOING_DOWN, flags)
print(size_bytes, flush=True)
