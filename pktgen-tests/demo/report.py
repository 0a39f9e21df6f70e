"""What the demo says: progress while it runs, then a table of what went where, and the verdict."""
import collections
import os
import sys
import time

SERVERS = ("web1", "web2", "web3")
TERMINAL = sys.stdout.isatty() and not os.environ.get("CI")
BEGIN = time.monotonic()
last = {"said": 0.0}


def say(text):
    clear = "\r\033[K" if TERMINAL else ""
    print(f"{clear}  {time.monotonic() - BEGIN:5.1f} s  {text}", flush=True)


def progress(done, total, failed):
    if TERMINAL:
        width = 30 * done // total
        print(f"\r\033[K  [{'#' * width}{'.' * (30 - width)}] {done:,} of {total:,}, {failed} failed", end="", flush=True)
    elif time.monotonic() - last["said"] > 5:
        last["said"] = time.monotonic()
        say(f"{done:,} of {total:,} requests, {failed} failed")


def table(results, excused):
    rows = collections.defaultdict(collections.Counter)
    for request in results:
        column = request.server if request.ok else "excused" if request in excused else "failed"
        rows[request.vip][column] += 1
    heads = ("mode", "family", *SERVERS, "during the outage", "failed")
    print("\n  {:10}{:8}{:>8}{:>8}{:>8}{:>20}{:>9}".format(*heads))
    line = "  {:10}{:8}{:8,}{:8,}{:8,}{:20,}{:9,}"
    columns = (*SERVERS, "excused", "failed")
    for (mode, family), counts in sorted(rows.items()):
        print(line.format(mode, family, *(counts[c] for c in columns)))
    print(line.format("all", "", *(sum(row[c] for row in rows.values()) for c in columns)))


def complaints(demo, failed, digests, expected, drained, killed):
    """Everything that should not have happened, as sentences."""
    results, timeline = demo.results, demo.timeline
    for request in failed[:10]:
        yield f"a request to {'/'.join(request.vip)} failed: {request.error}"
    if len(results) != demo.options.requests:
        yield f"{demo.options.requests - len(results)} requests have no result"
    at_drained = [r for r in results if r.ok and r.server == drained and timeline.within(r, "drained", "undrained")]
    if at_drained:
        yield f"{len(at_drained)} new connections went to {drained} while it was drained"
    if not any(r.server == killed and r.start > timeline.at["revived"] for r in results):
        yield f"{killed} got nothing after it came back"
    for vip, digest in digests.items():
        if digest != expected:
            yield f"the download from {'/'.join(vip)} through {drained} {'broke' if digest is None else 'is corrupt'}"


def verdict(demo, digests, expected, drained, killed):
    timeline = demo.timeline
    failures = [r for r in demo.results if not r.ok]
    excused = {r for r in failures if timeline.overlaps(r, "killed", "unready")}
    failed = [r for r in failures if r not in excused]
    say(f"{len(demo.results):,} requests are done")
    table(demo.results, excused)
    wrong = list(complaints(demo, failed, digests, expected, drained, killed))
    unharmed = sum(digest == expected for digest in digests.values())
    print(f"\n  between the kill of {killed} and its endpoint's change to ready: false "
          f"({timeline.between('killed', 'unready'):.2f} s): {len(excused)} requests failed; at any other time: {len(failed)}")
    print(f"  downloads through {drained} that went on while it was drained: {unharmed} of {len(digests)}, checksums right\n")
    for sentence in wrong:
        print(f"  WRONG: {sentence}")
    return 1 if wrong else 0
