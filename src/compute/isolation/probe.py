"""Hostile code inside a sandbox: tries to get out in every way listed, and prints what happened as one JSON object.

`python3 probe.py PLAN`, PLAN = JSON {paths, writes, calls: {name: number}, port, abstract, sockets}. Every answer is a
word: `absent`, the name of an errno, or what was got.
"""
import ctypes
import errno
import fcntl
import json
import os
import resource
import socket
import struct
import sys
import threading

libc = ctypes.CDLL(None, use_errno=True)
plan = json.loads(open(sys.argv[1]).read())


def word(error):
    return "absent" if error.errno in (errno.ENOENT, errno.ENOTDIR) else errno.errorcode.get(error.errno, str(error.errno))


def look(path):
    """What reading a path gives: a folder's names, or that it was read."""
    try:
        if os.path.isdir(path):
            return sorted(os.listdir(path))
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return "read" if os.read(handle, 1) else "empty"
        finally:
            os.close(handle)
    except OSError as error:
        return word(error)


def write(path):
    try:
        handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CREAT, 0o600)
        try:
            os.write(handle, b"0")
        finally:
            os.close(handle)
        return "written"
    except OSError as error:
        return word(error)


def attempt(call, *values):
    try:
        ctypes.set_errno(0)
        answer = call(*values)
        return "done" if answer != -1 else errno.errorcode[ctypes.get_errno()]
    except OSError as error:
        return word(error)
    except ValueError:  # how `resource` says EPERM
        return "EPERM"


def by_number(number, *values):
    return attempt(lambda *all: libc.syscall(ctypes.c_long(number), *all), *(ctypes.c_long(v) for v in values))


def connect(family, address, kind=socket.SOCK_STREAM):
    try:
        with socket.socket(family, kind) as one:
            one.settimeout(2)
            one.connect(address)
            return "connected"
    except socket.timeout:
        return "silent"
    except OSError as error:
        return word(error)


def family(number, kind):
    try:
        socket.socket(number, kind).close()
        return "opened"
    except OSError as error:
        return word(error)


def terminal_input(request):
    """Puts a character into the input of a terminal that is ours: even that is refused."""
    master, slave = os.openpty()
    try:
        fcntl.ioctl(slave, request, b"x")
        return "done"
    except OSError as error:
        return word(error)
    finally:
        os.close(master)
        os.close(slave)


def terminal_input_with_high_bits(request):
    master, slave = os.openpty()
    try:
        return attempt(libc.ioctl, slave, ctypes.c_ulong(request | 1 << 32), ctypes.c_char_p(b"x"))
    finally:
        os.close(master)
        os.close(slave)


def thread_works():
    seen = []
    one = threading.Thread(target=lambda: seen.append(1))
    one.start()
    one.join()
    return seen == [1]


def status(process="self"):
    return dict(line.split(":\t", 1) for line in open("/proc/%s/status" % process).read().splitlines() if ":\t" in line)


def new_time_namespace():
    return attempt(libc.unshare, 0x80)


facts = status()
libc.ptrace.restype = ctypes.c_long
print(json.dumps({
    "paths": {path: look(path) for path in plan["paths"]},
    "writes": {path: write(path) for path in plan["writes"]},
    "calls": {name: by_number(number, 0, 0, 0, 0, 0, 0) for name, number in plan["calls"].items()},
    "tricks": {
        "user namespace": attempt(libc.unshare, 0x10000000),
        "network namespace": attempt(libc.unshare, 0x40000000),
        "time namespace": new_time_namespace(),
        "clone into a user namespace": by_number(plan["clone"], 0x10000000 | 17, 0, 0, 0, 0),
        "clone3": by_number(435, 0, 0),
        "become root": attempt(libc.setuid, 0),
        "become another": attempt(libc.setresuid, 300_002, 300_002, 300_002),
        "groups": attempt(libc.setgroups, 1, ctypes.byref(ctypes.c_uint(0))),
        "block device": attempt(os.mknod, "/tmp/disk", 0o60600, os.makedev(8, 0)),
        "memory of init": look("/proc/1/mem"),
        "nice": attempt(os.nice, -5),
        "more open files": attempt(resource.setrlimit, resource.RLIMIT_NOFILE, (1 << 20, 1 << 20)) if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 1 << 20 else "EPERM",
        "terminal input": terminal_input(0x5412),
        "terminal input, high bits": terminal_input_with_high_bits(0x5412),
        "console input": terminal_input(0x541C),
        "vsock": family(40, socket.SOCK_STREAM),
        "packet": family(17, socket.SOCK_RAW),
        "kernel crypto": family(38, socket.SOCK_SEQPACKET),
        "raw": family(socket.AF_INET, socket.SOCK_RAW),
    },
    "network": {
        "loopback of the host": connect(socket.AF_INET, ("127.0.0.1", plan["port"])),
        "metadata": connect(socket.AF_INET, ("169.254.169.254", 80)),
        "metadata, IPv6": connect(socket.AF_INET6, ("fd00:ec2::254", 80)),
        "abstract": connect(socket.AF_UNIX, "\0" + plan["abstract"]),
        "interfaces": [name for _, name in socket.if_nameindex()],
        "sockets": {path: connect(socket.AF_UNIX, path) for path in plan["sockets"]},
    },
    "process": {
        "uid": os.getuid(),
        "groups": sorted(os.getgroups()),
        "capabilities": [facts[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
        "noNewPrivileges": facts["NoNewPrivs"],
        "seccomp": facts["Seccomp"],
        "init": [status("1")[name] for name in ("Seccomp", "NoNewPrivs", "CapEff", "CapBnd")],
        "pids": len([name for name in os.listdir("/proc") if name.isdigit()]),
        "descriptors": sorted({os.readlink("/proc/self/fd/" + name) for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name)}),
        "session": os.getsid(0) != 0 and os.getpgid(0) != 0,
        "terminal": look("/dev/tty"),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
        "oomScore": int(open("/proc/self/oom_score_adj").read()),
        "directory": os.getcwd(),
        "environment": sorted(os.environ),
        "threads": thread_works(),
        "passwd": open("/etc/passwd").read().splitlines(),
        "devices": sorted(name for name in os.listdir("/dev")),
        "sizes": {place: os.statvfs(place).f_blocks * os.statvfs(place).f_frsize for place in ("/tmp", "/dev/shm")},
    },
}))
