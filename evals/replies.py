"""JSON objects from a language model, kept by the content of what was asked. Knows no task and no prompt."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag.settings import Settings


class JsonModel:
    """A model that is asked for JSON objects. `folder` keeps its replies; the same question is never sent twice."""

    def __init__(self, spec: str | object, settings: Settings, folder: Path) -> None:
        from rag.models import model_name, open_model

        self._llm, self._settings, self._folder = open_model(spec, settings), settings, folder
        self.name = model_name(self._llm)

    def ask(self, system: str, user: str) -> dict[str, Any] | None:
        """The object in the model's reply; None when there is none in it. Raises ModelError when the model fails."""
        from rag.models import stream

        key = json.dumps([self.name, system, user])
        file = self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.txt"
        if file.is_file():
            return _object(file.read_text("utf-8"))
        reply = "".join(stream(self._llm, [("system", system), ("user", user)], self._settings))
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".tmp")
        temporary.write_text(reply, encoding="utf-8")
        temporary.replace(file)
        return _object(reply)


def _object(reply: str) -> dict[str, Any] | None:
    """The first JSON object of a reply, fenced or not."""
    decoder = json.JSONDecoder()
    for opening in re.finditer(r"\{", reply):
        try:
            found, _ = decoder.raw_decode(reply, opening.start())
        except json.JSONDecodeError:
            continue
        return found if isinstance(found, dict) else None
    return None
