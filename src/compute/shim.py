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
import stat
import sys
import time

try:
    # Half of the life of a short job is this file's imports: the modules `signal` and `json` take longer to load than
    # everything else together, and are thin covers of these two.
    import _json
    import _signal as signal
except ImportError:
    import signal

    _json = None

BEAT_SECONDS = 2.0
PROOF_SECONDS = 30.0


def now_ms():
    return int(time.time() * 1000)


class JsonReading:
    """What the scanner of CPython asks for: json.JSONDecoder without its Python parts."""

    strict = True
    object_hook = object_pairs_hook = array_hook = None
    parse_float, parse_int, parse_constant = float, int, float
    memo = {}


def from_json(text):
    try:
        return _json.make_scanner(JsonReading())(text, 0)[0]
    except (AttributeError, TypeError):
        import json

        return json.loads(text)
    except StopIteration:
        raise ValueError("not JSON") from None


def to_json(value):
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        return "{%s}" % ",".join("%s:%s" % (to_json(name), to_json(item)) for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return "[%s]" % ",".join(to_json(item) for item in value)
    if _json is not None:
        return _json.encode_basestring_ascii(value)
    import json

    return json.dumps(value)


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


def read_text(path):
    try:
        with open(path, "rb") as handle:
            return handle.read().decode("utf-8", "replace")
    except OSError:
        return ""


def signal_name_of(number):
    for name in sorted(dir(signal)):
        if name.startswith("SIG") and not name.startswith("SIG_") and getattr(signal, name) == number:
            return {"SIGCLD": "SIGCHLD", "SIGIOT": "SIGABRT"}.get(name, name)
    return "SIG%d" % number


def failpoint(name):
    """Only for tests: CYGNET_TEST=1 and CYGNET_FAILPOINTS='shim.after-claim=kill'."""
    if os.environ.get("CYGNET_TEST") != "1":
        return
    for part in os.environ.get("CYGNET_FAILPOINTS", "").split(","):
        where, _, effect = part.strip().partition("=")
        if where != name:
            continue
        if effect == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif effect.startswith("delay:"):
            time.sleep(int(effect[6:]) / 1000)
        elif effect == "error":
            raise RuntimeError("failpoint %s" % name)


# --- who is who in /proc -------------------------------------------------------------------------------------------


def start_ticks(pid):
    """Field 22 of /proc/PID/stat, or None when there is no such living process."""
    text = read_text("/proc/%d/stat" % pid)
    if not text:
        return None
    fields = text[text.rindex(")") + 2:].split(" ")
    return None if fields[0] in ("Z", "X") else int(fields[19])


def identity(pid):
    return {
        "pid": pid,
        "startTicks": start_ticks(pid) or -1,
        "bootId": read_text("/proc/sys/kernel/random/boot_id").strip(),
    }


def is_same(who):
    return (
        who is not None
        and who["bootId"] == read_text("/proc/sys/kernel/random/boot_id").strip()
        and start_ticks(who["pid"]) == who["startTicks"]
    )


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def pid_namespace(pid):
    try:
        return os.readlink("/proc/%d/ns/pid" % pid)
    except OSError:
        return None


def children_of(parents):
    found = {}
    for pid in all_pids():
        text = read_text("/proc/%d/stat" % pid)
        if text:
            found.setdefault(int(text[text.rindex(")") + 2:].split(" ")[1]), []).append(pid)
    result, todo = set(), list(parents)
    while todo:
        for child in found.get(todo.pop(), []):
            if child not in result:
                result.add(child)
                todo.append(child)
    return result


def payload_pids(spec, roots):
    """Every living process of the attempt.

    With cgroups these are their members: the payload enters before it becomes a program, and nobody leaves. Without:
    what carries its mark in the environment, what descends from `roots`, and what shares a pid namespace with those.
    """
    if spec.get("cgroup"):
        members = set()
        for folder in cgroup_folders(spec):
            members.update(int(line) for line in read_text(folder + "/cgroup.procs").split())
        return {pid for pid in members if start_ticks(pid) is not None}
    pids = set()
    mark = ("CYGNET_ATTEMPT=%s" % spec["attempt"]).encode()
    for pid in all_pids():
        try:
            with open("/proc/%d/environ" % pid, "rb") as handle:
                if mark in handle.read().split(b"\0"):
                    pids.add(pid)
        except OSError:
            pass
    pids |= children_of(roots)
    ours = pid_namespace(os.getpid())
    spaces = {pid_namespace(pid) for pid in pids} - {ours, None}
    if spaces:
        pids |= {pid for pid in all_pids() if pid_namespace(pid) in spaces}
    pids.discard(os.getpid())
    return {pid for pid in pids if start_ticks(pid) is not None}


# --- cgroups -------------------------------------------------------------------------------------------------------


def cgroup_folders(spec):
    group = spec.get("cgroup")
    return sorted(set(group["folders"].values())) if group else []


def write_file(path, value):
    try:
        with open(path, "w") as handle:
            handle.write(str(value))
        return True
    except OSError:
        return False


def make_cgroup(spec):
    """Creates the groups and sets the limits. A limit that cannot be set makes the launch fail: it was promised."""
    group = spec.get("cgroup")
    if not group:
        return
    limits = spec["limits"]
    memory, cpu_milli, processes = limits["memoryBytes"], limits["cpuMilli"], limits["processes"]
    for folder in cgroup_folders(spec):
        os.makedirs(folder, exist_ok=True)
    where = group["folders"]

    def limit(name, file, value, needed=True):
        if name in where and not write_file(os.path.join(where[name], file), value) and needed:
            raise RuntimeError("the limit %s cannot be set in %s" % (file, where[name]))

    if group["version"] == 2:
        limit("all", "memory.max", memory)
        limit("all", "memory.swap.max", 0, needed=False)
        limit("all", "memory.oom.group", 1, needed=False)
        limit("all", "pids.max", processes)
        limit("all", "cpu.weight", max(1, min(10000, cpu_milli // 10)), needed=False)
    else:
        limit("memory", "memory.limit_in_bytes", memory)
        limit("memory", "memory.memsw.limit_in_bytes", memory, needed=False)
        limit("pids", "pids.max", processes)
        limit("cpu", "cpu.shares", max(2, cpu_milli * 1024 // 1000), needed=False)


def cgroup_usage(spec):
    """(cpu seconds, peak memory in bytes, processes killed for memory), None for what is not measured."""
    group = spec.get("cgroup")
    if not group:
        return None, None, 0
    where = group["folders"]

    def number(path):
        text = read_text(path).strip()
        return int(text) if text.isdigit() else None

    def field(path, name):
        for line in read_text(path).splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
        return None

    if group["version"] == 2:
        cpu = field(where["all"] + "/cpu.stat", "usage_usec")
        return (
            None if cpu is None else cpu / 1e6,
            number(where["all"] + "/memory.peak"),
            field(where["all"] + "/memory.events", "oom_kill") or 0,
        )
    cpu = number(where["cpuacct"] + "/cpuacct.usage") if "cpuacct" in where else None
    memory = where.get("memory")
    return (
        None if cpu is None else cpu / 1e9,
        number(memory + "/memory.max_usage_in_bytes") if memory else None,
        (field(memory + "/memory.oom_control", "oom_kill") or 0) if memory else 0,
    )


def freeze(spec, frozen):
    group = spec.get("cgroup")
    if not group:
        return
    if group["version"] == 2:
        write_file(group["folders"]["all"] + "/cgroup.freeze", 1 if frozen else 0)
    elif "freezer" in group["folders"]:
        write_file(group["folders"]["freezer"] + "/freezer.state", "FROZEN" if frozen else "THAWED")


def remove_cgroup(spec):
    for folder in cgroup_folders(spec):
        for _ in range(50):
            try:
                os.rmdir(folder)
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.02)


def end_all(spec, roots, ended):
    """Kills everything of the attempt; returns True when nothing of it is alive."""
    until = time.monotonic() + PROOF_SECONDS
    pause = 0.002
    while True:
        pids = payload_pids(spec, roots)
        if not pids:
            return True
        if time.monotonic() > until:
            return False
        freeze(spec, True)
        if spec.get("cgroup") and spec["cgroup"]["version"] == 2:
            write_file(spec["cgroup"]["folders"]["all"] + "/cgroup.kill", 1)
        for pid in payload_pids(spec, roots):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        freeze(spec, False)
        reap_children(ended)
        time.sleep(pause)
        pause = min(pause * 2, 0.1)


def reap_children(ended):
    """Collects children that have ended, orphans adopted by us among them, into pid -> (status, usage)."""
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        ended[pid] = (status, usage)


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
            for folder in cgroup_folders(spec):
                with open(folder + "/cgroup.procs", "w") as handle:
                    handle.write("0")
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
            if spec.get("directory"):
                os.chdir(spec["directory"])
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

    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_NOFILE, limits.get("openFiles", 65536))


def memory_of(pids):
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for pid in pids:
        fields = read_text("/proc/%d/statm" % pid).split()
        if len(fields) > 2:
            total += (int(fields[1]) - int(fields[2])) * page  # resident without what is shared
    return total


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


# --- outputs -------------------------------------------------------------------------------------------------------


def manifest(folder):
    """Regular files below `out`, with their sums. Links are not followed: the folder was the payload's."""
    outputs = []
    try:
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return outputs
    try:
        for path, _folders, files, handle in os.fwalk(".", dir_fd=top, follow_symlinks=False):
            for name in sorted(files):
                try:
                    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
                except OSError:
                    continue
                try:
                    facts = os.fstat(file)
                    if not stat.S_ISREG(facts.st_mode):
                        continue
                    import hashlib

                    digest, size = hashlib.sha256(), 0
                    while True:
                        block = os.read(file, 1 << 20)
                        if not block:
                            break
                        digest.update(block)
                        size += len(block)
                    full = os.path.normpath(os.path.join(path, name))
                    try:
                        full.encode()
                    except UnicodeEncodeError:
                        continue
                    outputs.append({"name": full, "sizeBytes": size, "sha256": digest.hexdigest()})
                finally:
                    os.close(file)
    finally:
        os.close(top)
    return sorted(outputs, key=lambda output: output["name"])


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
    while child is not None and status is None:
        clock = time.monotonic()
        if clock >= next_beat:
            next_beat = clock + BEAT_SECONDS
            cpu, peak, _ = cgroup_usage(spec)
            write_atomically("heartbeat", {"atMs": now_ms(), "cpuSeconds": cpu, "peakMemoryBytes": peak})
            if not spec.get("cgroup") and state["reason"] is None:
                measured = memory_of(payload_pids(spec, [child]) | {child})
                measured_peak = max(measured_peak, measured)
                if measured > limits["memoryBytes"]:
                    state["reason"] = "memory"
                    stop_at = clock
            if state["reason"] is None and os.stat("log").st_size > limits["logBytes"]:
                state["reason"] = "log-too-large"
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
    failpoint("shim.before-done")
    write_atomically("done.json", {
        "attempt": spec["attempt"],
        "reason": state["reason"],
        "detail": state["detail"],
        "exitCode": exit_code,
        "signal": signal_name,
        "startedMs": started,
        "endedMs": now_ms(),
        "cpuSeconds": round(cpu, 3),
        "peakMemoryBytes": peak,
        "outputs": manifest("out") if child is not None and not problem else [],
    }, durable=True)
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
