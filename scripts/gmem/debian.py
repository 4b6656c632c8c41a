# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
"""Fetches Debian packages through a private apt configuration.

The machine's own sources are only read, to learn its mirrors; proxies and other
transport settings in /etc/apt/apt.conf.d hold here too, for apt itself runs.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from .console import say

KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DEFAULT_MIRROR = "http://deb.debian.org/debian"
DEBIAN_SUITE = re.compile(
    r"^(stable|oldstable|testing|sid|unstable|bookworm|trixie|forky|duke)"
    r"(-updates|-backports|-proposed-updates)?/?$")


def _one_line_entries(text):
    for line in text.splitlines():
        line = re.sub(r"\[[^]]*\]", " ", line.split("#", 1)[0])
        words = line.split()
        if len(words) >= 3 and words[0] == "deb":
            yield [words[1]], [words[2]]


def _deb822_entries(text):
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields, key = {}, None
        for line in paragraph.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in " \t" and key:
                fields[key] += " " + line.strip()
            elif ":" in line:
                key, value = line.split(":", 1)
                key = key.strip().lower()
                fields[key] = value.strip()
        if fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        if "deb" in fields.get("types", "").split():
            yield fields.get("uris", "").split(), fields.get("suites", "").split()


def machine_mirrors(etc=pathlib.Path("/etc/apt")):
    """The mirrors of Debian's main archive that this machine's apt uses."""
    files = [etc / "sources.list"]
    files += sorted((etc / "sources.list.d").glob("*"))
    mirrors = []
    for path in files:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if path.suffix == ".list":
            entries = _one_line_entries(text)
        elif path.suffix == ".sources":
            entries = _deb822_entries(text)
        else:
            continue
        for uris, suites in entries:
            if not any(DEBIAN_SUITE.match(suite) for suite in suites):
                continue
            for uri in uris:
                uri = uri.rstrip("/")
                if "security" not in uri and uri not in mirrors:
                    mirrors.append(uri)
    return mirrors


def machine_suite(os_release=pathlib.Path("/etc/os-release")):
    """The name of this machine's Debian release; None on another system."""
    try:
        lines = os_release.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    if fields.get("ID", "").strip('"') != "debian":
        return None
    return fields.get("VERSION_CODENAME", "").strip('"') or None


def fetch(packages, suite, uri, into, log, architecture=None):
    """Download packages ("name" or "name=version") from uri's suite.

    architecture is the machine's own unless given.

    Return: the files' paths in the directory into, or None, with the reason in
    log.
    """
    with tempfile.TemporaryDirectory(prefix="apt.", dir=into) as name:
        work = pathlib.Path(name)
        (work / "lists" / "partial").mkdir(parents=True)
        (work / "archives" / "partial").mkdir(parents=True)
        foreign = "" if architecture is None else f"""
APT::Architecture "{architecture}";
APT::Architectures "{architecture}";
Dir::State::status "{work}/status";
"""
        (work / "status").touch()
        (work / "sources.list").write_text(
            f"deb [signed-by={KEYRING}] {uri} {suite} main\n", encoding="utf-8")
        # Given by -c, so read after /etc/apt and winning over it.
        (work / "apt.conf").write_text(foreign + f"""
Dir::Etc::SourceList "{work}/sources.list";
Dir::Etc::SourceParts "-";
Dir::State::Lists "{work}/lists";
Dir::Cache "{work}";
Dir::Cache::archives "{work}/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Sandbox::User "";
APT::Update::Post-Invoke "";
Acquire::Languages "none";
// A snapshot is old by nature; what is fetched is pinned by its SHA-256.
Acquire::Check-Valid-Until "false";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
""", encoding="utf-8")
        apt = ["apt-get", "-c", f"{work}/apt.conf"]
        log.write(f"== {uri} {suite}\n")
        log.flush()
        update = subprocess.run(
            apt + ["-q", "-o", "APT::Update::Error-Mode=any", "update"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
        if update.returncode:
            return None
        say(f"downloading {' '.join(packages).replace('=', ' ')} from {uri}")
        live = sys.stderr.isatty()
        download = subprocess.run(
            apt + ([] if live else ["-q"]) + ["download", *packages],
            cwd=work, stdin=subprocess.DEVNULL,
            stdout=sys.stderr if live else log, stderr=log, check=False)
        found = sorted(work.glob("*.deb"))
        if download.returncode or len(found) != len(packages):
            return None
        targets = [pathlib.Path(into) / (path.name + ".new") for path in found]
        for path, target in zip(found, targets):
            shutil.move(path, target)
        return targets
