"""Which pins a Python of one minor version needs, whatever its patch version: pip itself asks only about the one it runs on.

usage: pins_for.py REQUIREMENTS MINOR MACHINE      prints JSON, lists of requirement lines that pip takes together
"""
import json
import re
import sys

from pip._vendor.packaging.requirements import Requirement

path, minor, machine = sys.argv[1:]
text = re.sub(r"\s*#.*", "", open(path, encoding="utf-8").read())
pins = [re.split(r"\s+(?=--hash=)", pin.strip()) for pin in text.replace("\\\n", " ").splitlines() if pin.strip()]


def needed(patch):
    environment = {
        "python_version": minor,
        "python_full_version": minor + "." + patch,
        "implementation_version": minor + "." + patch,
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_machine": machine,
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
        "extra": "",
    }
    lines = []
    for name, *hashes in pins:
        requirement = Requirement(name)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            lines.append(" ".join([name.split(";")[0].strip(), *hashes]))
    return lines


first, last = needed("0"), needed("99")
print(json.dumps([last, [line for line in first if line not in last]]))
