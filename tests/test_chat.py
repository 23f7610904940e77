"""A conversation: turns that lean on each other, citations that stay, export and restore, the terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import SAMPLE
from scripted_server import Play, ScriptedServer

from index.errors import RagError
from index.tokens import count_tokens
from rag import Chat, Final, Rag, Settings
from rag.chat import Turn
from rag.cli import main
from rag.question import follows_up, read_question

KEEPER = "Who was the last principal keeper of Skarn Head?"
LEFT = "When did he leave?"


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Rag:
    kb = Rag(tmp_path_factory.mktemp("sample") / "index")
    kb.sync(SAMPLE)
    return kb


@pytest.fixture
def towers(tmp_path: Path, folder: Path) -> Rag:
    kb = Rag(tmp_path / "index")
    kb.sync(folder)
    return kb


# Turns


def test_a_question_leans_on_the_turn_before(kb: Rag) -> None:
    chat = kb.chat()
    chat.ask(KEEPER)
    answer = chat.ask(LEFT)
    assert answer.trace.query == f"{KEEPER} {LEFT}"
    assert [turn.question for turn in chat.turns] == [KEEPER, LEFT]
    assert chat.turns[1].answer is answer
    assert answer.citations[0].number == 1


def test_without_a_model_a_question_leans_on_the_last_one_that_stands_alone(kb: Rag) -> None:
    chat = kb.chat()
    for question in (KEEPER, LEFT, "What was his wife called?"):
        answer = chat.ask(question)
    assert answer.trace.query == f"{KEEPER} What was his wife called?"
    assert chat.ask("And why?").trace.query == f"{KEEPER} {LEFT} What was his wife called? And why?"


def test_the_stream_gives_the_events_of_the_front_door_and_counts_when_it_has_ended(kb: Rag) -> None:
    chat = kb.chat()
    events = list(chat.stream(KEEPER))
    alone = list(kb.stream(KEEPER))
    assert [type(event) for event in events] == [type(event) for event in alone]
    assert isinstance(events[-1], Final)
    assert chat.turns == (Turn(KEEPER, events[-1].answer),)
    dropped = chat.stream(LEFT)
    next(dropped)
    dropped.close()
    assert len(chat) == 1


def test_reset_forgets(kb: Rag) -> None:
    chat = kb.chat()
    chat.ask(KEEPER)
    chat.reset()
    assert chat.turns == ()
    assert chat.ask(LEFT).trace.query == LEFT


def test_options_hold_for_the_chat_and_can_be_changed_for_a_turn(kb: Rag) -> None:
    chat = kb.chat(where={"doc": "*.pdf"}, tokens=300)
    assert {p.doc for p in chat.ask("How many clear nights were there?").passages} == {"holm-hill-report-2023.pdf"}
    assert len({p.doc for p in chat.ask("How many clear nights were there?", where=None).passages}) > 1


def test_a_model_is_shown_the_turns_before_without_their_markers(kb: Rag) -> None:
    with ScriptedServer("It was 1994 [b1.1].") as server:
        server.script = ["The last keeper was Ewan Brough [b1.1].", "When did Ewan Brough leave?"]
        chat = kb.chat(model=f"openai-like:test@{server.url}")
        chat.ask(KEEPER)
        answer = chat.ask(LEFT)
        last = server.chats[-1].body["messages"]
    assert answer.trace.query == "When did Ewan Brough leave?"
    assert [m["role"] for m in last] == ["system", "user", "assistant", "user"]
    assert last[1:3] == [
        {"role": "user", "content": KEEPER},
        {"role": "assistant", "content": "The last keeper was Ewan Brough."},
    ]


def test_the_history_keeps_the_newest_turns_within_its_budget(kb: Rag) -> None:
    chat = kb.chat(history_tokens=100)
    answer = replace(kb.ask(KEEPER), text="Ewan Brough [1]. " * 8)
    chat._turns = [Turn(f"Question {n}?", answer) for n in range(10)]
    history = chat.history()
    assert 1 < len(history) < 10
    assert history[-1][0] == "Question 9?"
    assert sum(count_tokens(a) + count_tokens(b) for a, b in history) <= 100
    assert "[1]" not in history[0][1]


def test_the_newest_turn_is_kept_and_cut_to_the_budget(kb: Rag) -> None:
    chat = kb.chat(history_tokens=20)
    chat._turns = [Turn("How so?", replace(kb.ask(KEEPER), text="word " * 500))]
    ((question, said),) = chat.history()
    assert question == "How so?"
    assert 10 <= count_tokens(said) <= 20


def test_it_works_inside_a_running_event_loop(kb: Rag) -> None:
    import asyncio

    async def both() -> Chat:
        chat = kb.chat()
        await chat.aask(KEEPER)
        assert [event async for event in chat.astream(LEFT)]
        return chat

    assert len(asyncio.run(both())) == 2


# Citations stay valid


def cited(kb: Rag) -> Chat:
    chat = kb.chat()
    assert chat.ask("Who was the last keeper of the tower?").citations[0].doc == "tower.md"
    return chat


def test_a_citation_whose_words_moved_points_to_where_they_are_now(towers: Rag, folder: Path) -> None:
    chat = cited(towers)
    assert {standing.state for standing in chat.check()} == {"same"}
    path = folder / "tower.md"
    path.write_text("A new first line.\n\n" + path.read_text("utf-8"), "utf-8")
    towers.sync(folder)
    for standing in chat.check():
        assert standing.state == "moved"
        assert standing.now is not None
        text = towers.document("tower.md").text
        assert text[standing.now.start : standing.now.end] == standing.citation.quote == standing.now.quote
        assert standing.now.start != standing.citation.start
    assert "these words now stand at" in chat.to_markdown()


def test_a_citation_whose_words_are_gone_says_so(towers: Rag, folder: Path) -> None:
    chat = cited(towers)
    (folder / "tower.md").write_text("# The tower\n\nNothing is known of its keepers.\n", "utf-8")
    towers.sync(folder)
    assert {standing.state for standing in chat.check() if "Brough" in standing.citation.quote} == {"changed"}
    assert "no longer has these words" in chat.to_markdown()
    towers.remove("tower.md")
    assert {(standing.state, standing.now) for standing in chat.check()} == {("gone", None)}
    assert "no longer in the index" in chat.to_markdown()


# Export and restore


def test_markdown_has_one_list_of_footnotes(kb: Rag) -> None:
    chat = kb.chat()
    first, second = chat.ask(KEEPER), chat.ask("How many clear nights were there in 2023?")
    page = chat.to_markdown()
    notes = re.findall(r"^\[\^(\d+)\]: (.+)$", page, re.MULTILINE)
    spans = {(c.doc, c.start, c.end) for c in (*first.citations, *second.citations)}
    assert [int(number) for number, _ in notes] == list(range(1, len(spans) + 1))
    used = {int(number) for number in re.findall(r"\[\^(\d+)\](?!:)", page)}
    assert used == {int(number) for number, _ in notes}, page
    assert page.startswith(f"## {KEEPER}\n")
    assert "holm-hill-report-2023.pdf, page 1 (" in page, page
    assert "97 clear nights" in page


def test_nothing_in_markdown_becomes_a_link_an_image_or_html(kb: Rag) -> None:
    chat = kb.chat()
    bad = r"![x](http://evil/i.png) <img src=x> \[y](javascript:z) [^1]: no [2]"
    chat._turns = [Turn(f"# {bad}", replace(chat.ask(KEEPER), text=f"{bad} yes [1]\n[^9]: z"))]
    body = chat.to_markdown()
    live = re.sub(r"\\.", "", body)  # what a backslash quotes is no markup
    assert "<" not in live
    assert set(re.findall(r"\[.*?\]", live)) <= {f"[^{n}]" for n in range(1, 4)}
    assert "![" not in live
    assert "(http" in live


def test_a_chat_survives_json(kb: Rag) -> None:
    chat = kb.chat()
    chat.ask(KEEPER)
    restored = Chat.from_json(kb, chat.to_json())
    assert restored.turns == chat.turns
    assert restored.ask(LEFT).trace.query == f"{KEEPER} {LEFT}"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "footnote-chat", "version": 99, "turns": []}', '"x"',
                                  '{"format": "footnote-chat", "version": 1, "turns": [{}]}'])  # fmt: skip
def test_other_text_is_no_chat(kb: Rag, text: str) -> None:
    with pytest.raises(RagError, match="no chat"):
        Chat.from_json(kb, text)


# The terminal


def chat_cli(kb: Rag, lines: str, *options: str) -> str:
    done = CliRunner().invoke(main, ["chat", "--index", str(kb.index.folder), *options], input=lines)
    assert done.exit_code == 0, done.output
    return done.output


def test_questions_may_come_from_a_pipe(kb: Rag, tmp_path: Path) -> None:
    said = chat_cli(kb, f"{KEEPER}\n\n{LEFT}\n/export {tmp_path}/a.md\n/export {tmp_path}/a.json\n/nonsense\n/reset\n")
    assert said.count("confidence") == 2
    assert f"> {KEEPER}" in said
    assert "2 turns written to" in said
    assert "There is no command /nonsense" in said
    assert "Forgotten." in said
    assert (tmp_path / "a.md").read_text("utf-8").startswith("## ")
    assert len(json.loads((tmp_path / "a.json").read_text("utf-8"))["turns"]) == 2
    again = chat_cli(kb, f"{LEFT}\n/export {tmp_path}/b.json\n", "--restore", f"{tmp_path}/a.json")
    assert "3 turns written to" in again
    assert "is there already" in chat_cli(kb, f"/export {tmp_path}/a.md\n")
    assert (tmp_path / "a.md").read_text("utf-8").startswith("## ")


def test_an_error_does_not_end_the_chat(kb: Rag) -> None:
    with ScriptedServer() as server:
        server.script = [Play(status=401, said="bad key"), "The last keeper was Ewan Brough [b1.1]."]
        said = chat_cli(kb, f"{KEEPER}\n{KEEPER}\n", "--model", f"openai-like:test@{server.url}")
    assert "Error: The server at" in said
    assert "The last keeper was Ewan Brough [1]." in said


def test_without_an_index_it_says_how_to_make_one(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["chat", "--index", str(tmp_path / "none")])
    assert done.exit_code == 1
    assert "rag sync" in done.output


def test_ctrl_c_stops_an_answer_and_ctrl_d_ends_the_chat(kb: Rag) -> None:
    slow = Play("The last keeper was Ewan Brough, and so on, and so on, " + "and on " * 200, pace=0.05)
    with ScriptedServer(slow) as server:
        master, slave = pty.openpty()
        script = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from rag.cli import main; main()"
        command = [sys.executable, "-c", script, "chat", "--index", str(kb.index.folder)]
        command += ["--model", f"openai-like:test@{server.url}"]
        env = {**os.environ, "TERM": "dumb"}
        child = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=env)
        os.close(slave)
        screen = Screen(master)
        try:
            screen.until("> ")
            os.write(master, f"{KEEPER}\n".encode())
            screen.until("and so on")
            os.write(master, b"\x03")
            assert "Stopped." in screen.until("> ")
            assert server.hung_up.wait(5)
            time.sleep(1)  # the prompt is printed a moment before it reads, and a signal empties what was typed
            os.write(master, b"\x03")
            screen.until("Ctrl-D ends the chat.")
            screen.until("> ")
            time.sleep(1)
            os.write(master, b"\x04")
            assert child.wait(20) == 0
        finally:
            child.kill()
            os.close(master)


class Screen:
    """What a child prints on its terminal, read piece by piece: what came after the wanted words is kept for later."""

    def __init__(self, master: int) -> None:
        self.master, self.kept = master, ""

    def until(self, wanted: str) -> str:
        end = time.monotonic() + 60
        while wanted not in self.kept:
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"{wanted!r} did not come; seen: {self.kept!r}"
            self.kept += os.read(self.master, 4096).decode("utf-8", "replace")
        seen, self.kept = self.kept.split(wanted, 1)
        return seen


def test_the_budget_is_a_setting(kb: Rag) -> None:
    assert kb.chat().history_tokens == Settings().history_tokens
    assert kb.chat(history_tokens=5).history_tokens == 5


# What leans on the turn before


@pytest.mark.parametrize(
    "question",
    ["When did he leave?", "And in 2019?", "Why?", "Which boat did they use?", "What was his wife called?",
     "Why is that?", "How many people work there?", "How long did it take?", "Who else was freed?",
     "Does the bill mention it?", "What is the population of that city?", "What are its main exports?"],
)  # fmt: skip
def test_a_question_that_points_back_follows_up(question: str) -> None:
    assert follows_up(read_question(question))


@pytest.mark.parametrize(
    "question",
    ["How many clear nights were there in 2023?", "How old was Manning when he played in Super Bowl 50?",
     "What was the name of the cat that survived the wreck?", "How much did it cost to build the MV Kittiwake?",
     "What did Luther tell monks and nuns about their vows?", "What is another term for the string of an instance?",
     "Is it true that the tower was moved?", "Who wrote 'There's Got to Be a Way' for Mariah Carey?"],
)  # fmt: skip
def test_a_question_that_says_what_it_means_stands_alone(question: str) -> None:
    assert not follows_up(read_question(question))
