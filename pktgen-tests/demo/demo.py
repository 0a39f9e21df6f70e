#!/usr/bin/python3
"""Drives the demo in a lab that stands with engine and daemon: `demo.py --run DIR --prefix PREFIX`.

Curl sends 10,000 requests, each on a connection of its own, over every VIP. Meanwhile one server is drained and comes
back; another is killed, and its endpoints follow within a second, as a kubelet's would. Every request is counted by its
VIP and the server that answered. Code 0: no request failed but between the kill and the change of readiness.
This file plays the cluster and reads curl's results; it never sends a request of its own.
"""
import argparse
import contextlib
import hashlib
import subprocess
import sys
import time

import endpoints
import requests_by_curl
import report
from timeline import Timeline

MODES = {"dsr-l2": 10, "dsr-ipip": 20, "dsr-gue": 40, "nat": 30}
VIPS = {(mode, family): f"192.0.2.{n}" if family == "IPv4" else f"[2001:db8::{n}]"
        for mode, n in MODES.items() for family in ("IPv4", "IPv6")}
DRAINED, KILLED = "web1", "web2"


class Demo:
    def __init__(self, options):
        self.options = options
        self.endpoints = endpoints.Endpoints(f"{options.run}/manifests")
        self.timeline = Timeline()
        self.results = []

    def in_client(self, *command):
        return ["ip", "netns", "exec", f"{self.options.prefix}-client", *command]

    def lab(self, function, *arguments):
        """A function of lab.sh: how servers are killed and started is known there alone."""
        script = f'set -euo pipefail; . pktgen-tests/lab.sh; {function} "$@"'
        subprocess.run(["bash", "-c", script, "demo", *arguments], check=True, stdin=subprocess.DEVNULL)

    def start_downloads(self):
        """For each VIP a slow download through the server that will be drained: curl takes what it is given, so others
        are ended and asked again."""
        return {vip: requests_by_curl.slow_download(self.in_client, address, DRAINED) for vip, address in VIPS.items()}

    def drain(self):
        self.endpoints.set(DRAINED, ready=False, serving=True, terminating=True)
        self.timeline.mark("drained")
        report.say(f"{DRAINED} is drained: terminating, still serving")

    def undrain(self):
        self.timeline.mark("undrained")
        self.endpoints.set(DRAINED, ready=True, serving=True, terminating=False)
        report.say(f"{DRAINED} is back")

    def kill(self):
        self.timeline.mark("killed")
        self.lab("lab_kill_server", KILLED)
        report.say(f"nginx of {KILLED} is killed (SIGKILL)")

    def unready(self):
        self.endpoints.set(KILLED, ready=False, serving=False, terminating=False)
        self.timeline.mark("unready")
        report.say(f"{KILLED} is ready: false, {self.timeline.between('killed', 'unready'):.2f} s after the kill")

    def revive(self):
        self.lab("lab_start_server", KILLED)
        time.sleep(0.3)
        self.timeline.mark("revived")
        self.endpoints.set(KILLED, ready=True, serving=True, terminating=False)
        report.say(f"{KILLED} runs again and is ready")

    def play(self):
        """The plot, as (share of the requests done, what happens)."""
        return [(0.10, self.drain), (0.40, self.undrain), (0.55, self.kill), (None, self.unready), (0.80, self.revive)]

    def run(self):
        downloads = self.start_downloads()
        total = self.options.requests
        load = requests_by_curl.Load(self.in_client, VIPS, total, self.options.seconds)
        with contextlib.closing(load):
            for share, happens in self.play():
                if share is None:
                    time.sleep(0.7)  # a kubelet's probe, and the API server's way to us
                else:
                    load.wait_for(share * total, report.progress)
                happens()
            load.wait_for(total, report.progress)
        self.results = load.results
        return {vip: download.finish() for vip, download in downloads.items()}


def big_file_digest(demo):
    script = ". pktgen-tests/lab.sh; lab_big_file"
    return hashlib.sha256(subprocess.run(["bash", "-c", script], check=True, capture_output=True).stdout).hexdigest()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=40)
    demo = Demo(parser.parse_args())
    try:
        digests = demo.run()
    except KeyboardInterrupt:
        return 130
    return report.verdict(demo, digests, big_file_digest(demo), DRAINED, KILLED)


if __name__ == "__main__":
    sys.exit(main())
