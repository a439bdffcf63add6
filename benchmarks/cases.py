# SPDX-License-Identifier: Apache-2.0
"""What is measured: the conversations, the contenders, and the settings that they share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

OPERATOR, CEILING = "this operator", "hand-tuned ceiling"
HANDWRITTEN, HTTP_OPERATOR, DLT = "requests + S3Hook", "HttpOperator", "dlt rest_api"
#: Contender -> its module in benchmarks/contenders.
MODULES: Final = {
    OPERATOR: "provider",
    CEILING: "tuned",
    HANDWRITTEN: "handwritten",
    HTTP_OPERATOR: "http_operator",
    DLT: "dlt_rest_api",
}
#: The same for the export of a whole account.
ACCOUNT_MODULES: Final = {OPERATOR: "account_provider", CEILING: "account_tuned"}


@dataclass(frozen=True)
class Source:
    """
    Conversations on a server, or an account of batches.

    :param messages: messages in each conversation or batch.
    :param conversations: the number of conversations or batches.
    :param latency: how long each response takes at least, in seconds.
    :param has_links: whether responses have a ``Link`` header.
    :param is_account: whether the messages are read through the account's batches. Each batch has one message.
    """

    messages: int
    conversations: int = 1
    latency: float = 0.0
    has_links: bool = True
    is_account: bool = False

    @property
    def total(self) -> int:
        return self.conversations * self.messages

    @property
    def server_module(self) -> str:
        return "benchmarks.account_server" if self.is_account else "benchmarks.server"

    @property
    def server_arguments(self) -> tuple[str, ...]:
        sizes = {"--conversations": self.conversations, "--messages": self.messages, "--latency": self.latency}
        if self.is_account:
            sizes = {"--batches": self.conversations, "--latency": self.latency}
        options = [text for name, value in sizes.items() for text in (name, str(value))]
        return (*options, *(() if self.has_links else ("--no-links",)))

    def __str__(self) -> str:
        size = f"{self.messages:,} messages"
        if self.is_account:
            size = f"{self.conversations:,} batches of one message"
        elif self.conversations > 1:
            size = f"{self.conversations:,} conversations of {self.messages} messages"
        return f"{size}, {self.latency * 1000:.0f} ms{'' if self.has_links else ', without Link headers'}"


@dataclass(frozen=True)
class Case:
    """
    An export that contenders run side by side.

    :param name: for ``--only``.
    :param title: its heading in the results.
    :param concurrency: the number of requests in flight of the contenders that can send several at once.
    :param has_defaults: whether the operator uses its default page size and request rate.
    :param rounds: how often it runs at most; ``None`` for as often as the benchmark was told.
    """

    name: str
    title: str
    source: Source
    contenders: tuple[str, ...] = (OPERATOR, CEILING, HANDWRITTEN, DLT)
    concurrency: int = 4
    page_size: int = 200
    file_format: str = "jsonl"
    rounds: int | None = None
    has_defaults: bool = False

    @property
    def modules(self) -> dict[str, str]:
        """Contender -> its module in benchmarks/contenders."""
        return ACCOUNT_MODULES if self.source.is_account else MODULES

    @property
    def key(self) -> str:
        """The name of the object."""
        return f"{self.name}.{self.file_type}"

    @property
    def file_type(self) -> str:
        """The ending of the object's name."""
        return self.file_format + ("" if self.file_format == "parquet" else ".gz")

    def scaled(self, factor: float) -> Case:
        """Return the case with fewer messages or, if it has many conversations, with fewer conversations."""
        source = self.source
        if source.conversations > 1:
            source = replace(source, conversations=max(int(source.conversations * factor), 2))
        elif source.messages > ONE_PAGE:
            source = replace(source, messages=max(int(source.messages * factor), ONE_PAGE))
        return replace(self, source=source)

    def __str__(self) -> str:
        pages = "default settings" if self.has_defaults else f"pages of {self.page_size}"
        return f"{self.source}, {pages}, {self.concurrency} requests in flight, {self.file_type}"


#: A conversation of this many messages fits into one page.
ONE_PAGE: Final = 200
_LONG, _NIGHT = Source(100_000), Source(5, conversations=1000, latency=0.05)

#: Compared with other ways to do the same.
SPEED_CASES: Final = (
    Case(
        "defaults",
        "One long conversation at the default settings",
        Source(100_000, latency=0.05),
        (OPERATOR, HANDWRITTEN),
        has_defaults=True,
    ),
    Case("many", "1,000 short conversations", _NIGHT, concurrency=8),
    Case(
        "many-without-links",
        "1,000 short conversations, without Link headers",
        replace(_NIGHT, has_links=False),
        (OPERATOR, CEILING),
        concurrency=8,
    ),
    Case(
        "latency",
        "One long conversation, API with latency",
        Source(60_000, latency=0.05),
        (OPERATOR, CEILING, HANDWRITTEN, HTTP_OPERATOR, DLT),
        concurrency=8,
    ),
    Case("long", "One long conversation, no latency", _LONG, (OPERATOR, CEILING, HANDWRITTEN, HTTP_OPERATOR, DLT)),
    Case("csv", "One long conversation as csv", _LONG, file_format="csv"),
    Case("parquet", "One long conversation as parquet", _LONG, file_format="parquet"),
    Case(
        "account",
        "A whole account",
        Source(1, conversations=20_000, latency=0.02, is_account=True),
        (OPERATOR, CEILING),
        concurrency=8,
    ),
    Case("start", "Start-up: one page", Source(ONE_PAGE), (OPERATOR, CEILING, HANDWRITTEN, HTTP_OPERATOR, DLT)),
)


def _memory_cases() -> Iterator[Case]:
    for file_format in ("jsonl", "csv", "parquet"):
        for source in (_LONG, Source(1_000_000)):
            yield Case(
                f"memory-{file_format}-{source.messages}",
                file_format,
                source,
                (OPERATOR,),
                page_size=1000,
                file_format=file_format,
                rounds=1,
            )
    for conversations in (100, 10_000):
        source = Source(5, conversations=conversations)
        yield Case(f"memory-many-{conversations}", "jsonl", source, (OPERATOR,), rounds=1)
    for batches in (20_000, 200_000):
        source = Source(1, conversations=batches, is_account=True)
        yield Case(f"memory-account-{batches}", "jsonl", source, (OPERATOR,), concurrency=8, rounds=1)


#: The operator's memory, small and large.
MEMORY_CASES: Final = tuple(_memory_cases())
