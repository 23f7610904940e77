import pytest

from index.errors import QueryError
from index.filters import check_fields, condition, folders_of, parse_condition, parse_where, spelled
from rag.answer import Rag


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("doc=report.pdf", ("doc", "=", "report.pdf")),
        ("date>=2020", ("date", ">=", 2020)),
        ("date < 2021-06", ("date", "<", "2021-06")),
        ("author!=Jane Doe", ("author", "!=", "Jane Doe")),
        ("draft==true", ("draft", "=", True)),
        ("price<=1.5", ("price", "<=", 1.5)),
        ("version=1.10", ("version", "=", "1.10")),  # a number would lose the zero
        ("id=007", ("id", "=", "007")),
        ("url=https://a.b/?x=1", ("url", "=", "https://a.b/?x=1")),
    ],
)
def test_a_condition_is_parsed(text: str, parsed: tuple[str, str, object]) -> None:
    found = parse_condition(text)
    assert found == parsed
    assert type(found[2]) is type(parsed[2])


@pytest.mark.parametrize("text", ["", "doc", "=x", "doc=", "doc=  ", "date>="])
def test_a_condition_that_is_none_says_what_was_expected(text: str) -> None:
    with pytest.raises(QueryError, match="FIELD=VALUE"):
        parse_condition(text)


def test_conditions_join() -> None:
    assert parse_where(["doc=a", "doc=b", "date>=2020", "date<2022"]) == {
        "doc": {"=": ["a", "b"]},
        "date": {">=": 2020, "<": 2022},
    }
    assert parse_where([]) is None
    with pytest.raises(QueryError, match="twice"):
        parse_where(["date>=2020", "date>=2021"])


@pytest.mark.parametrize(
    ("field", "wanted", "value", "fits"),
    [
        ("author", "jane doe", "Jane Doe", True),
        ("author", "Jane*", "Jane Doe", True),
        ("author", ["Ann", "Jane Doe"], "Jane Doe", True),
        ("author", "Jane", "Jane Doe", False),
        ("doc", "A.pdf", "a.pdf", False),  # file names may differ in case alone
        ("doc", "a[1]*.pdf", "a[1] copy.pdf", True),  # only * is special
        ("doc", "a?.pdf*", "ab.pdf", False),
        ("kind", {"!=": "pdf"}, "md", True),
        ("kind", {"!=": ["pdf", "md"]}, "md", False),
        ("kind", {"!=": "pdf"}, None, False),
        ("date", {">=": "2020"}, "2020-05-03", True),
        ("date", {"<=": "2020"}, "2020-05-03", True),
        ("date", {">": "2020"}, "2020-05-03", False),
        ("date", {">": 2020}, "2021-01-01", True),
        ("date", {">=": "2020", "<": "2021-06"}, "2021-05-31", True),
        ("date", {">=": "2020", "<": "2021-06"}, "2021-06-01", False),
        ("date", {">=": "2020-05-03"}, "2020", False),
        ("date", {">=": "2020"}, None, False),
        ("date", {">=": "2020"}, "May 2021", False),  # no order is known
        ("date", 2020, "2020-05-03", True),
        ("date", "2020-05", "2020-05-03T10:00", True),
        ("date", "2020-05", "2020-06-05", False),
        ("pages", {">": 9}, 10, True),
        ("pages", {">": "9"}, "10", True),  # 10 is no text that comes before 9
        ("pages", {">": 9}, "many", False),
        ("pages", 7, "7", True),
        ("draft", True, True, True),
        ("draft", True, 1, False),
        ("heading", "risks", "Report > Main Risks", True),
        ("heading", {"!=": "risks"}, "Summary", True),
        ("author", {">=": "m"}, "Nora", True),
        ("size", {">": 1}, 10**400, True),
    ],
)
def test_what_fits(field: str, wanted: object, value: object, fits: bool) -> None:
    assert condition(field, wanted)(value) is fits


def test_an_unknown_comparison_names_the_known_ones() -> None:
    with pytest.raises(QueryError, match=r"'~'.*= != >="):
        condition("date", {"~": 1})


def test_folders_are_all_those_above() -> None:
    assert folders_of("a/b/c.pdf") == ("a/b", "a")
    assert folders_of("c.pdf") == ()


def test_many_stars_do_not_hang() -> None:
    assert condition("doc", "*a" * 40 + "b")("a" * 5000) is False


def test_conditions_are_spelled_as_typed() -> None:
    assert spelled("doc", ["a", "b"]) == "doc=a or b"
    assert spelled("date", {">=": 2020, "<": 2021}) == "date>=2020 and date<2021"


def test_metadata_fields_are_known() -> None:
    check_fields({"team": "x", "doc": "y"}, [{"team": "x"}])
    with pytest.raises(QueryError, match=r"There is no field 'colour'.*team"):
        check_fields({"colour": "x"}, [{"team": "x"}])


@pytest.fixture
def kb(tmp_path, words) -> Rag:
    kb = Rag(tmp_path / "index", embedder=words)
    tall = " ".join(f"The tower is tall at {number}." for number in range(15))
    tower = f"# Tower\n\n{tall}\n\n## Keepers of the lamp\n\n{'A keeper lived in the tower. ' * 12}"
    kb.add(tower, "reports/2020/a.md", {"date": "2020-05-03", "team": "north", "kind": "md"})
    kb.add("The tower is old.", "reports/b.txt", {"date": "2021-02-01", "team": "south", "tags": ["stone", "old"]})
    kb.add("The tower is gone.", "notes/c.txt")
    return kb


@pytest.mark.parametrize(
    ("where", "docs"),
    [
        ({"folder": "reports"}, {"reports/2020/a.md", "reports/b.txt"}),
        ({"folder": "reports/2020/"}, {"reports/2020/a.md"}),
        ({"folder": ["notes", "reports/2020"]}, {"reports/2020/a.md", "notes/c.txt"}),
        ({"folder": {"!=": "reports"}}, {"notes/c.txt"}),
        ({"type": "md"}, {"reports/2020/a.md"}),
        ({"team": "south"}, {"reports/b.txt"}),
        ({"team": {"!=": "south"}}, {"reports/2020/a.md"}),  # notes/c.txt has no team
        ({"date": {"<": "2021"}}, {"reports/2020/a.md"}),
        ({"date": {">=": "2020"}, "folder": "reports", "doc": "*.txt"}, {"reports/b.txt"}),
        ({"tags": "old"}, {"reports/b.txt"}),
        ({"tags": {"!=": "old"}}, set()),
        ({"heading": "LAMP"}, {"reports/2020/a.md"}),
        ({"page": 1}, set()),
    ],
)
def test_both_searches_are_filtered(kb: Rag, where: dict[str, object], docs: set[str]) -> None:
    found = kb.retrieve("tower keeper", tokens=200, where=where)
    assert {passage.doc for passage in found.passages} == docs
    assert bool(found.note) is not bool(docs)


def test_a_heading_filters_chunks(kb: Rag) -> None:
    text = " ".join(passage.text for passage in kb.search("tower", tokens=200, where={"heading": "keepers"}))
    assert "lived" in text
    assert "tall" not in text


def test_the_reason_for_nothing_names_the_condition(kb: Rag) -> None:
    assert "doc=none.txt" in kb.retrieve("tower", where={"doc": "none.txt", "team": "north"}).note
    assert "fits all of" in kb.retrieve("tower", where={"doc": "notes/c.txt", "team": "north"}).note
