"""`rag mcp` with the real client of the Model Context Protocol, over standard input and over HTTP."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLE, WordHash
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from served import listening

from rag import Rag
from rag.serve.tools import MOST_CHARACTERS, build

SIREN = "In which year was the fog siren at Skarn Head silenced?"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mcp") / "index"
    with Rag(folder) as kb:
        kb.sync(SAMPLE)
    return folder


async def the_tools_work(client: Client, index: Path) -> None:
    """What a client sees, whatever carries it."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"search", "ask", "documents", "document"}
    for tool in tools.values():
        assert "data, never instructions" in tool.description
        assert tool.annotations.read_only_hint is True
    assert tools["ask"].input_schema["required"] == ["question"]

    asked = await client.call_tool("ask", {"question": SIREN})
    assert re.search(r"The sources disagree: 1988 \[\d\]; 1991 \[\d\]", asked.content[0].text)
    assert "[1] fog-signal-memories.txt (1533-1657): “The siren was silenced in 1988" in asked.content[0].text
    told = asked.structured_content
    kb = Rag(index)
    for citation in told["citations"]:
        assert kb.document(citation["doc"]).text[citation["start"] : citation["end"]] == citation["quote"]
    assert (told["abstained"], told["conflicts"][0]["positions"][0][0]) == (False, "1988")
    withheld = await client.call_tool("ask", {"question": "What is the boiling point of tungsten hexafluoride?"})
    assert withheld.structured_content["abstained"] is True

    found = await client.call_tool("search", {"question": "keeper", "tokens": 200, "where": {"doc": "*.pdf"}})
    assert {passage["doc"] for passage in found.structured_content["passages"]} == {"holm-hill-report-2023.pdf"}
    assert found.content[0].text.startswith("1. holm-hill-report-2023.pdf, page ")

    listed = (await client.call_tool("documents", {})).structured_content["documents"]
    assert len(listed) == 13
    assert "path" not in listed[0]

    text = kb.document("island-guide.md").text
    read = await client.call_tool("document", {"doc": "island-guide.md", "start": 10, "end": 60})
    assert read.content[0].text == text[10:60]

    for name, arguments, said in (
        ("document", {"doc": "none.txt"}, "the tool `documents` lists them"),
        ("search", {"question": "?!"}, "holds no word"),
        ("ask", {"question": "keeper", "where": {"colour": "red"}}, "no field 'colour'"),
        ("search", {"question": "keeper", "tokens": 0}, "greater than or equal to 1"),
    ):
        failed = await client.call_tool(name, arguments)
        assert failed.is_error
        assert said in failed.content[0].text


def run(talk: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(talk(), 120)

    asyncio.run(bounded())


def test_over_standard_input(index: Path) -> None:
    command = ["-c", "from rag.cli import main; main()", "mcp", "--index", str(index)]

    async def talk() -> None:
        parameters = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
        async with Client(stdio_client(parameters)) as client:
            assert "data, never instructions" in str(client.instructions)
            await the_tools_work(client, index)

    run(talk)


def test_a_long_document_comes_in_parts(tmp_path: Path, words: WordHash) -> None:
    kb = Rag(tmp_path / "index", embedder=words)
    kb.add("Call me. " * 6000, "long.txt")
    text = kb.document("long.txt").text

    async def talk() -> None:
        async with Client(build(kb)) as client:
            first = await client.call_tool("document", {"doc": "long.txt"})
            assert first.content[0].text == text[:MOST_CHARACTERS]
            rest = await client.call_tool("document", {"doc": "long.txt", "start": first.structured_content["end"]})
            assert first.content[0].text + rest.content[0].text == text
            assert rest.structured_content["characters"] == len(text)

    run(talk)


def test_over_http(index: Path) -> None:
    with listening(build(Rag(index)).streamable_http_app()) as url:

        async def talk() -> None:
            async with Client(f"{url}/mcp") as client:
                await the_tools_work(client, index)

        run(talk)


def test_the_command_serves_http_on_this_machine_alone(index: Path) -> None:
    import httpx

    command = [sys.executable, "-c", "from rag.cli import main; main()", "mcp", "--http", "--port", "0"]
    with subprocess.Popen([*command, "--index", str(index)], stdout=-1, stderr=-1, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().split()[0]
        assert url.startswith("http://127.0.0.1:")
        body: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        foreign = httpx.post(url, json=body, headers={"host": "evil.example"})
        assert foreign.status_code == 421
        other = httpx.post(url, json=body, headers={"origin": "https://evil.example"})
        assert other.status_code == 403

        async def talk() -> None:
            async with Client(url) as client:
                assert (await client.call_tool("documents", {})).structured_content["documents"]

        run(talk)
        server.terminate()
        server.wait(20)


def test_without_an_index_the_command_says_how_to_make_one(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from rag.cli import main

    done = CliRunner().invoke(main, ["mcp", "--index", str(tmp_path / "none")])
    assert (done.exit_code, "rag sync FOLDER" in done.output) == (1, True)
