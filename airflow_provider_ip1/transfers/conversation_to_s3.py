# SPDX-License-Identifier: Apache-2.0
"""SMS conversations into one S3 object."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException, Asset, BaseOperator, Stats
from botocore.exceptions import ClientError

from airflow_provider_ip1.api.paging import Page
from airflow_provider_ip1.api.protocol import normalize_participant
from airflow_provider_ip1.api.settings import check_argument
from airflow_provider_ip1.exceptions import IP1ConnectionError, IP1NoMessagesError
from airflow_provider_ip1.formats.batch import Batch
from airflow_provider_ip1.formats.compression import Compression, choose_compression
from airflow_provider_ip1.formats.encode import encode
from airflow_provider_ip1.formats.redaction import Redaction, check_rules
from airflow_provider_ip1.formats.table import fields_of
from airflow_provider_ip1.hooks.ip1 import IP1Hook
from airflow_provider_ip1.links.s3 import S3ObjectLink, s3_object_url
from airflow_provider_ip1.transfers.s3_upload import (
    StreamingUpload,
    UploadCancelled,
    abort_unfinished_uploads,
    s3_hook_for_streaming,
)
from airflow_provider_ip1.transfers.window import NewestFirst, Window

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

ON_EMPTY: Final = ("write", "skip", "fail")
# A number in a key would usually be found without its country code too.
_SHORTEST_NUMBER: Final = 7
_NUMBER_TAIL: Final = 9


class ConversationToS3Operator(BaseOperator):
    """
    Write the messages of one or several iP.1 conversations to one S3 object.

    Pages are read ahead, formatted, compressed and uploaded as they come, so memory does not grow with the
    conversation. The object appears whole or not at all, and the same conversation gives the same bytes. It is
    replaced at each run, so that a retry and a backfill end as the first run would have.

    .. seealso:: :ref:`howto/operator:ConversationToS3Operator`

    :param participant: the other side of the conversation: phone number with country code, or sender name. Or a list of
        them, read one after the other into the same object; one that is named twice is read once. (templated)
    :param s3_key: key of the object, or its whole ``s3://`` URL. Must not hold a participant's phone number, since keys
        end up in logs, XCom and lineage. (templated)
    :param s3_bucket: bucket of the object; leave it out where ``s3_key`` is a URL. It must exist. (templated)
    :param direction: ``"mt"`` for what you sent, ``"mo"`` for what you received, ``None`` (default) for both.
        (templated)
    :param file_format: ``"jsonl"`` (default): one API object per line, exactly as iP.1 sent it. ``"csv"``,
        ``"parquet"``: the table of :mod:`airflow_provider_ip1.formats.table`; parquet needs the extra ``parquet``.
    :param compression: ``"infer"`` (default) goes by the key's ending, ``.gz`` or ``.zst``; parquet files, which
        compress inside, also know ``.snappy`` and use zstd where the key says nothing. Or ``None``, ``"gzip"``,
        ``"zstd"``, and ``"snappy"`` for parquet.
    :param since: take only messages modified at this time or later: a datetime or ISO 8601 text, UTC where it has no
        zone. Empty and ``"None"`` are not set. The object then has the newest message first. (templated)
    :param until: take only messages modified before this time, written as ``since``. (templated)
    :param status_lookback: with ``since``, how long after it was sent a message may still change, 0 or more, default 3
        days: reading ends at the first message modified earlier than that before ``since``. ``None`` reads the whole
        conversation.
    :param on_empty: where there are no messages, ``"write"`` (default) an empty object, ``"skip"`` the task, or
        ``"fail"`` it.
    :param redact: field -> ``"drop"``, ``"hash"`` or ``"mask"``, for personal data that must not reach the lake, with
        the fields in iP.1's spelling or the table's. ``hash`` needs the connection's extra ``redact_key``. See
        :class:`~airflow_provider_ip1.formats.redaction.Redaction`.
    :param replace: whether an object of that key may be replaced, default yes. Without, a retry fails where the first
        try had written the object.
    :param encrypt: whether S3 encrypts the object with its own keys (AES256), default no.
    :param acl_policy: canned ACL of the object, default none.
    :param page_size: messages per request, 1 to 10000; default as the connection says, else 200.
    :param concurrency: most requests in flight, 1 to 64; default as the connection says, else 4.
    :param ip1_conn_id: Airflow connection to iP.1. (templated)
    :param aws_conn_id: Airflow connection to AWS or another S3 store; ``None`` for boto3's own search for credentials.
        (templated)
    :param verify: whether the S3 server's certificate is checked, or a file with the CA certificates; default as the
        AWS connection says.
    :return: from :meth:`execute`, as XCom: ``uri``, ``messages``, ``participants`` and ``pages`` (counts), ``bytes``
        (size of the object), ``first_modified`` and ``last_modified`` (ISO 8601, the earliest and latest of the
        messages written; ``None`` without any), ``seconds``.
    :raises ValueError: an argument cannot be used; names it.
    """

    template_fields: Sequence[str] = (
        "participant",
        "s3_key",
        "s3_bucket",
        "direction",
        "since",
        "until",
        "ip1_conn_id",
        "aws_conn_id",
    )
    template_ext: Sequence[str] = ()
    operator_extra_links = (S3ObjectLink(),)

    def __init__(
        self,
        *,
        participant: str | Sequence[str],
        s3_key: str,
        s3_bucket: str | None = None,
        direction: str | None = None,
        file_format: str = "jsonl",
        compression: str | None = "infer",
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        status_lookback: timedelta | None = timedelta(days=3),
        on_empty: str = "write",
        redact: Mapping[str, str] | None = None,
        replace: bool = True,
        encrypt: bool = False,
        acl_policy: str | None = None,
        page_size: int | None = None,
        concurrency: int | None = None,
        ip1_conn_id: str = IP1Hook.default_conn_name,
        aws_conn_id: str | None = "aws_default",
        verify: bool | str | None = None,
        **base_operator: Any,
    ) -> None:
        super().__init__(**base_operator)
        self.participant = participant
        self.s3_key = s3_key
        self.s3_bucket = s3_bucket
        self.direction = direction
        self.file_format = file_format
        self.compression = compression
        self.since = since
        self.until = until
        self.status_lookback = status_lookback
        self.on_empty = on_empty
        self.redact = redact
        self.replace = replace
        self.encrypt = encrypt
        self.acl_policy = acl_policy
        self.page_size = page_size
        self.concurrency = concurrency
        self.ip1_conn_id = ip1_conn_id
        self.aws_conn_id = aws_conn_id
        self.verify = verify
        self._upload: StreamingUpload | None = None
        self._is_killed = False
        self._done: tuple[_Plan, dict[str, Any]] | None = None
        # What no template can change is checked while the DAG is read; the rest when it is rendered.
        if on_empty not in ON_EMPTY:
            raise ValueError(f"on_empty: {on_empty!r} is not one of {', '.join(ON_EMPTY)}.")
        if status_lookback is not None and (
            not isinstance(status_lookback, timedelta) or status_lookback < timedelta(0)
        ):
            raise ValueError("status_lookback: must be a timedelta of 0 or more, or None.")
        check_argument("page_size", page_size)
        check_argument("concurrency", concurrency)
        check_rules(redact)
        choose_compression(file_format, compression, key="")

    @cached_property
    def hook(self) -> IP1Hook:
        """Reads the conversations."""
        return IP1Hook(self.ip1_conn_id)

    @cached_property
    def s3_hook(self) -> S3Hook:
        """Writes the object."""
        return s3_hook_for_streaming(self.aws_conn_id, self.verify)

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Do the export.

        :param context: of the task's run. An empty one will do.
        """
        began, began_at = time.monotonic(), datetime.now(UTC)
        plan = self._plan()
        redaction = self._redaction()
        # Both connections are looked up here, in the task's own thread, before any other thread needs them.
        self.hook.get_conn()
        self._check_target(plan)
        if (ti := context.get("ti")) is not None and ti.try_number > 1:
            abort_unfinished_uploads(self.s3_hook, bucket=plan.bucket, key=plan.key, before=began_at)
        tally = _Tally()
        try:
            with closing(self._batches(plan, tally)) as batches:
                size = self._write(plan, batches if redaction is None else map(redaction.apply, batches))
        finally:
            Stats.incr("ip1.requests", self.hook.requests_sent)
            Stats.incr("ip1.retries", self.hook.retries)
            self.hook.close()
        Stats.incr("ip1.messages_exported", tally.messages)
        seconds = time.monotonic() - began
        result: dict[str, Any] = {
            "uri": plan.uri,
            "messages": tally.messages,
            "participants": len(plan.participants),
            "pages": tally.pages,
            "bytes": size,
            "first_modified": tally.first and tally.first.isoformat(),
            "last_modified": tally.last and tally.last.isoformat(),
            "seconds": round(seconds, 3),
        }
        if tally.undated:
            self.log.warning(
                "%d messages have no readable time of modification and are in no window. They were left out.",
                tally.undated,
            )
        self.log.info(
            "Wrote %d messages of %d conversations, read in %d pages, to %s: %d bytes in %.1f s (%.0f messages/s).",
            tally.messages,
            len(plan.participants),
            tally.pages,
            plan.uri,
            size,
            seconds,
            tally.messages / max(seconds, 1e-3),
        )
        self._done = plan, result
        if ti is not None:
            ti.xcom_push(key=S3ObjectLink.key, value=s3_object_url(self.s3_hook, plan.bucket, plan.key))
        if (events := context.get("outlet_events")) is not None:
            for outlet in self.outlets:
                if isinstance(outlet, Asset):
                    events[outlet].extra.update(result)
        return result

    def on_kill(self) -> None:
        """Stop reading and leave no object. Airflow calls this from a signal handler."""
        self._is_killed = True
        if self._upload is not None:
            self._upload.cancel()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """
        Lineage of a finished export, for the OpenLineage provider where it is installed.

        The input is iP.1's conversations as a whole: a dataset's name is no place for a phone number.

        :param task_instance: not used.
        """
        from airflow.providers.common.compat.openlineage.facet import (
            Dataset,
            OutputDataset,
            OutputStatisticsOutputDatasetFacet,
            SchemaDatasetFacet,
            SchemaDatasetFacetFields,
        )
        from airflow.providers.openlineage.extractors import OperatorLineage

        if self._done is None:
            return OperatorLineage()
        plan, result = self._done
        fields = [
            SchemaDatasetFacetFields(name=name, type=type_, description=description)
            for name, type_, description in fields_of(self.file_format)
        ]
        api = urlsplit(self.hook.settings.base_url)
        return OperatorLineage(
            inputs=[Dataset(namespace=f"{api.scheme}://{api.netloc}", name="v2/conversations")],
            outputs=[
                OutputDataset(
                    namespace=f"s3://{plan.bucket}",
                    name=plan.key,
                    facets={"schema": SchemaDatasetFacet(fields=fields)},
                    outputFacets={
                        "outputStatistics": OutputStatisticsOutputDatasetFacet(
                            rowCount=result["messages"], size=result["bytes"]
                        )
                    },
                )
            ],
        )

    # -- what to do

    def _plan(self) -> _Plan:
        participants = self._participants()
        bucket, key = self._bucket_and_key()
        self._refuse_numbers(f"{bucket}/{key}", participants)
        return _Plan(
            participants=participants,
            bucket=bucket,
            key=key,
            direction=_unset(self.direction),
            compression=choose_compression(self.file_format, self.compression, key),
            window=Window.from_arguments(self.since, self.until, self.status_lookback),
        )

    def _participants(self) -> tuple[str, ...]:
        given: Any = self.participant
        # A set has no order that two runs would share.
        is_list = isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping, Set))
        several = list(given) if is_list else [given]
        # Native rendering of templates makes numbers of digits.
        texts = [str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in several]
        if not texts or not all(isinstance(text, str) and text.strip() not in ("", "None") for text in texts):
            raise ValueError("participant: is empty, or not a phone number, a sender name or a list of them.")
        if any(text.lstrip().startswith(("[", "(")) for text in texts):
            raise ValueError(
                "participant: a template made the text of a list. Set render_template_as_native_obj=True on the DAG, "
                "or pass the list itself, such as the output of a task."
            )
        return tuple(dict.fromkeys(map(normalize_participant, texts)))

    def _bucket_and_key(self) -> tuple[str, str]:
        given = _unset(self.s3_bucket)
        if not isinstance(self.s3_key, str):
            raise ValueError(f"s3_key: must be a text, not of type {type(self.s3_key).__name__}.")
        if given is None and "://" not in self.s3_key:
            raise ValueError("s3_bucket: is not set, and s3_key is no s3:// URL that names one.")
        problem = "s3_key: is empty or ends with a slash. Name an object."
        try:
            bucket, key = S3Hook.get_s3_bucket_key(given, self.s3_key, "s3_bucket", "s3_key")
            if key.strip() and not key.endswith("/"):
                return bucket, key
        except (TypeError, AirflowException) as error:
            # Its type depends on the Amazon provider's version, its text is always about these two.
            problem = f"s3_bucket, s3_key: {error}"
        raise ValueError(problem)

    @staticmethod
    def _refuse_numbers(target: str, participants: Sequence[str]) -> None:
        without_separators = re.sub(r"[ ._+()-]", "", target)
        for participant in participants:
            if not participant.isdigit() or len(participant) < _SHORTEST_NUMBER:
                continue
            if any(participant[-_NUMBER_TAIL:] in text for text in (target, without_separators)):
                raise ValueError(
                    "s3_key: the key holds the participant's phone number. Keys end up in logs, XCom, listings and "
                    "lineage: name the object by an id of your own, such as your customer number, or by the task's "
                    "{{ ti.map_index }}."
                )

    def _redaction(self) -> Redaction | None:
        rules = check_rules(self.redact)
        if not rules:
            return None
        key = self.hook.settings.redact_key
        if "hash" in rules.values() and not key:
            raise IP1ConnectionError(
                f"Connection {self.ip1_conn_id!r}: extra 'redact_key' is not set, and redact asks for hashes. Set it "
                "to a long random text, and keep it: another key gives other hashes."
            )
        return Redaction(rules, (key or "").encode())

    def _check_target(self, plan: _Plan) -> None:
        client = self.s3_hook.get_conn()
        code = ""
        try:
            client.head_bucket(Bucket=plan.bucket)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            # Who may only write objects is refused here (403), and may well succeed.
            if code not in ("404", "NoSuchBucket", "403"):
                raise
        if code in ("404", "NoSuchBucket"):
            raise ValueError(f"s3_bucket: there is no bucket {plan.bucket!r}. Create it, or correct the name.")
        if not self.replace and self.s3_hook.check_for_key(plan.key, plan.bucket):
            raise ValueError(
                f"s3_key: {plan.uri} exists, and replace is False. Use another key, remove the object, or set replace."
            )

    # -- doing it

    def _batches(self, plan: _Plan, tally: _Tally) -> Generator[Batch, None, None]:
        """The messages that belong into the object, as they are read."""
        selection = _Selection(plan.window, tally)
        pages = self.hook.iter_pages_of(
            plan.participants,
            direction=plan.direction,
            order="ASC" if plan.window.since is None else "DESC",
            page_size=self.page_size,
            concurrency=self.concurrency,
            is_last_page=selection.take,
        )
        with closing(pages):  # type: ignore[type-var]  # a generator
            for page in pages:
                if self._is_killed:
                    raise UploadCancelled("The task was told to stop; no object was written.")
                if selection.raws:
                    yield Batch(selection.raws, participant=page.participant, direction=page.direction)

    def _write(self, plan: _Plan, batches: Iterator[Batch]) -> int:
        # Nothing is begun in S3 before the first messages are here.
        first = next(batches, None)
        if first is None and self.on_empty == "skip":
            raise AirflowSkipException("There are no messages to export, and on_empty is 'skip'.")
        if first is None and self.on_empty == "fail":
            raise IP1NoMessagesError(
                "There are no messages to export, and on_empty is 'fail'. Check participant, direction, since and "
                "until, or set on_empty."
            )
        self._upload = StreamingUpload(
            self.s3_hook,
            bucket=plan.bucket,
            key=plan.key,
            replace=self.replace,
            encrypt=self.encrypt,
            acl_policy=self.acl_policy,
        )
        if self._is_killed:
            self._upload.cancel()
        with_first = batches if first is None else chain([first], batches)
        return self._upload.send(encode(with_first, self.file_format, plan.compression))


def _unset(value: str | None) -> str | None:
    """Templates render None as text."""
    return None if isinstance(value, str) and value.strip() in ("", "None") else value


@dataclass(frozen=True)
class _Plan:
    """The operator's arguments after rendering, checked."""

    participants: tuple[str, ...]
    bucket: str
    key: str
    direction: str | None
    compression: Compression | None
    window: Window

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass
class _Tally:
    """What was exported so far."""

    messages: int = 0
    pages: int = 0
    undated: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, times: Sequence[datetime | None]) -> None:
        self.messages += len(times)
        known = [time for time in times if time is not None]
        if known:
            earliest, latest = min(known), max(known)
            self.first = earliest if self.first is None or earliest < self.first else self.first
            self.last = latest if self.last is None or latest > self.last else self.last


@dataclass
class _Selection:
    """Picks the messages of each page that are in the window, and says where a conversation need not be read on."""

    window: Window
    tally: _Tally
    raws: Sequence[Any] = ()
    _newest_first: NewestFirst | None = field(default=None, init=False)

    def take(self, page: Page) -> bool:
        """Pick from the next page. True where the rest of the conversation need not be read."""
        self.tally.pages += 1
        raws: Sequence[Any] = page.raws
        times: Sequence[datetime | None] = page.modified
        end = None
        if self.window.read_back_to is not None:
            if page.number == 0 or self._newest_first is None:
                self._newest_first = NewestFirst(self.window.read_back_to)
            end = self._newest_first.end_in(times)
        if not self.window.is_open:
            self.tally.undated += times[:end].count(None)
            chosen = [i for i, time in enumerate(times[:end]) if self.window.contains(time)]
            raws, times = [raws[i] for i in chosen], [times[i] for i in chosen]
        self.raws = raws
        self.tally.add(times)
        return end is not None
