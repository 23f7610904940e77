"""Source code: the decoded file itself, so that an offset is an offset into the file; and where its definitions are.

`definitions` reads indentation and the words that begin a definition, line by line. It is no parser: what it misses
costs a chunk its heading, never its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from index.errors import DocumentError
from index.readers import CODE, Extract, Reader, ReadOptions
from index.readers.text import decode

# Nobody reads a line of this length: it is minified, generated or data.
_LONGEST_LINE = 20_000
_LONGEST_AVERAGE = 1_000


def read_code(data: bytes, options: ReadOptions, language: str) -> Extract:
    """The file as it is, newlines untouched. Metadata: `code`, the language.

    Raises DocumentError for binary data and for minified files.
    """
    text = decode(data)
    lines = text.split("\n")
    longest = max(map(len, lines))
    if longest > _LONGEST_LINE or (len(text) > 10 * _LONGEST_AVERAGE and len(text) / len(lines) > _LONGEST_AVERAGE):
        raise DocumentError(f"minified or generated, left out: a line of {longest:,} characters")
    return Extract(text, meta={"code": language})


def __getattr__(name: str) -> Reader:
    """`code:python` in the table of readers is the reader of Python files."""
    if name not in CODE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(read_code, language=name)


def definitions(text: str, kind: str) -> list[tuple[int, int, str]]:
    """Where classes, functions and sections begin: (offset of the line, level from 1, name), ascending.

    `kind` is a file's ending without the dot. The offset is that of the first decorator or comment right above the
    definition. An empty name says that code outside of every definition of that level and below begins. A heading
    path is kept as Markdown's is: an entry replaces all entries of its level and deeper. No entries for other kinds.
    """
    language = _LANGUAGE_OF.get(kind, "")
    if language == "latex":
        return [(found.start(), _TEX[found.group(1)], _tex_name(found.group(2))) for found in _TEX_HEAD.finditer(text)]
    if language in ("ini", "toml"):
        return [(found.start(), 1, found.group(1).strip()) for found in _SECTION.finditer(text)]
    pattern = _PATTERNS.get(language)
    return list(_indented(_quiet(text, language), pattern, language)) if pattern else []


def _indented(text: str, pattern: re.Pattern[str], language: str) -> Iterator[tuple[int, int, str]]:
    """Definitions nested by their column: one that stands further right than another belongs to it."""
    open_columns: list[int] = []
    above: tuple[int, int] | None = None  # offset and column of the first of the comments right above
    for line in _LINE.finditer(text):
        column = len(line.group(1).expandtabs(4))
        head = line.group(2)[:_HEAD]
        if not head or head[0] in _CLOSING:
            above = None
            continue
        if _ABOVE[language].match(head):
            above = above if above and above[1] == column else (line.start(), column)
            continue
        found = pattern.match(head)
        name = _name(found) if found else ""
        if name or (open_columns and column <= open_columns[-1] and not _WITHIN.match(head)):
            while open_columns and open_columns[-1] >= column:
                open_columns.pop()
            start = above[0] if above and above[1] == column else line.start()
            yield start, len(open_columns) + 1, name
            if name:
                open_columns.append(column)
        above = None


_LINE = re.compile(r"^([ \t]*)([^\r\n]*)", re.MULTILINE)
_HEAD = 200  # a definition says what it is at its beginning; longer lines only cost time
_CLOSING = "})]{"
# Lines that may stand as far left as the definition they belong to.
_WITHIN = re.compile(
    r"(?:public|private|protected|internal|default|case|end|else|elif|elsif|catch|except|finally|rescue|ensure|then|do"
    r"|done|fi|esac|begin|as|where|returns?|language|begin|declare|\w+\s*:(?!:)|#|\*|//|--|/\*|@|&|=begin|=end)(?!\w)|#",
    re.IGNORECASE,
)


def _name(found: re.Match[str]) -> str:
    """The first group that took part, unless it is a word of the language."""
    name = " ".join(next(filter(None, found.groups()), "").split()).strip("{:( ")
    return "" if name in _WORDS else name[:120]


def _quiet(text: str, language: str) -> str:
    """The text with Python's long strings blanked out, character for character: prose in them defines nothing."""
    if language != "python":
        return text
    return _LONG_STRING.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


_LONG_STRING = re.compile(r"(\"\"\"|''')(?:(?!\1).)*\1", re.DOTALL)
_WORDS = frozenset(
    "if for while switch catch return else do try with foreach using lock synchronized elseif elif match when until "
    "sizeof typeof assert new delete throw await yield guard defer select function defined describe it".split()
)
_MODIFIERS = (
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|sealed|data|open|override|async|"
    r"pub(?:\([\w: ]+\))?|unsafe|const|extern(?: \"\w+\")?|inline|virtual|partial|readonly|declare|case|companion|"
    r"suspend|local|mutating|fileprivate|typedef|template ?<[^<>]*>|implicit|lazy|value|annotation|enum(?= class))\s+)*"
)
_TYPE = (
    _MODIFIERS
    + r"(?:class|interface|@interface|struct|enum|trait|record|object|protocol|extension|namespace|module|mod|union)"
    r"\s+([A-Za-z_][\w:.$]*)"
)
_FUNCTION = _MODIFIERS + r"(?:function\*?|func|fun|fn|def|sub|macro)\s+(?:\([^()]*\)\s*)?(?:<[^<>]*>\s*)?([\w.:$?!]+)"
# A method or a C function: types, a name, an argument list, and no semicolon at the end.
_MEMBER = (
    r"(?!(?:return|new|throw|else|await|yield|case|delete|goto|assert|using|import|package|typedef|#)\b)"
    r"(?:(?:[\w:<>\[\],?.&*~]+\s+){1,6}[*&]*(~?\w[\w:~]*)\s*\([^;\"']*\)?[^;=\"']*$|"
    r"(?:(?:get|set|async|static)\s+)?(~?[\w$][\w:$]*)\s*\([^;\"'>]*\)[^;=\"'>]*\{\s*\}?\s*$)"
)
_BARE = r"([a-z_][\w:]*)\s*\([^;{}\"']*\)\s*$"  # C whose types stand on the line above
_ARROW = (
    r"(?:export\s+)?(?:const|let|var)\s+([\w$]+)\s*(?::[^=]+)?=\s*(?:async\s*)?"
    r"(?:function\b|\w+\s*=>|\([^()]*\)[^=()]*=>)"
)
_IMPL = r"(?:unsafe\s+)?impl(?:<[^<>]*>)?\s+([^{]+?)\s*(?:where\b.*)?\{?\s*$"

_PATTERNS = {
    language: re.compile("|".join(parts), re.IGNORECASE if language in ("sql", "powershell") else 0)
    for language, parts in {
        "python": (r"(?:async\s+)?def\s+(\w+)", r"class\s+(\w+)"),
        "javascript": (_TYPE, _FUNCTION, _ARROW, _MEMBER),
        "typescript": (_TYPE, _FUNCTION, _ARROW, r"(?:export\s+)?(?:declare\s+)?type\s+(\w+)", _MEMBER),
        "java": (_TYPE, _MEMBER),
        "c#": (_TYPE, _MEMBER),
        "c": (_TYPE + r"[^;]*$", _MEMBER, _BARE),
        "c++": (_TYPE + r"[^;]*$", _MEMBER, _BARE),
        "kotlin": (_TYPE, _FUNCTION),
        "scala": (_TYPE, _FUNCTION),
        "swift": (_TYPE, _FUNCTION),
        "php": (_TYPE, _FUNCTION),
        "go": (r"func\s+(?:\([^()]*\)\s*)?(\w+)", r"type\s+(\w+)"),
        "rust": (_TYPE, _FUNCTION, _IMPL, r"macro_rules!\s+(\w+)"),
        "ruby": (r"(?:class|module|def)\s+([\w.:?!=]+)",),
        "shell": (r"function\s+([\w:.-]+)", r"([\w:.-]+)\s*\(\)"),
        "powershell": (r"(?:function|filter|class|workflow)\s+([\w:-]+)",),
        "sql": (
            r"create\s+(?:or\s+(?:replace|alter)\s+)?(?:(?:global|local|temp|temporary|unique|materialized|recursive|external)"
            r"\s+)*(?:table|view|function|procedure|proc|trigger|index|type|schema|sequence)\s+(?:if\s+not\s+exists\s+)?"
            r"([\w.\"`\[\]]+)",
        ),
        "r": (r"([\w.]+)\s*(?:<-|=)\s*function\b",),
        "julia": (r"(?:function|macro|module|(?:mutable\s+)?struct|abstract\s+type)\s+([\w.!]+)",),
        "lua": (r"(?:local\s+)?function\s+([\w.:]+)", r"(?:local\s+)?([\w.]+)\s*=\s*function\b"),
        "perl": (r"(?:sub|package)\s+([\w:]+)",),
        "yaml": (r"(?:- )?([\w./\"' -]+?):\s*(?:[&!|>#].*)?$",),
    }.items()
}
_HASHED = re.compile(r"#|@")
_SLASHED = re.compile(r"//|template\s*<.*>$|/\*|\*|@(?!interface)|#\[|\[\w.]+(?:\(.*\))?\]$")
_ABOVE = (
    dict.fromkeys(_PATTERNS, _SLASHED)
    | dict.fromkeys(("python", "ruby", "shell", "powershell", "r", "julia", "perl", "yaml"), _HASHED)
    | dict.fromkeys(("sql", "lua"), re.compile(r"--|/\*|\*"))
)

_TEX = {"part": 1, "chapter": 2, "section": 3, "subsection": 4, "subsubsection": 5, "paragraph": 6}
_TEX_HEAD = re.compile(
    r"^[ \t]*\\(part|chapter|(?:sub){0,2}section|paragraph)\*?\s*(?:\[[^\]\n]*\])?\{([^\n]*)\}", re.MULTILINE
)
_SECTION = re.compile(r"^[ \t]*\[{1,2}([^\[\]\r\n]+)\]{1,2}[ \t]*(?:[#;].*)?\r?$", re.MULTILINE)


def _tex_name(text: str) -> str:
    return " ".join(re.sub(r"\\[a-zA-Z]+\*?|[{}~]", " ", text).split())


_LANGUAGE_OF = {ending.lstrip("."): language for language, endings in CODE.items() for ending in endings.split()}
