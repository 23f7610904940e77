"""Source code is text untouched; its definitions are found by indentation."""

from __future__ import annotations

import pytest

from index.documents import document_of
from index.errors import DocumentError
from index.readers.code import definitions


def outline(text: str, kind: str) -> list[str]:
    """Each definition as dots for its level, its name, and the first line of what belongs to it."""
    found = definitions(text, kind)
    assert [offset for offset, _, _ in found] == sorted({offset for offset, _, _ in found})
    assert all(offset == 0 or text[offset - 1] == "\n" for offset, _, _ in found)
    return [f"{'.' * level}{name}|{text[offset:].splitlines()[0].strip()}" for offset, level, name in found]


def test_code_is_the_file_and_knows_its_language() -> None:
    document = document_of(b"def f():\r\n\treturn '\xc3\xbc'\r\n", "a.py", ".py")
    assert document.text == "def f():\r\n\treturn 'ü'\r\n"
    assert document.meta["code"] == "python"


@pytest.mark.parametrize("data", [b"var a=1;" * 3000, b"x\n" + b"var a=1;" * 2000])
def test_minified_files_are_left_out(data: bytes) -> None:
    with pytest.raises(DocumentError, match="minified or generated, left out"):
        document_of(data, "a.js", ".js")


def test_python_by_indentation() -> None:
    text = (
        'import os\n\n# Reads.\n@cache\ndef top(a):\n    """doc\ndef not_this(): pass\n    """\n    def inner(): ...\n'
        "    return 1\n\nclass A(B):\n    x = 1\n\n    @property\n    def m(self):\n        if x:\n            pass\n"
        "    async def n(self): ...\n\nif __name__:\n    top()\n"
    )
    assert outline(text, "py") == [
        ".top|# Reads.",
        "..inner|def inner(): ...",
        ".A|class A(B):",
        "..m|@property",
        "..n|async def n(self): ...",
        ".|if __name__:",
    ]


@pytest.mark.parametrize(
    ("kind", "text", "names"),
    [
        ("js", "// Adds.\nexport async function add(a) {\n  if (a) {\n  }\n}\n"
               "class Foo {\n  run(a, b = 1) {\n    go();\n  }\n}\nconst mul = (a) => {\n};\n",
         [".add", ".Foo", "..run", ".mul"]),
        ("ts", "export interface Shape<T> {\n  area(): number;\n}\n"
               "export type Id = string;\n", [".Shape", ".Id"]),
        ("java", "/** Doc. */\n@Entity\npublic final class Thing<T> {\n    private int x = of(1);\n    @Override\n"
                 "    public List<T> get(int a) throws E {\n        for (int i = 0; i < 3; i++) {\n        }\n"
                 "    }\n}\n",
         [".Thing", "..get"]),
        ("c", "typedef struct node {\n    int v;\n} node;\n/* helps */\nstatic int\nhelper(int a)\n{\n}\n"
              "int main(int argc, char **argv) {\n    while (x) {\n    }\nout:\n    return 0;\n}\n",
         [".node", ".", ".helper", ".main"]),
        ("go", "type T struct {\n\ta int\n}\n\n"
               "// Runs.\nfunc (t *T) Run(a int) error {\n\treturn nil\n}\n", [".T", ".Run"]),
        ("rs", "#[derive(Debug)]\npub struct P<T> {\n}\n"
               "impl<T> Display for P<T> {\n    pub fn fmt(&self) {\n    }\n}\n",
         [".P", ".Display for P<T>", "..fmt"]),
        ("cs", "namespace A.B\n{\n    [Serializable]\n    public class Foo\n    {\n"
               "        public async Task<int> Run(int a)\n        {\n        }\n    }\n}\n",
         [".A.B", "..Foo", "...Run"]),
        ("rb", "module A\n  class B < C\n    def self.x(y)\n    end\n  end\nend\n", [".A", "..B", "...self.x"]),
        ("sh", "set -e\ngreet() {\n  echo hi\n}\ngreet\n", [".greet", "."]),
        ("sql", "-- users\nCREATE TABLE IF NOT EXISTS app.users (\n  id int\n);\n", [".app.users"]),
        ("yaml", "name: x\njobs:\n  build:\n    steps:\n      - run\n", [".jobs", "..build", "...steps"]),
        ("toml", "[project]\nname = 1\n[[tool.a]]\n", [".project", ".tool.a"]),
        ("tex", "\\section{On \\emph{x}}\ntext\n\\subsection*{More}\n", ["...On x", "....More"]),
        ("txt", "def f(): pass\n", []),
    ],
)  # fmt: skip
def test_definitions_by_language(kind: str, text: str, names: list[str]) -> None:
    assert [line.partition("|")[0] for line in outline(text, kind)] == names
