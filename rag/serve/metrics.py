"""What Prometheus reads at /metrics. Counts only; who asked and what is in no label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from rag.values import Answer

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """Counters and histograms of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        own: dict[str, Any] = {"registry": self.registry}
        self._requests = Counter("rag_requests_total", "Requests by route.", ["route", "method", "status"], **own)
        self._seconds = Histogram(
            "rag_request_seconds", "Seconds from the request to the last byte.", ["route"], buckets=_SECONDS, **own
        )
        self._stages = Histogram(
            "rag_stage_seconds", "Seconds in a stage of searching or answering.", ["work", "stage"], buckets=_SECONDS,
            **own,
        )  # fmt: skip
        self._tokens = Counter("rag_model_tokens_total", "Tokens read and written by the model.", ["direction"], **own)
        self._answers = Counter("rag_answers_total", "Answers, with those withheld.", ["outcome"], **own)
        self._sentences = Counter("rag_sentences_total", "Sentences of answers by verdict.", ["verdict"], **own)
        self.under_way = Gauge("rag_requests_under_way", "Requests that have not ended.", **own)
        self._answering = Gauge("rag_answers_under_way", "Answers that are being made or wait in line.", **own)
        self._generation = Gauge("rag_index_generation", "Rises with every change of the index.", **own)
        self._documents = Gauge("rag_index_documents", "Documents that are indexed.", **own)
        self._chunks = Gauge("rag_index_chunks", "Chunks that are indexed.", **own)

    def watch_answers(self, count: Callable[[], int]) -> None:
        """Where the number of answers under way is read."""
        self._answering.set_function(count)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request has ended."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def stages(self, work: str, timings: Mapping[str, float]) -> None:
        """Seconds of each stage of a search or an answer."""
        for stage, seconds in timings.items():
            if stage != "total":
                self._stages.labels(work, stage).observe(max(0.0, seconds))

    def answer(self, answer: Answer) -> None:
        """An answer was given or withheld."""
        self._answers.labels("abstained" if answer.abstained else "answered").inc()
        self._tokens.labels("read").inc(answer.usage.input_tokens)
        self._tokens.labels("written").inc(answer.usage.output_tokens)
        for sentence in answer.sentences:
            self._sentences.labels(sentence.verdict).inc()
        self.stages("answer", answer.timings)

    def page(self, state: tuple[int, int, int] | None) -> bytes:
        """The page; `state` is (generation, documents, chunks), None without an index."""
        for gauge, value in zip((self._generation, self._documents, self._chunks), state or (0, 0, 0), strict=True):
            gauge.set(value)
        return generate_latest(self.registry)
