"""The chat page under load: 50 people who ask, read and ask on for five minutes; before that 20 who ask at once.

    python benchmarks/ui_load.py [--clients 50] [--minutes 5] [--pause 30] [--at-once 20]

The real `rag ui` with a log-in, over the sample corpus, in a process of its own; a scripted model behind HTTP that
waits 0.2 s and then writes 60 words at 40 a second. Clients speak Gradio's protocol as its page does (a heartbeat while
it is open, join the queue, follow the stream of events), each logged in as a person of their own. Counted: from the
question to the first word of the answer, and what of that the page adds to the model's own time; the whole answer;
errors; answers, questions or titles of one person that reach another; the server's memory; models that stop when a
client goes away in the middle. Clients and model share the machine with the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from scripted_server import Play, ScriptedServer  # noqa: E402

SAMPLE = HERE.parents[1] / "evals" / "suites" / "sample" / "docs"
PASSWORD = "correct horse"
FIRST, PACE, WORDS = 0.2, 0.025, 60
"""Seconds until the model's first word, between two words; words of a reply."""

SAID = re.compile(r"(?:answer|asked)(\d+)x(\d+)")
TOPICS = ("the lamp of the lighthouse", "the ferry to Brannay", "the observatory", "the fog siren", "the seabirds")
ABANDON = 0.04
"""Share of questions whose client goes away in the middle."""


@dataclass
class Seen:
    """What the clients saw."""

    first: list[float] = field(default_factory=list)
    added: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    abandoned: int = 0


class Model:
    """The scripted model: notes when each question reached it, and how many replies were broken off."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}
        self.broken = 0
        self.server = ScriptedServer(Play(self.reply, first=FIRST, pace=PACE))
        self.server.hung_up = self  # type: ignore[assignment]
        self._lock = threading.Lock()

    def set(self) -> None:
        """A client of the model went away."""
        with self._lock:
            self.broken += 1

    def reply(self, messages: list[dict[str, str]]) -> str:
        prompt = messages[-1]["content"]
        token = SAID.findall(prompt)[-1]
        self.arrived["x".join(token)] = time.monotonic()
        label = re.search(r"\[(b\d+\.\d+)\]", prompt)
        words = " ".join(f"word{n}" for n in range(WORDS))
        return f"answer{token[0]}x{token[1]} says {words} [{label[1] if label else 'b1.1'}]."


class Person:
    """One client: logs in, opens the page, asks."""

    def __init__(self, number: int, url: str, model: Model, seen: Seen) -> None:
        self.number, self.url, self.model, self.seen = number, url, model, seen
        self.http = httpx.AsyncClient(base_url=url, timeout=120.0)
        self.asked = 0
        self.session = ""
        self.heart: asyncio.Task[None] | None = None

    async def arrive(self) -> None:
        reply = await self.http.post("/login", data={"name": f"person{self.number}", "password": PASSWORD})
        assert reply.status_code == 303, reply.status_code
        await self.open()

    async def open(self) -> None:
        """The page anew: its HTML and its configuration, a session of its own."""
        (await self.http.get("/", headers={"accept": "text/html"})).raise_for_status()
        config = (await self.http.get("/config")).json()
        parts = {c["props"].get("elem_id"): c["id"] for c in config["components"]}
        target = [parts["question"], "submit"]
        (listener,) = [d for d in config["dependencies"] if target in d["targets"] and d["inputs"]]
        self.listener = listener["id"]
        self.session = f"p{self.number}-{random.getrandbits(40):x}"
        await self.close()
        self.heart = asyncio.create_task(self._beat(self.session))

    async def close(self) -> None:
        """Leave the page, which the server knows by the heartbeat that ends."""
        if self.heart is not None:
            self.heart.cancel()
            await asyncio.gather(self.heart, return_exceptions=True)

    async def _beat(self, session: str) -> None:
        async with self.http.stream("GET", f"/gradio_api/heartbeat/{session}") as reply:
            async for _ in reply.aiter_lines():
                pass

    async def ask(self, abandon: bool = False) -> None:
        self.asked += 1
        token = f"{self.number}x{self.asked}"
        question = f"asked{token}: what is known of {random.choice(TOPICS)}?"
        body = {
            "data": [question, None, None, [], [], [], "", ""],
            "fn_index": self.listener,
            "session_hash": self.session,
        }
        began = time.monotonic()
        try:
            (await self.http.post("/gradio_api/queue/join", json=body)).raise_for_status()
            await self._follow(token, began, abandon)
        except (httpx.HTTPError, AssertionError, ValueError) as error:
            self.seen.errors.append(f"{type(error).__name__}: {error}"[:200])

    async def _follow(self, token: str, began: float, abandon: bool) -> None:
        first = None
        async with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as reply:
            async for line in reply.aiter_lines():
                if not line.startswith("data: "):
                    continue
                foreign = {f"{who}x{n}" for who, n in SAID.findall(line) if int(who) != self.number}
                if foreign:
                    self.seen.leaks.append(f"person {self.number} saw {sorted(foreign)[:3]}")
                if first is None and f"answer{token}" in line:
                    first = time.monotonic()
                    self.seen.first.append(first - began)
                    self.seen.added.append(first - self.model.arrived[token] - FIRST)
                    if abandon:
                        self.seen.abandoned += 1
                        return
                message = json.loads(line[6:])
                if message.get("msg") == "process_completed":
                    assert message["success"], str(message)[:200]
                    assert first is not None, "an answer without its first word"
                    self.seen.whole.append(time.monotonic() - began)
                    return
        raise ValueError("the stream ended early")

    async def live(self, until: float, pause: float) -> None:
        await asyncio.sleep(random.uniform(0, pause))
        while time.monotonic() < until:
            abandon = random.random() < ABANDON
            await self.ask(abandon)
            if abandon or random.random() < 0.1:
                await self.open()  # a reload
            await asyncio.sleep(random.uniform(0.5, 1.5) * pause)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def report(what: str, seen: Seen) -> None:
    def row(name: str, values: list[float]) -> str:
        return f"  {name:42} p50 {statistics.median(values or [0]):.3f}  p95 {percentile(values, 0.95):.3f} s"

    print(f"{what}: {len(seen.whole)} whole answers, {seen.abandoned} left in the middle, {len(seen.errors)} errors, "
          f"{len(seen.leaks)} leaks")  # fmt: skip
    print(row("question to first word", seen.first))
    print(row("of it after the model's own first word", seen.added))
    print(row("question to the end of the answer", seen.whole))
    for problem in (seen.errors + seen.leaks)[:5]:
        print("  ", problem)


def memory(pid: int) -> float:
    """MB of a process that are in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1000


async def run(options: argparse.Namespace, url: str, model: Model, pid: int) -> None:
    once = Seen()
    people = [Person(n, url, model, once) for n in range(options.clients)]
    await asyncio.gather(*(person.arrive() for person in people))
    people[0].seen = Seen()  # the first answer loads what the others find loaded
    await people[0].ask()
    people[0].seen = once
    await asyncio.gather(*(person.ask() for person in people[: options.at_once]))
    report(f"{options.at_once} at once", once)

    seen = Seen()
    for person in people:
        person.seen = seen
    began = time.monotonic()
    until = began + options.minutes * 60
    sizes: list[tuple[float, float]] = []

    async def watch() -> None:
        while time.monotonic() < until:
            sizes.append((time.monotonic() - began, memory(pid)))
            await asyncio.sleep(2)

    broken = model.broken
    await asyncio.gather(watch(), *(person.live(until, options.pause) for person in people))
    await asyncio.sleep(3)
    for person in people:
        await person.close()
    report(f"{options.clients} people for {options.minutes:g} minutes", seen)
    print(f"  replies that the model could break off: {model.broken - broken} of {seen.abandoned} left in the middle")
    minutes = [statistics.median(mb for at, mb in sizes if m <= at / 60 < m + 1) for m in range(int(options.minutes))]
    print("  server's memory, median of each minute:", ", ".join(f"{mb:.0f}" for mb in minutes), "MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--pause", type=float, default=30, help="Mean seconds from an answer to the next question.")
    parser.add_argument("--at-once", type=int, default=20)
    options = parser.parse_args()
    from rag import Rag
    from ui.auth import Users

    with tempfile.TemporaryDirectory() as folder:
        docs, index = Path(folder) / "docs", Path(folder) / ".rag"
        shutil.copytree(SAMPLE, docs)
        with Rag(index) as kb:
            kb.sync(docs)
        users = Users(index / "users.txt")
        for number in range(options.clients):
            users.add(f"person{number}", PASSWORD)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        model = Model()
        (Path(folder) / "rag.toml").write_text("min_confidence = 0.0\n")
        with model.server:
            command = [
                str(Path(sys.executable).with_name("rag")), "ui", "--index", str(index), "--port", str(port), "--auth",
                "--no-browser", "--model", f"openai-like:tiny@{model.server.url}",
            ]  # fmt: skip
            server = subprocess.Popen(command, cwd=folder)
            try:
                url = f"http://127.0.0.1:{port}"
                _wait(url)
                asyncio.run(run(options, url, model, server.pid))
            finally:
                server.terminate()
                server.wait(20)


def _wait(url: str) -> None:
    for _ in range(240):
        try:
            httpx.get(f"{url}/login", timeout=5).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.5)
        else:
            return
    raise SystemExit("the page did not come up")


if __name__ == "__main__":
    main()
