"""The project's source files, for the checks that read them."""
import os


def sources(root, pattern):
    """Paths below the root whose name matches; no source lies at the root itself, nor in what a build makes."""
    for where, names, files in os.walk(root):
        inside = os.path.relpath(where, root)
        names[:] = [n for n in names if not n.startswith((".", "build"))]
        if inside == ".":
            continue
        yield from (f"{inside}/{name}" for name in files if pattern.search(name))
