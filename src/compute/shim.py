"""The shim: one per attempt of a job. Run as `python3 -S shim.py FOLDER`, standard library only, Python >= 3.9.

It is the parent of the payload and the only writer of the attempt's end. Nothing above it is needed while it runs:
control may die, be upgraded or be away for days. What it promises:

- FOLDER/claim appears atomically, once, with who we are. Whoever finds it already there exits 0 at once.
- FOLDER/heartbeat is rewritten every few seconds while the payload lives.
- FOLDER/done.json appears atomically and durably after every process of the payload is proved dead.
- SIGTERM with FOLDER/cancel present stops the payload: first politely, then by force.

`python3 -S shim.py --reap FOLDER` is for a shim that was killed: it ends whatever is left of the payload, proves it
and exits 0; it refuses (exit 3) while the shim is alive.
"""
import errno
import os
import sys
import time

# Isolated mode (-I) leaves the script's own folder off the path.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from shim_processes import (  # noqa: E402
    bytes_written,
    cgroup_usage,
    children_of,
    end_all,
    enter_cgroup,
    from_json,
    identity,
    is_same,
    make_cgroup,
    memory_of,
    payload_pids,
    pid_namespace,
    read_text,
    reap_children,
    remove_cgroup,
    signal,
    signal_name_of,
    temporary_bytes,
    to_json,
    write_file,
)
from shim_outputs import close_log, manifest  # noqa: E402

BEAT_SECONDS = 2.0
# Looks at a disk that fills. What one attempt may still write below the reserve is a part of it.
WATCH_SECONDS = 0.2
EARLY, PART = 4, 8


BORN_AT, BORN = time.time(), time.monotonic()


def now_ms():
    """The wall clock as it stood when this shim began, and monotonic from there: a jump of it is nobody's usage."""
    return int((BORN_AT + time.monotonic() - BORN) * 1000)


def write_atomically(path, value, durable=False):
    temporary = "%s.%d.tmp" % (path, os.getpid())
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        content = memoryview(to_json(value).encode())
        while content:
            content = content[os.write(handle, content):]
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)
    os.rename(temporary, path)
    if durable:
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_json(path):
    try:
        with open(path, "rb") as handle:
            return from_json(handle.read().decode())
    except (OSError, ValueError):
        return None


def failpoint(name):
    """Only for tests: CYGNET_TEST=1 and CYGNET_FAILPOINTS='shim.after-claim=kill', or a file that comes and goes."""
    if os.environ.get("CYGNET_TEST") != "1":
        return
    armed = os.environ.get("CYGNET_FAILPOINTS", "").split(",")
    path = os.environ.get("CYGNET_FAILPOINTS_FILE", "")
    in_file = read_text(path).split(",") if path else []
    for part in armed + in_file:
        where, _, effect = part.strip().partition("=")
        if where != name:
            continue
        if part in in_file:
            try:
                os.rename(path, "%s.fired.%d" % (path, os.getpid()))
            except OSError:  # another process came first
                continue
        if effect == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif effect.startswith("delay:"):
            time.sleep(int(effect[6:]) / 1000)
        elif effect == "error":
            raise RuntimeError("failpoint %s" % name)


# --- launching -----------------------------------------------------------------------------------------------------


def adopt_orphans():
    """Without a pid namespace a daemonised grandchild must become our child, so that it is found."""
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0)


def launch(spec):
    """Starts the payload; its standard output and error are the log file itself, so no pipe ties it to anybody."""
    handles = {}
    for entry in spec["descriptors"]:
        memory = os.memfd_create("cygnet", 0)
        content = bytes.fromhex(entry["hex"]) if "hex" in entry else entry["text"].encode()
        view = memoryview(content)
        while view:
            view = view[os.write(memory, view):]
        os.lseek(memory, 0, os.SEEK_SET)
        handles[entry["descriptor"]] = memory
    log = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    null = os.open("/dev/null", os.O_RDONLY)
    report_read, report_write = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            for number in range(1, signal.NSIG):
                try:
                    signal.signal(number, signal.SIG_DFL)
                except (OSError, ValueError):
                    pass
            os.setsid()
            enter_cgroup(spec)
            set_limits(spec["limits"])
            # Sources first go out of the way of their targets.
            moved = {target: os.dup(source) for target, source in handles.items()}
            highest = max([2] + list(moved) + list(moved.values()) + [report_write])
            kept_report = highest + 1
            os.dup2(report_write, kept_report, inheritable=False)
            raised = {}
            for offset, (target, source) in enumerate(sorted(moved.items())):
                raised[target] = highest + 2 + offset
                os.dup2(source, raised[target])
            os.dup2(null, 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            for target, source in raised.items():
                os.dup2(source, target, inheritable=True)
            keep = set(raised) | {kept_report}
            for name in os.listdir("/proc/self/fd"):
                number = int(name)
                if number > 2 and number not in keep:
                    try:
                        os.close(number)
                    except OSError:
                        pass
            # What runs before the sandbox stands must find nothing that a user could have put there.
            os.chdir(spec.get("directory") or "/")
            report_write = kept_report
            os.execve(spec["command"][0], spec["command"], spec["environment"])
        except BaseException as error:  # the only way to tell the parent
            os.write(report_write, str(error).encode()[:2000])
        os._exit(127)
    os.close(report_write)
    for handle in list(handles.values()) + [null, log]:
        os.close(handle)
    problem = b""
    while True:
        chunk = os.read(report_read, 4096)
        if not chunk:
            break
        problem += chunk
    os.close(report_read)
    return child, problem.decode("utf-8", "replace")


def set_limits(limits):
    import resource

    def lower(name, value):
        soft, hard = resource.getrlimit(name)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        try:
            resource.setrlimit(name, (value, value))
        except (OSError, ValueError):
            pass

    # 1, not 0: it also keeps the kernel from starting the machine's crash handler (core(5), "piping core dumps").
    lower(resource.RLIMIT_CORE, 1)
    lower(resource.RLIMIT_NOFILE, limits.get("openFiles", 65536))
    if "fileBytes" in limits:
        lower(resource.RLIMIT_FSIZE, limits["fileBytes"])
    # When the machine itself runs short, user code gives way before the platform does.
    write_file("/proc/self/oom_score_adj", limits.get("oomScore", 500))
    os.nice(limits.get("nice", 0))


def politely(spec, child, number):
    """Signals what the payload's user started: below the sandbox's own processes when there is one."""
    targets = {child}
    if spec["sandboxed"]:
        # bwrap (child) -> its init (pid 1 inside) -> the payload
        ours = pid_namespace(os.getpid())
        inner = [pid for pid in children_of([child]) if pid_namespace(pid) != ours]
        targets = set()
        for pid in inner:
            status = read_text("/proc/%d/status" % pid)
            spaced = [line for line in status.splitlines() if line.startswith("NSpid:")]
            parent = [line for line in status.splitlines() if line.startswith("PPid:")]
            if spaced and spaced[0].split()[-1] != "1" and parent:
                above = read_text("/proc/%s/status" % parent[0].split()[-1])
                if any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in above.splitlines()):
                    targets.add(pid)
    for pid in targets:
        try:
            os.kill(pid, number)
        except OSError:
            pass
    return bool(targets)


class DiskWatch:
    """Whether a disk that the payload writes to is nearly full, and whether this payload goes on filling it.

    Homes have no quota: this is what keeps the last of the disk for the platform and for everybody else.
    """

    def __init__(self, limits):
        self.reserve = limits.get("diskReserve")
        self.written = None

    def look(self, alive):
        """(look again soon, end it)"""
        if self.reserve is None:
            return False, False
        free = min([self.free(folder) for folder in self.reserve["folders"]] or [float("inf")])
        if free >= self.reserve["bytes"]:
            self.written = None
            return free < EARLY * self.reserve["bytes"], False
        now = bytes_written(alive())
        if self.written is None:
            self.written = now
        return True, now - self.written > self.reserve["bytes"] / PART

    def free(self, folder):
        try:
            facts = os.statvfs(folder)
        except OSError:
            return float("inf")
        return facts.f_bavail * facts.f_frsize


# --- the two verbs -------------------------------------------------------------------------------------------------


def ring(spec):
    """Wakes control if it is there; a hint, never the truth."""
    try:
        os.close(os.open(spec["bell"], os.O_WRONLY | os.O_CREAT, 0o600))
        os.utime(spec["bell"])
    except OSError:
        pass


def claim():
    mine = "claim.%d" % os.getpid()
    os.mkdir(mine, 0o700)
    write_atomically(mine + "/shim.json", dict(identity(os.getpid()), claimedMs=now_ms()))
    try:
        os.rename(mine, "claim")
        return True
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False


def run(spec):
    started = now_ms()
    begun = time.monotonic()
    limits = spec["limits"]
    state = {"reason": None, "detail": None}
    status, usage, ended = None, None, {}
    child = None
    measured_peak = 0
    stop_at = None
    if os.path.exists("cancel"):
        state["reason"] = "cancelled"
    else:
        try:
            if not spec["sandboxed"]:
                adopt_orphans()
            make_cgroup(spec)
            child, problem = launch(spec)
            if problem:
                state.update(reason="launch-failed", detail=problem)
        except Exception as error:
            state.update(reason="launch-failed", detail=str(error))
    if child is not None:
        write_atomically("claim/payload.json", identity(child))
        failpoint("shim.after-launch")
    ring(spec)
    next_beat = 0.0
    disk = DiskWatch(limits)
    while child is not None and status is None:
        clock = time.monotonic()
        if clock >= next_beat:
            next_beat = clock + BEAT_SECONDS
            cpu, peak, _ = cgroup_usage(spec)
            try:
                write_atomically("heartbeat", {"atMs": now_ms(), "cpuSeconds": cpu, "peakMemoryBytes": peak})
            except OSError:
                pass  # a full disk is no reason to let the payload die with us
            if not spec.get("cgroup") and state["reason"] is None:
                alive = payload_pids(spec, [child]) | {child}
                measured = memory_of(alive) + (temporary_bytes(alive) if spec["sandboxed"] else 0)
                measured_peak = max(measured_peak, measured)
                if measured > limits["memoryBytes"]:
                    state["reason"] = "memory"
                    stop_at = clock
            if state["reason"] is None and os.stat("log").st_size > limits["logBytes"]:
                state["reason"] = "log-too-large"
                stop_at = clock
            pressed, fills = disk.look(lambda: payload_pids(spec, [child]))
            if pressed:
                next_beat = clock + WATCH_SECONDS
            if fills and state["reason"] is None:
                state["reason"] = "disk-full"
                stop_at = clock
            if state["reason"] is None and (clock - begun) * 1000 > limits["walltimeMs"]:
                state["reason"] = "walltime"
                stop_at = clock + limits["stopGraceMs"] / 1000
                politely(spec, child, signal.SIGTERM)
        if stop_at is not None and clock >= stop_at:
            end_all(spec, [os.getpid()], ended)
            stop_at = None
        wait = next_beat - clock
        left = limits["walltimeMs"] / 1000 - (clock - begun)
        if state["reason"] is None and left > 0:
            wait = min(wait, left + 0.001)
            if left < BEAT_SECONDS:
                next_beat = min(next_beat, clock + left + 0.001)
        if stop_at is not None:
            wait = min(wait, stop_at - clock)
        got = signal.sigtimedwait({signal.SIGCHLD, signal.SIGTERM}, max(wait, 0.001))
        if got is not None and got.si_signo == signal.SIGTERM and os.path.exists("cancel") and state["reason"] is None:
            state["reason"] = "cancelled"
            polite = politely(spec, child, signal.SIGTERM)
            stop_at = time.monotonic() + (limits["stopGraceMs"] / 1000 if polite else 0)
        reap_children(ended)
        status, usage = ended.get(child, (None, None))
    failpoint("shim.after-payload")
    cpu, peak, killed = cgroup_usage(spec)
    proved = end_all(spec, [os.getpid()], ended)
    if not proved:
        # Saying done now would be a lie; control sees a live shim and the reason.
        write_atomically("stuck.json", {"atMs": now_ms(), "pids": sorted(payload_pids(spec, [os.getpid()]))})
        while not end_all(spec, [os.getpid()], ended):
            pass
    exit_code = signal_name = None
    if status is not None:
        if os.WIFEXITED(status):
            exit_code = os.WEXITSTATUS(status)
            # bwrap and the relay report a payload's signal as 128 + number
            if spec["sandboxed"] and exit_code > 128 and exit_code - 128 in (4, 6, 7, 8, 9, 11, 15):
                signal_name = signal_name_of(exit_code - 128)
        else:
            signal_name = signal_name_of(os.WTERMSIG(status))
    if state["reason"] is None:
        state["reason"] = "memory" if killed and (exit_code != 0) else "exited"
    if peak is None:
        peak = max(measured_peak, (usage.ru_maxrss if usage else 0) * 1024)
    if cpu is None:
        cpu = (usage.ru_utime + usage.ru_stime) if usage else 0.0
    remove_cgroup(spec)
    outputs, note = manifest("out", limits) if child is not None and not problem else ([], None)
    close_log(limits["logBytes"], note)
    failpoint("shim.before-done")
    done = {
        "attempt": spec["attempt"],
        "reason": state["reason"],
        "detail": state["detail"],
        "exitCode": exit_code,
        "signal": signal_name,
        "startedMs": started,
        "endedMs": now_ms(),
        "cpuSeconds": round(cpu, 3),
        "peakMemoryBytes": peak,
        "outputs": outputs,
        "note": note,
    }
    while True:
        try:
            write_atomically("done.json", done, durable=True)
            break
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            time.sleep(1.0)
    failpoint("shim.after-done")
    ring(spec)


def reap(spec):
    """For control: the shim is dead, end what it left. Exit 0 = proved that nothing lives, 3 = the shim is alive."""
    shim = read_json("claim/shim.json")
    if is_same(shim):
        return 3
    payload = read_json("claim/payload.json")
    roots = [payload["pid"]] if is_same(payload) else []
    if not end_all(spec, roots, {}):
        return 1
    remove_cgroup(spec)
    return 0


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "--reap":
        os.chdir(arguments[1])
        return reap(read_json("spec.json"))
    os.chdir(arguments[0])
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    spec = read_json("spec.json")
    failpoint("shim.before-claim")
    if not claim():
        return 0
    failpoint("shim.after-claim")
    run(spec)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
