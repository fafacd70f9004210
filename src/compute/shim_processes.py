"""Processes of an attempt: who they are, what limits them, how they are ended and how that is proved.

The other half of shim.py, which imports it; standard library only, Python >= 3.9.
"""
import os
import time

try:
    # Half of the life of a short job is imports: the modules `signal` and `json` take longer to load than everything
    # else together, and are thin covers of these two.
    import _json
    import _signal as signal
except ImportError:
    import signal

    _json = None

PROOF_SECONDS = 30.0


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


def enter_cgroup(spec):
    """For a child before it becomes a program: from here on whatever it starts is a member."""
    for folder in cgroup_folders(spec):
        with open(folder + "/cgroup.procs", "w") as handle:
            handle.write("0")


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
        return
    if "unified" in group["folders"]:
        write_file(group["folders"]["unified"] + "/cgroup.freeze", 1 if frozen else 0)
    if "freezer" in group["folders"]:
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


def kill_in_one_stroke(spec):
    """Nothing can be born between the reading of a list and the killing of what is on it. Needs a v2 group."""
    folders = (spec.get("cgroup") or {"folders": {}})["folders"]
    for name in ("all", "unified"):
        if name in folders:
            write_file(folders[name] + "/cgroup.kill", 1)


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
        kill_in_one_stroke(spec)
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


def temporary_bytes(pids):
    """What lies in /tmp and /dev/shm of the sandbox of these: memory that belongs to no process."""
    ours, outside = pid_namespace(os.getpid()), os.stat("/tmp").st_dev
    for pid in pids:
        total = 0
        try:
            root = "/proc/%d/root" % pid
            # Neither the helper outside nor one that has not changed its root yet.
            if pid_namespace(pid) in (ours, None) or os.stat(root + "/tmp").st_dev == outside:
                continue
            for place in ("/tmp", "/dev/shm"):
                facts = os.statvfs(root + place)
                total += (facts.f_blocks - facts.f_bfree) * facts.f_frsize
            return total
        except OSError:
            pass
    return 0


def bytes_written(pids):
    """To disks, by these processes and by their children that have ended; tmpfs does not count."""
    total = 0
    for pid in pids:
        for line in read_text("/proc/%d/io" % pid).splitlines():
            name, _, value = line.partition(": ")
            if name == "write_bytes":
                total += int(value)
    return total


def memory_of(pids):
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for pid in pids:
        fields = read_text("/proc/%d/statm" % pid).split()
        if len(fields) > 2:
            total += (int(fields[1]) - int(fields[2])) * page  # resident without what is shared
    return total


# --- JSON --------------------------------------------------------------------------------------------------------------


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
