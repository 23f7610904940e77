"""`rag doctor --offline`: the whole path from file to cited answer in a process that cannot reach a network.

Run as `python -m rag.offline EMBEDDER`; prints one JSON object. It shows what this installation does, not what a model
that you name (`openai:…`) would do.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from index import child
from index.store import Check

_DOCS = {
    "tower.md": "# Skarn Point\n\nThe lighthouse at Skarn Point was built in 1868. Its lamp stands 34 metres high.\n",
    "ferry.txt": "The ferry to Skarn Point sails at noon. A ticket costs 18 pounds, and dogs travel free.\n",
}
_ASKED = {"When was the lighthouse at Skarn Point built?": "1868", "Which king of Norway founded the opera house?": ""}
# What Python reports before it connects, sends or looks a name up (audit events of its socket module).
_OUTWARD = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET of Linux


def check_offline(embedder: str) -> Check:
    """Index two tiny documents, ask two questions, all in a child process with its sockets refused."""
    done = subprocess.run(
        [*child.command("rag.offline"), embedder], env=child.environment(), capture_output=True, text=True,
        encoding="utf-8", errors="replace", check=False,
    )  # fmt: skip
    try:
        found = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        return Check(
            "offline", False, f"it fails without a network: {said}", "an embedder that is on this machine (rag.toml)"
        )
    tries = f"{found['attempts']} attempts to reach one"
    if found["attempts"]:
        tries += f" ({', '.join(found['places'])})"
    answers = "; ".join(f"{question} {answer}" for question, answer in found["answers"].items())
    text = f"{found['walls']}: {found['synced']}. {answers}. {tries}"
    good = not found["attempts"] and not found["wrong"]
    return Check("offline", good, text, "" if good else "report this, with what is printed here")


def prove(embedder: str) -> dict[str, Any]:
    """Close the network to this process for good, then sync, ask and tell what happened."""
    walls = _walled()
    attempts: list[str] = []

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _OUTWARD and not (event == "socket.connect" and isinstance(arguments[1], (str, bytes))):
            attempts.append(f"{event} {arguments[-1] if event != 'socket.getaddrinfo' else arguments[0]}")
            raise OSError(f"{event} is refused by rag doctor --offline")

    sys.addaudithook(refuse)
    from rag import Rag

    answers: dict[str, str] = {}
    wrong = 0
    with tempfile.TemporaryDirectory() as scratch:
        docs = Path(scratch) / "docs"
        docs.mkdir()
        for name, text in _DOCS.items():
            (docs / name).write_text(text, "utf-8")
        with Rag(Path(scratch) / ".rag", embedder=embedder) as kb:
            synced = str(kb.sync(docs))
            for question, wanted in _ASKED.items():
                answer = kb.ask(question)
                first = answer.citations[0] if answer.citations and not answer.abstained else None
                answers[question] = f'"{first.quote}" ({first.doc})' if first else "not in these documents"
                true = first is None or kb.document(first.doc).text[first.start : first.end] == first.quote
                wrong += not true or (wanted not in answer.text if wanted else not answer.abstained)
    return {
        "walls": walls, "synced": synced, "answers": answers, "wrong": wrong, "attempts": len(attempts),
        "places": attempts[:5],
    }  # fmt: skip


def _walled() -> str:
    """Leave every network where the system lets us (Linux), so that libraries in C and Rust cannot reach one either."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        if os.name == "posix" and not (libc.unshare(_NEW_NETWORK) and libc.unshare(_NEW_USER | _NEW_NETWORK)):
            return "in a network of its own that has no way out, sockets refused"
    return "with Python's sockets refused"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(prove(sys.argv[1])) + "\n")
