"""A chat in the terminal: reads questions, streams answers, obeys a few commands. Answers nothing itself.

Ctrl-C stops an answer, Ctrl-D ends the chat. Where standard input is no terminal its lines are the questions.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from index.errors import RagError
from rag.chat import Chat
from rag.terminal import echo, echo_piece, print_footnotes
from rag.values import Answer, Final, TextDelta

PROMPT = "> "
HELP = """\
/reset        forget what was said before
/export FILE  write the chat to FILE: JSON if it ends in .json (rag chat --restore FILE goes on with it), else Markdown
/help         these lines
Ctrl-C stops an answer, Ctrl-D ends the chat."""


def converse(chat: Chat) -> None:
    """Ask and answer until the input ends."""
    echo("Ask away; /help lists the commands, Ctrl-D ends.", err=True)
    for number, standing in ((s.turn, s) for s in chat.check() if s.state in ("changed", "gone")):
        echo(f"note: source [{standing.citation.number}] of turn {number} is {standing.state}.", err=True)
    while (line := _read()) is not None:
        said = line.strip()
        try:
            if said.startswith("/"):
                _command(chat, said)
            elif said:
                _answer(chat, said)
        except RagError as error:
            echo(f"Error: {error}", err=True)
        except KeyboardInterrupt:
            echo("\nStopped.", err=True)


def _read() -> str | None:
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        if line.strip():
            echo(f"{PROMPT}{line.rstrip()}")
        return line or None
    with suppress(ImportError):
        import readline  # noqa: F401  # gives `input` its line editing; some builds of Python lack it
    while True:
        try:
            return input(PROMPT)
        except EOFError:
            echo()
            return None
        except KeyboardInterrupt:
            echo("\nCtrl-D ends the chat.", err=True)


def _answer(chat: Chat, question: str) -> None:
    answer: Answer | None = None
    for event in chat.stream(question):
        if isinstance(event, TextDelta):
            echo_piece(event.text)
            sys.stdout.flush()
        elif isinstance(event, Final):
            answer = event.answer
    echo()
    if answer is not None:
        print_footnotes(answer)
        echo()


def _command(chat: Chat, said: str) -> None:
    name, _, rest = said.partition(" ")
    if name == "/reset":
        chat.reset()
        echo("Forgotten.", err=True)
    elif name == "/export":
        _export(chat, rest.strip())
    elif name == "/help":
        echo(HELP, err=True)
    else:
        raise RagError(f"There is no command {name}; /help lists them.")


def _export(chat: Chat, name: str) -> None:
    if not name:
        raise RagError("To which file? Type: /export chat.md, or /export chat.json to go on with it another day.")
    path = Path(name).expanduser()
    if path.exists():
        raise RagError(f"{path} is there already; give another name.")
    try:
        path.write_text(chat.to_json(indent=1) if path.suffix == ".json" else chat.to_markdown(), "utf-8")
    except OSError as error:
        raise RagError(f"{path} cannot be written: {error.strerror}.") from error
    turns = len(chat.turns)
    echo(f"{turns} turn{'' if turns == 1 else 's'} written to {path}.", err=True)
