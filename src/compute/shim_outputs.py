"""What an attempt left behind: the manifest of its outputs, and a log of bounded size.

The third part of shim.py, which imports it after every process of the payload is dead. The folder was the payload's:
nothing in it is trusted, and nothing in it may keep the shim from saying `done`.
"""
import os
import stat

# Everything is listed in the database and on pages; who has more packs them into one file.
MOST_FILES = 2_000
MOST_ENTRIES = 50_000
MOST_BYTES = 128 * 1024 ** 3
LONGEST_NAME_BYTES = 1024
EXAMPLES = 3


class Left:
    """What is not kept, by reason, with a few names."""

    def __init__(self):
        self.reasons = {}

    def out(self, reason, name):
        count, examples = self.reasons.get(reason, (0, []))
        if len(examples) < EXAMPLES:
            examples = examples + [ascii(name)[:100]]
        self.reasons[reason] = (count + 1, examples)

    def note(self):
        parts = [
            "%d %s (%s%s)" % (count, reason, ", ".join(examples), ", ..." if count > len(examples) else "")
            for reason, (count, examples) in self.reasons.items()
        ]
        return "not kept of /out: " + "; ".join(parts) if parts else None


def manifest(folder, limits):
    """([{name, sizeBytes, sha256}], note): plain files below `folder`; the note says what was left out and why."""
    most_files = limits.get("outputFiles", MOST_FILES)
    most_bytes = limits.get("outputBytes", MOST_BYTES)
    left, outputs, total = Left(), [], 0
    try:
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return [], None
    try:
        files, complete = plain_files(top, left)
        for name, size in files:
            if len(outputs) >= most_files:
                left.out("beyond the %d files that are kept" % most_files, name)
            elif total + size > most_bytes:
                left.out("beyond the %d bytes that are kept" % most_bytes, name)
            else:
                found = sum_of(top, name, most_bytes - total)
                if found is None:
                    left.out("that cannot be read", name)
                else:
                    outputs.append({"name": name, "sizeBytes": found[0], "sha256": found[1]})
                    total += found[0]
        if not complete:
            left.out("and more, after the first %d entries" % MOST_ENTRIES, folder)
    finally:
        os.close(top)
    return outputs, left.note()


def plain_files(top, left):
    """[(name, size)] in the order of names, and whether everything was seen. Links are never followed."""
    found, seen, folders = [], 0, [""]
    while folders:
        folder = folders.pop()
        inner = []
        try:
            handle = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
        except OSError:
            left.out("in folders that cannot be read", folder)
            continue
        try:
            with os.scandir(handle) as entries:
                for entry in entries:
                    seen += 1
                    if seen > MOST_ENTRIES:
                        return sorted(found), False
                    name = folder + "/" + entry.name if folder else entry.name
                    try:
                        facts = os.stat(entry.name, dir_fd=handle, follow_symlinks=False)
                        too_long = len(name.encode()) > LONGEST_NAME_BYTES
                    except UnicodeEncodeError:
                        left.out("whose name is not UTF-8", name)
                        continue
                    except OSError:
                        left.out("that cannot be read", name)
                        continue
                    if stat.S_ISDIR(facts.st_mode):
                        if too_long:
                            left.out("in folders too deep", name)
                        else:
                            inner.append(name)
                    elif not stat.S_ISREG(facts.st_mode):
                        left.out("that are no plain files", name)
                    elif too_long:
                        left.out("whose name is too long", name)
                    else:
                        found.append((name, facts.st_size))
        except OSError:
            left.out("in folders that cannot be read", folder)
        finally:
            os.close(handle)
        folders.extend(sorted(inner, reverse=True))
    return sorted(found), True


def sum_of(top, name, most_bytes):
    import hashlib

    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=top)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return None
        digest, size = hashlib.sha256(), 0
        while True:
            block = os.read(file, 1 << 20)
            if not block:
                return size, digest.hexdigest()
            digest.update(block)
            size += len(block)
            if size > most_bytes:
                return None
    except OSError:
        return None
    finally:
        os.close(file)


def close_log(most_bytes, note):
    """A flood that came between two looks does not stay on the disk; the note is the log's last line."""
    try:
        handle = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        if os.fstat(handle).st_size > most_bytes:
            os.ftruncate(handle, most_bytes)
            os.write(handle, b"\ncygnet: the log was cut here\n")
        if note is not None:
            os.write(handle, b"cygnet: " + note.encode("utf-8", "replace") + b"\n")
    except OSError:
        pass
    finally:
        os.close(handle)
