"""What the page works with: the index, and what is kept beside it. Shows nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rag.answer import Rag
from ui.chatfile import NAME, ChatFile
from ui.conversations import Conversations
from ui.feedback import Feedback
from ui.reports import RUNS
from ui.server import Access
from ui.uploads import Uploads


@dataclass(frozen=True, slots=True)
class Desk:
    """One index with its conversations, feedback, uploads and eval runs.

    `alone` is true where only this machine reaches the page: then whoever sits at it may name models and folders.
    """

    kb: Rag
    conversations: Conversations
    feedback: Feedback
    uploads: Uploads
    runs: Path
    alone: bool

    @classmethod
    def over(cls, kb: Rag, access: Access, uploads: Path | None = None, runs: Path | None = None) -> Desk:
        """What belongs to an index; nothing is made before something is kept."""
        file = ChatFile(kb.index.folder / NAME)
        kept = Uploads(kb, uploads)
        alone = access.users is None
        return cls(kb, Conversations(file), Feedback(file), kept, runs or Path(RUNS).resolve(), alone)
