"""The gate over two runs: what fails, what the JUnit file and the summary say; rescoring and matrices beside it."""

import dataclasses
import json
from xml.etree import ElementTree

import pytest
from test_eval_runs import ROWS, TEXTS, WordSearch, means, towers  # noqa: F401  (towers is a fixture)

from evals import compare, load_run, load_suite, rescore, run
from evals.gate import checks, markdown, read_minimums, write_junit
from index.errors import RagError


@pytest.fixture
def pair(towers, tmp_path):  # noqa: F811
    """Twelve questions answered, and the same by a system that abstains from all of them."""
    return (
        run(towers, out=tmp_path / "a", kb=WordSearch()),
        run(towers, out=tmp_path / "b", kb=WordSearch(least=9)),
    )


def failed(judged):
    return {(check.kind, check.name) for check in judged if check.outcome == "failed"}


def test_a_regression_shuts_the_gate_and_no_change_does_not(pair):
    base, worse = pair
    assert ("not worse", "contains_gold") in failed(checks(compare(base, worse), worse, {}, worse=True))
    assert failed(checks(compare(base, base), base, {}, worse=True)) == set()
    assert failed(checks(compare(worse, base), base, {}, worse=True)) == set()


def test_a_minimum_looks_at_the_new_run_alone(pair):
    base, worse = pair
    found = compare(base, worse)
    assert failed(checks(found, worse, {"recall@1000": 0.9}, worse=False)) == set()
    assert failed(checks(found, worse, {"correct": 0.5}, worse=False)) == {("minimum", "correct")}


def test_a_lower_is_better_score_must_not_exceed_its_bound(pair):
    base, _ = pair
    assert failed(checks(compare(base, base), base, {"conflict_false_alarm": 0.0}, worse=False)) == set()
    assert failed(checks(compare(base, base), base, {"calibration_error": 0.01}, worse=False))


def test_what_was_not_measured_fails_its_minimum(pair):
    base, worse = pair
    (check,) = checks(compare(base, worse), worse, {"page_recall@500": 0.1}, worse=False)
    assert check.outcome == "failed"
    assert "no such score" in check.found


@pytest.mark.parametrize(
    ("typed", "said"),
    [("recal=.9", "no metric 'recal'"), ("recall@1000", "expected NAME=NUMBER"), ("recall=high", "no number")],
)
def test_a_minimum_that_says_nothing_is_refused(typed, said):
    with pytest.raises(RagError, match=said):
        read_minimums([typed])


def test_junit_counts_failures_and_errors(pair, towers, tmp_path):  # noqa: F811
    base, worse = pair
    broken = run(towers, out=tmp_path / "c", kb=WordSearch(fails="tower"))
    judged = checks(compare(base, worse), worse, {}, worse=True)
    write_junit(tmp_path / "ci" / "eval.xml", judged, broken)
    suite = ElementTree.parse(tmp_path / "ci" / "eval.xml").getroot()[0]
    assert int(suite.get("failures")) == len(suite.findall("testcase/failure")) == len(failed(judged)) > 0
    assert int(suite.get("errors")) == len(suite.findall("testcase/error")) == 12


def test_the_summary_names_what_failed_and_what_could_have_been_seen(pair):
    base, worse = pair
    found = compare(base, worse)
    said = markdown(found, checks(found, worse, {}, worse=True))
    assert "checks failed" in said
    assert "- not worse: `contains_gold`: worse: 1.0000 → 0.0000" in said
    assert "could have seen" in said


# Rescoring


def test_a_run_scored_again_gives_the_same_scores_and_asks_nothing(towers, tmp_path):  # noqa: F811
    first = run(towers, out=tmp_path / "a", kb=WordSearch())
    again = rescore(tmp_path / "a", text_of=TEXTS.get)
    assert again.scores() == first.scores()
    assert again.manifest["rescored"]


def test_corrected_gold_needs_no_new_answer(towers, tmp_path):  # noqa: F811
    run(towers, out=tmp_path / "a", kb=WordSearch())
    rows = [{**ROWS[0], "id": f"t{n}", "cluster": f"c{n}", "answers": ["1869"]} for n in range(12)]
    towers.gold.write_text("\n".join(map(json.dumps, rows)))
    again = rescore(tmp_path / "a", suite=load_suite(towers.gold.parent), out=tmp_path / "b", text_of=TEXTS.get)
    assert means(again)["contains_gold"] == 0.0
    assert means(load_run(tmp_path / "a"))["contains_gold"] == 1.0


def test_questions_written_anew_are_left_out_and_named(towers, tmp_path):  # noqa: F811
    run(towers, out=tmp_path / "a", kb=WordSearch())
    rows = [{**ROWS[0], "id": f"t{n}"} for n in range(11)] + [{**ROWS[1], "id": "t11"}]
    towers.gold.write_text("\n".join(map(json.dumps, rows)))
    again = rescore(tmp_path / "a", suite=load_suite(towers.gold.parent), out=tmp_path / "b", text_of=TEXTS.get)
    assert len(again.rows) == 11
    assert "1 questions of the suite were not asked by this run" in again.manifest["warnings"]


def test_gold_about_other_documents_is_refused(towers, tmp_path):  # noqa: F811
    run(towers, out=tmp_path / "a", kb=WordSearch())
    (towers.documents / "more.txt").write_text("more")
    with pytest.raises(RagError, match="no longer those"):
        rescore(tmp_path / "a", suite=towers, text_of=TEXTS.get)


def test_a_run_whose_documents_are_gone_says_so(towers, tmp_path):  # noqa: F811
    run(towers, out=tmp_path / "a", kb=WordSearch())
    with pytest.raises(RagError, match="cannot be read"):
        rescore(tmp_path / "a")


# Many questions at once


def test_questions_asked_at_once_stand_in_the_suites_order(towers, tmp_path):  # noqa: F811
    one = run(towers, out=tmp_path / "a", kb=WordSearch())
    four = run(towers, out=tmp_path / "b", kb=WordSearch(), jobs=4)
    assert [row.id for row in four.rows] == [row.id for row in one.rows]
    assert four.scores() == one.scores()


def test_cached_answers_are_in_no_time_and_no_cost(towers, tmp_path):  # noqa: F811
    record = run(towers, out=tmp_path / "a", kb=WordSearch())
    kept = dataclasses.replace(record, rows=tuple(dataclasses.replace(row, cached=True) for row in record.rows))
    assert (kept.operations().cache_hits, kept.operations().answers, kept.operations().timings) == (12, 0, {})


def test_runs_and_comparisons_are_frames(pair):
    base, worse = pair
    assert list(base.to_pandas()["contains_gold"]) == [1.0] * 12
    assert set(base.scores_to_pandas()["name"]) == {score.name for score in base.scores()}
    found = compare(base, worse).to_pandas().set_index("name")
    assert found.loc["contains_gold", "difference"] == -1.0
    assert found.loc["contains_gold", "finding"] == "worse"


def test_a_run_names_what_it_ran_on_and_a_comparison_what_differs(pair):
    base, worse = pair
    assert {"python", "numpy", "torch"} <= base.manifest["versions"].keys()
    assert base.manifest["model"] == "WordSearch"
    other = {**worse.manifest, "versions": {**worse.manifest["versions"], "numpy": "1.0"}}
    notes = compare(base, dataclasses.replace(worse, manifest=other)).notes
    assert f"numpy {base.manifest['versions']['numpy']} → 1.0" in notes


def test_scores_that_nothing_moved_do_not_dilute_the_others(pair):
    base, worse = pair
    changes = {change.name: change for change in compare(base, worse).changes}
    assert changes["recall@1000"].difference.least_p == 1.0
    moved = [name for name, change in changes.items() if change.gates and change.difference.least_p < 0.05]
    own = changes["contains_gold"].difference.p
    assert own == changes["contains_gold"].difference.least_p == 2 / 2**12
    assert changes["contains_gold"].p <= own * len(moved)
    assert len(moved) < sum(change.gates for change in changes.values())
