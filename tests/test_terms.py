from index.terms import in_languages, language_code, query_terms, terms
from index.tokens import count_tokens


def test_case_accents_and_endings_do_not_matter() -> None:
    assert terms("Bogotá's Keepers") == terms("bogota keeper")


def test_thousands_separators_do_not_matter() -> None:
    assert terms("1,577 and 1577.") == ["1577", "and", "1577"]


def test_dots_in_abbreviations_and_joined_numbers_do_not_matter() -> None:
    assert terms("the U.S. economy") == terms("the US economy")
    assert {"2018", "fy"} <= set(terms("FY2018"))


def test_cjk_text_becomes_pairs() -> None:
    assert terms("東京都") == ["東京", "京都"]


def test_a_question_loses_its_stop_words_unless_nothing_is_left() -> None:
    assert query_terms("What is the height of the tower?") == ["height", "tower"]
    assert query_terms("Who is who?") == ["who", "is"]


def test_operators_of_the_search_engine_are_only_words() -> None:
    assert terms('"a" OR b* NEAR(c) -d') == ["a", "or", "b", "near", "c", "d"]


def test_special_tokens_in_text_are_counted_as_text() -> None:
    assert count_tokens("<|endoftext|>") == 7
    assert count_tokens("hello world") == 2


def test_words_are_stemmed_as_the_language_has_it() -> None:
    assert terms("Die Leuchttürme standen", "de") == ["die", *terms("Leuchtturm", "de"), *terms("stand", "de")]
    assert terms("Häuser") != terms("Haus")
    assert terms("words of no known language", "xx") == terms("words of no known language")


def test_a_question_is_put_in_the_languages_of_the_documents() -> None:
    both = [*terms("Leuchttürme stand", "de"), *terms("Leuchttürme stand", "fr")]
    assert in_languages("Which Leuchttürme stand there?", ["de", "fr"]) == list(dict.fromkeys(both))
    assert in_languages("Which towers?", []) == []
    assert [language_code(meta) for meta in ({"language": "de-AT"}, {}, {"language": "FR"})] == ["de", "en", "fr"]


def test_a_version_is_found_with_and_without_its_letter() -> None:
    assert "2.3.1" in query_terms("Version v2.3.1")
    assert "2.3.1" in terms("mended in V2.3.1.")
    assert set(query_terms("what changed in 2.3.1")) & set(terms("v2.3.1 mended it"))
    assert "2.3.1" not in terms("v2.13.1 and rev2.3.1")
