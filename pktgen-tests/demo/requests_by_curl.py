"""Curl, started and read: one process per VIP, one connection per request, one line per result."""
import collections
import hashlib
import subprocess
import threading
import time

Request = collections.namedtuple("Request", "vip server ok error start end")

# To stderr, which curl writes unbuffered, so that a line's arrival tells when its request ended.
LINE = r"%{stderr}%{http_code}\t%{time_total}\t%header{x-server}\t%{errormsg}\n"


class Load:
    """`total` requests, shared out over the VIPs and spread over `seconds`."""

    def __init__(self, in_client, vips, total, seconds):
        self.results = []
        self.total = total
        self.changed = threading.Condition()
        self.curls = []
        self.readers = []
        for index, (vip, address) in enumerate(vips.items()):
            count = total // len(vips) + (index < total % len(vips))
            self.start(in_client, vip, address, count, seconds)

    def start(self, in_client, vip, address, count, seconds):
        rate = max(1, round(count / seconds))
        curl = subprocess.Popen(
            in_client("curl", "-s", "--rate", f"{rate}/s", "--connect-timeout", "3", "-m", "10",
                      "-H", "Connection: close", "-w", LINE, "-K", "-"),
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, bufsize=1)
        self.curls.append(curl)
        reader = threading.Thread(target=self.read, args=(vip, curl, address, count), daemon=True)
        self.readers.append(reader)
        reader.start()

    def read(self, vip, curl, address, count):
        curl.stdin.write(f'url = "http://{address}/"\noutput = "/dev/null"\n' * count)
        curl.stdin.close()
        for line in curl.stderr:
            result = parse(vip, line.rstrip("\n"), time.monotonic())
            with self.changed:
                self.results.append(result)
                self.changed.notify_all()

    def wait_for(self, count, progress):
        """Until so many are done, or all curls have ended."""
        while True:
            with self.changed:
                self.changed.wait(0.2)
                done, failed = len(self.results), sum(not r.ok for r in self.results)
            progress(done, self.total, failed)
            if done >= count or not any(reader.is_alive() for reader in self.readers):
                return

    def close(self):
        for curl in self.curls:
            curl.kill()
            curl.wait()


def parse(vip, line, end):
    code, seconds, server, error = line.split("\t", 3)
    ok = code == "200" and server != "" and error == ""
    return Request(vip, server, ok, error or f"HTTP {code}", end - float(seconds.replace(",", ".")), end)


class Download:
    """The large file, which the server sends slowly (a slow client's packets would be in its kernel long before): an established connection to be watched through what happens meanwhile."""

    def __init__(self, curl):
        self.curl = curl
        self.digest = None
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        self.digest = hashlib.sha256(self.curl.stdout.read()).hexdigest()

    def finish(self):
        """The digest of what arrived, or None if curl failed."""
        self.reader.join()
        return self.digest if self.curl.wait() == 0 else None


def slow_download(in_client, address, server, attempts=60):
    for _ in range(attempts):
        curl = subprocess.Popen(
            in_client("curl", "-s", "-m", "90", "-D", "/dev/stderr", f"http://{address}/slow"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if answering_server(curl.stderr) == server:
            return Download(curl)
        curl.kill()
        curl.communicate()
    raise SystemExit(f"{address} never picked {server} in {attempts} attempts")


def answering_server(headers):
    for line in headers:
        name, _, value = line.decode().partition(":")
        if name.lower() == "x-server":
            return value.strip()
        if not line.strip():
            break
    return None
