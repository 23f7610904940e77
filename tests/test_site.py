"""The documentation site builds without warnings and loads nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOADED = re.compile(r"""<(?:script|img|iframe|source|link)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//""")


def test_the_site_builds_and_stays_at_home(tmp_path: Path) -> None:
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=quiet)
    assert done.returncode == 0, done.stderr
    pages = list(site.glob("*.html"))
    assert len(pages) >= 10
    for page in pages:
        canonical = re.sub(r'<link rel="canonical"[^>]*>', "", page.read_text("utf-8"))
        assert not LOADED.search(canonical), page.name
