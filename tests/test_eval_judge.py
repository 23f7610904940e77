"""A model as judge, played by a real HTTP server with a script: calibrated first, cached, and unread is not wrong."""

import json

import pytest
from scripted_server import ScriptedServer
from test_eval_runs import WordSearch, means, suite  # noqa: F401  (suite is a fixture)

from evals import SuiteError, load_run, run
from evals.judge import calibrate, judge_run, kappa
from evals.replies import JsonModel
from rag.settings import Settings


def grader(messages):
    """Calls an answer right when it holds 1868, 44 or yes; supports every sentence."""
    user = messages[-1]["content"]
    if user.startswith("Sentence:"):
        return '{"supported": true, "reason": "it does"}'
    said = user.rpartition("Answer: ")[2]
    good = any(word in said for word in ("1868", "44", "yes"))
    return f"Sure!\n```json\n{json.dumps({'correct': good, 'reason': 'because'})}\n```"


@pytest.fixture
def calibration(tmp_path):
    rows = [{"question": "?", "answers": ["yes"], "answer": "yes" if n % 2 else "no", "correct": n % 2 == 1 or n < 4}
            for n in range(40)]  # fmt: skip
    (tmp_path / "people.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "people.jsonl"


@pytest.fixture
def server():
    with ScriptedServer(default=grader) as playing:
        yield playing


def model(server, tmp_path):
    return JsonModel(f"openai-like:tiny@{server.url}", Settings(), tmp_path / "kept")


def test_kappa_worked_by_hand():
    assert kappa([True, True, False, False], [True, False, False, False]) == pytest.approx((0.75 - 0.5) / 0.5)
    assert kappa([True, True], [True, True]) == 0.0


def test_the_judges_agreement_is_measured_and_shown(server, calibration, suite, tmp_path):  # noqa: F811
    run(suite, out=tmp_path / "run", kb=WordSearch())
    record = judge_run(tmp_path / "run", model(server, tmp_path), calibration)
    found = record.manifest["judge"]
    assert found["n"] == 40
    assert found["kappa"] == pytest.approx((0.95 - 0.5) / 0.5)
    assert found["low"] < found["kappa"] <= found["high"]
    assert means(record)["judged_correct"] == pytest.approx(2 / 3)
    assert means(record)["judged_supported"] == 1.0


def test_the_same_is_never_asked_twice(server, calibration, tmp_path):
    calibrate(model(server, tmp_path), calibration)
    calibrate(model(server, tmp_path), calibration)
    chats = [request for request in server.requests if request.path.endswith("/chat/completions")]
    assert len(chats) == 2  # twice forty rows, two different questions
    assert all(request.body["temperature"] == 0 for request in chats)


def test_scores_of_a_judge_without_known_agreement_are_not_shown(server, calibration, suite, tmp_path):  # noqa: F811
    run(suite, out=tmp_path / "run", kb=WordSearch())
    judge_run(tmp_path / "run", model(server, tmp_path), calibration)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    del manifest["judge"]
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(manifest))
    record = load_run(tmp_path / "run")
    assert "judged_correct" not in means(record)
    assert not [name for name in record.to_pandas().columns if name.startswith("judged_")]
    assert not [name for row in record.rows for name in row.scores if name.startswith("judged_")]


def test_a_small_or_one_sided_calibration_is_refused(server, tmp_path):
    row = {"question": "?", "answers": ["yes"], "answer": "yes", "correct": True}
    (tmp_path / "few.jsonl").write_text("\n".join([json.dumps(row)] * 40))
    with pytest.raises(SuiteError, match="of both kinds"):
        calibrate(model(server, tmp_path), tmp_path / "few.jsonl")


def test_a_reply_without_a_verdict_is_unscored(calibration, suite, tmp_path):  # noqa: F811
    def mumbling(messages):
        return grader(messages) if "Answer: yes" in str(messages) or "Answer: no" in str(messages) else "Hm."

    run(suite, out=tmp_path / "run", kb=WordSearch())
    with ScriptedServer(default=mumbling) as playing:
        record = judge_run(tmp_path / "run", model(playing, tmp_path), calibration)
    (score,) = [score for score in record.scores() if score.name == "judged_correct"]
    assert (score.estimate, score.unscored) == (None, 3)
