"""Print a constraint for each package that is installed here for a requirement of this project.

Taken are the requirements of requirements.txt, requirements-cluster.txt, requirements-hub.txt,
requirements-tflite.txt and tests/requirements.txt, those of these packages, and so on, on Linux and
macOS, from the oldest to the newest Python. To be run by the oldest, which needs packages that
later ones do not.
"""

import importlib.metadata
import itertools
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FILES = (
    "requirements.txt",
    "requirements-cluster.txt",
    "requirements-hub.txt",
    "requirements-tflite.txt",
    "tests/requirements.txt",
)
PYTHONS = ("3.11", "3.12", "3.13")
SYSTEMS = (("linux", "Linux"), ("darwin", "Darwin"))
MACHINES = ("x86_64", "aarch64", "arm64")
HEADER = """\
# The versions that the tests ran with, of every package that is needed, directly or not:
# pip install -r requirements.txt -c constraints.txt
# Written by `make constraints`; `make newest` tests against the newest of everything.
"""


def environments() -> Iterator[dict[str, str]]:
    """Yield what distinguishes the environments in which this project is installed."""
    for python, (platform, system), machine in itertools.product(PYTHONS, SYSTEMS, MACHINES):
        yield {
            "python_version": python,
            "python_full_version": f"{python}.0",
            "sys_platform": platform,
            "platform_system": system,
            "platform_machine": machine,
        }


def requirements(file: Path) -> Iterator[Requirement]:
    """Yield the requirements of a file, those of others that it names left out."""
    for line in file.read_text().splitlines():
        text = line.split("#")[0].strip()
        if text and not text.startswith("-"):
            yield Requirement(text)


def is_needed(requirement: Requirement, extras: set[str]) -> bool:
    """Return whether a package needs another anywhere, with some of its extras."""
    return requirement.marker is None or any(
        requirement.marker.evaluate(environment | {"extra": extra})
        for environment in environments()
        for extra in extras or {""}
    )


def versions() -> dict[str, str]:
    """Return the version here of each package that is needed anywhere, by its name."""
    found: dict[str, str] = {}
    seen = set()
    pending = [each for file in FILES for each in requirements(ROOT / file)]
    while pending:
        wanted = pending.pop()
        name = canonicalize_name(wanted.name)
        if (name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((name, frozenset(wanted.extras)))
        try:
            package = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if wanted.marker is None:
                raise
            continue  # needed elsewhere only
        found[name] = package.version
        needs = map(Requirement, package.requires or ())
        pending += [each for each in needs if is_needed(each, wanted.extras)]
    return dict(sorted(found.items()))


if __name__ == "__main__":
    pinned = (f"{name}=={version}\n" for name, version in versions().items())
    print(HEADER, *pinned, sep="", end="")  # noqa: T201
