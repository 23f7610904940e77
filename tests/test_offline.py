"""`rag doctor --offline`: the proof holds here, and a path that does reach out is caught."""

import subprocess
import sys

import pytest

import rag.offline
from index import child
from rag.offline import check_offline


def test_the_whole_path_works_with_the_network_closed() -> None:
    found = check_offline("minilm")
    assert found.ok, found.found
    assert '"The lighthouse at Skarn Point was built in 1868." (tower.md)' in found.found
    assert "not in these documents" in found.found
    assert found.found.endswith("0 attempts to reach one")


def test_whatever_reaches_out_is_refused_and_counted() -> None:
    code = (
        "import socket, rag.answer, rag.offline as offline\n"
        "class Chatty(rag.answer.Rag):\n"
        "    def ask(self, *args, **more):\n"
        "        try: socket.getaddrinfo('example.org', 80)\n"
        "        except OSError: pass\n"
        "        return super().ask(*args, **more)\n"
        "import rag\n"
        "rag.Rag = Chatty\n"
        "found = offline.prove('minilm')\n"
        "print(found['attempts'], found['places'], found['wrong'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=child.environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1:] == ["2 ['socket.getaddrinfo example.org', 'socket.getaddrinfo example.org'] 0"]


def test_an_embedder_that_is_not_here_is_said() -> None:
    found = check_offline("no-such-model-anywhere")
    assert not found.ok
    assert "no-such-model-anywhere" in found.found


@pytest.mark.parametrize(("attempts", "wrong"), [(1, 0), (0, 1)])
def test_an_attempt_or_a_wrong_answer_fails(monkeypatch: pytest.MonkeyPatch, attempts: int, wrong: int) -> None:
    said = (
        f'{{"walls": "w", "synced": "s", "answers": {{}}, "wrong": {wrong}, "attempts": {attempts}, "places": ["x"]}}'
    )
    monkeypatch.setattr(rag.offline.child, "command", lambda module: [sys.executable, "-c", f"print({said!r})"])
    assert not check_offline("minilm").ok
