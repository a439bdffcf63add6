# SPDX-License-Identifier: Apache-2.0
"""
The options of an export that do not depend on the store, for all operators and ``export_conversations``.

A new option goes into :class:`ExportArguments`, which type checkers and editors read, and into :class:`ExportOptions`,
which holds its default and checks it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final, Literal, Required, TypedDict, TypeVar, get_args

from airflow_provider_ip1.api.paging.listing import check_direction
from airflow_provider_ip1.api.requests import Direction
from airflow_provider_ip1.api.settings import check_argument
from airflow_provider_ip1.formats.compression import Compression, FileFormat, choose_compression
from airflow_provider_ip1.formats.redaction import Action, check_rules
from airflow_provider_ip1.template_values import required_text, text_or_none
from airflow_provider_ip1.transfers.selection import Window
from airflow_provider_ip1.transfers.stores import Store

F = TypeVar("F", bound=Callable[..., Any])

Replace = bool | Literal["always"]
OnEmpty = Literal["protect", "write", "skip", "fail"]
ON_EMPTY: Final = get_args(OnEmpty)

# A parameter in a docstring, with the lines that continue its text, which may begin with a role such as :class:`X`.
# Python 3.13 removes the indentation of docstrings.
_PARAMETER: Final = re.compile(r"^ *:param (\w+): .*\n(?:(?! *:(?:param|return|raises)\b)(?! *$).+\n)*", re.M)


class ExportArguments(TypedDict, total=False):
    """
    The options of an export. Each store describes ``extra_args``.

    :param file_format: ``"jsonl"`` (default) writes one API object per line, exactly as iP.1 sent it. ``"csv"`` and
        ``"parquet"`` write the table of :mod:`airflow_provider_ip1.formats.table`. Parquet needs the extra
        ``parquet``.
    :param compression: ``"infer"`` (default) chooses by the key's ending, ``.gz`` or ``.zst``. Parquet files, which are
        compressed internally, also accept ``.snappy`` and default to zstd. Otherwise ``None``, ``"gzip"``, ``"zstd"``,
        or for parquet ``"snappy"``.
    :param since: export only messages modified at this time or later: a datetime or ISO 8601 text, UTC if it has no
        zone. Blank text means not set. The object then starts with the newest message, or batch.
        (templated)
    :param until: export only messages modified before this time, written like ``since``. (templated)
    :param checkpoint: the key, in the same bucket or container, or the URL of a small JSON object in which the export
        remembers how far it got. Each run then exports what is new, or changed, since the run before, and the first run
        what ``since`` selects. Use a key per run, such as one with
        ``{{ run_id | replace(':', '') | replace('+', '') }}``. It excludes ``until``, ``replace=False`` and
        ``verify_total=True``. Default: no checkpoint. (templated)
    :param status_lookback: how long a message may still change after it was sent, 0 or more, default 3 days. With
        ``since``, reading stops at messages, or a batch, from before ``since - status_lookback``. ``None`` reads
        everything. For
        :class:`~airflow_provider_ip1.transfers.messages_to_s3.MessagesToS3Operator`, add the longest time by which you
        schedule batches ahead, because a batch keeps its place in the list. With ``checkpoint``, it is how long a run
        waits for the final status of a message, and of a batch's messages after its delivery windows; ``None`` waits
        for ever.
    :param on_empty: what to do if there are no messages. ``"protect"`` (default) writes an empty object, but fails
        if that would replace an object that contains messages. ``"write"`` always writes an empty object, ``"skip"``
        skips the task, and ``"fail"`` fails it.
    :param redact: maps fields to ``"drop"``, ``"hash"`` or ``"mask"``, for personal data that must not reach the lake.
        Use iP.1's field names or the table's column names. ``hash`` needs the connection's extra ``redact_key``. See
        :class:`~airflow_provider_ip1.formats.redaction.Redaction`. Default: no redaction.
    :param replace: whether to replace an existing object. ``True`` (default) replaces it only if nothing gets lost: if
        the same run wrote it, or if its messages come from the same source (participants, direction and connection)
        and its window lies within this one. Otherwise the task fails. ``"always"`` replaces any object. ``False``
        replaces none; a retry then fails if the first try wrote the object. In all cases the task fails, and changes
        nothing, if another writer creates, replaces or deletes the object during the export.
    :param verify_total: whether to compare the number of messages of each participant with iP.1's ``/summary`` before
        writing the object, default false. Takes at least one more request per participant, and with ``since`` requires
        ``status_lookback=None``.
    :param page_size: messages per request, 1 to 10000; default from the connection, otherwise 200,
        then up to 1000.
    :param concurrency: maximum number of requests in flight, 1 to 64; default from the connection, otherwise 4.
    :param ip1_conn_id: Airflow connection to iP.1, default ``ip1_default``. (templated)
    """

    file_format: FileFormat
    compression: Compression | Literal["infer"] | None
    since: str | datetime | None
    until: str | datetime | None
    checkpoint: str | None
    status_lookback: timedelta | None
    on_empty: OnEmpty
    redact: Mapping[str, Action] | None
    replace: Replace
    verify_total: bool
    page_size: int | None
    concurrency: int | None
    ip1_conn_id: str
    extra_args: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """
    The options of an export, with their defaults. :class:`ExportArguments` describes them. Each store adds its own.

    Those that are not templated are checked here, which an operator does when the DAG is parsed. The properties check
    the others, once they are rendered.

    :raises ValueError: an option is invalid. The message names the option.
    :raises AirflowOptionalProviderFeatureException: the format is parquet, and pyarrow is not installed.
    """

    documented: ClassVar[str | None] = None
    """The texts of what a store adds."""

    direction: str | None = None
    file_format: FileFormat = "jsonl"
    compression: Compression | Literal["infer"] | None = "infer"
    since: str | datetime | None = None
    until: str | datetime | None = None
    checkpoint: str | None = None
    status_lookback: timedelta | None = timedelta(days=3)
    on_empty: OnEmpty = "protect"
    redact: Mapping[str, Action] | None = None
    replace: Replace = True
    verify_total: bool = False
    page_size: int | None = None
    concurrency: int | None = None
    ip1_conn_id: str = "ip1_default"
    extra_args: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.on_empty not in ON_EMPTY:
            raise ValueError(f"on_empty: {self.on_empty!r} is not one of {', '.join(ON_EMPTY)}.")
        # Not 1 and 0, which equal True and False.
        if not isinstance(self.replace, bool) and self.replace != "always":
            raise ValueError(f"replace: {self.replace!r} is not True, False or 'always'.")
        lookback = self.status_lookback
        if lookback is not None and (not isinstance(lookback, timedelta) or lookback < timedelta(0)):
            raise ValueError("status_lookback: must be None or a timedelta of 0 or more.")
        if self.verify_total and self.since is not None and lookback is not None:
            raise ValueError(
                "verify_total: with since, the export stops reading at status_lookback, so it cannot compare totals. "
                "Set status_lookback=None to read everything, or leave verify_total out."
            )
        if self.checkpoint and (self.until or not self.replace or self.verify_total):
            raise ValueError(
                "checkpoint: cannot be combined with until, replace=False or verify_total=True. Leave these out, "
                "because each run exports everything that is new, and a retry replaces the object of the same run."
            )
        if self.file_format == "parquet":
            from airflow_provider_ip1.formats.encode import check_pyarrow

            check_pyarrow()
        if self.extra_args is not None and not isinstance(self.extra_args, Mapping):
            raise ValueError("extra_args: must be a dictionary.")
        check_argument("page_size", self.page_size)
        check_argument("concurrency", self.concurrency)
        check_rules(self.redact)
        choose_compression(self.file_format, self.compression, key="")

    @cached_property
    def one_direction(self) -> Direction | None:
        """``"mt"`` or ``"mo"``, ``None`` for both."""
        return check_direction(text_or_none(self.direction, "direction"))

    @cached_property
    def window(self) -> Window:
        """The time window."""
        return Window.from_arguments(self.since, self.until, self.status_lookback)

    @cached_property
    def checkpoint_address(self) -> str | None:
        """The key or URL of the checkpoint; ``None`` for an export without one."""
        return None if self.checkpoint is None else required_text(self.checkpoint, "checkpoint")

    @cached_property
    def rules(self) -> Mapping[str, str]:
        """The redaction: iP.1's name of a field -> action."""
        return check_rules(self.redact)

    @property
    def reading(self) -> dict[str, Any]:
        """The arguments with which a hook reads. An export of everything keeps the order of creation."""
        is_everything = self.window.since is None and self.checkpoint is None
        return {
            "direction": self.one_direction,
            "order": "ASC" if is_everything else "DESC",
            "page_size": self.page_size,
            "concurrency": self.concurrency,
        }

    def store(self) -> Store:
        """Return the object to write in its store."""
        raise NotImplementedError


class BaseOperatorArguments(TypedDict, total=False):
    """The arguments of ``BaseOperator`` in all supported versions of Airflow, for type checkers and editors."""

    task_id: Required[str]
    owner: str
    email: Any
    email_on_retry: bool
    email_on_failure: bool
    retries: int | None
    retry_delay: timedelta | float
    retry_exponential_backoff: bool | float
    max_retry_delay: timedelta | float | None
    retry_policy: Any
    start_date: datetime | None
    end_date: datetime | None
    depends_on_past: bool
    ignore_first_depends_on_past: bool
    wait_for_past_depends_before_skipping: bool
    wait_for_downstream: bool
    dag: Any
    params: Any
    default_args: dict[str, Any] | None
    priority_weight: int
    weight_rule: Any
    queue: str
    pool: str | None
    pool_slots: int
    sla: timedelta | None
    execution_timeout: timedelta | None
    on_execute_callback: Any
    on_failure_callback: Any
    on_success_callback: Any
    on_retry_callback: Any
    on_skipped_callback: Any
    pre_execute: Any
    post_execute: Any
    trigger_rule: str
    resources: dict[str, Any] | None
    run_as_user: str | None
    map_index_template: str | None
    max_active_tis_per_dag: int | None
    max_active_tis_per_dagrun: int | None
    executor: str | None
    executor_config: dict[str, Any] | None
    do_xcom_push: bool
    multiple_outputs: bool
    inlets: Any
    outlets: Any
    task_group: Any
    doc: str | None
    doc_md: str | None
    doc_json: str | None
    doc_yaml: str | None
    doc_rst: str | None
    task_display_name: str | None
    logger_name: str | None
    allow_nested_operators: bool
    render_template_as_native_obj: bool | None


class OperatorArguments(ExportArguments, BaseOperatorArguments, total=False):
    """
    The arguments of an operator that exports, to any store.

    :param direction: ``"mt"`` for messages you sent, ``"mo"`` for messages you received, ``None`` (default) for both.
        (templated)
    """

    direction: str | None


def with_options(options: type[ExportOptions]) -> Callable[[F], F]:
    """
    Give a function that takes ``**options`` the signature in which each option has its name, type and default.

    Airflow's ``default_args``, ``partial()`` and ``expand()``, and the documentation, look at the signature.

    :param options: the class with the options, those of a store included.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        names = {one.name for one in own}
        added = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is MISSING else field.default,
                annotation=field.type,
            )
            for field in fields(options)
            if field.name not in names
        ]
        # Those of the store first, because they name the object.
        added.sort(key=lambda one: (one.default is not one.empty, one.name in ExportOptions.__dataclass_fields__))
        others = [inspect.Parameter("base_operator", inspect.Parameter.VAR_KEYWORD, annotation="Any")]
        is_method = own[0].name == "self"
        function.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*own, *added, *(others if is_method else ())]
        )
        function.__doc__ = with_option_texts(function.__doc__, options)
        return function

    return decorate


def with_option_texts(documentation: str | None, options: type[ExportOptions]) -> str | None:
    """
    Replace ``:param arguments:`` by the text of each argument of an operator, and ``:param options:`` by those options.

    :param documentation: the docstring of an operator or a function; ``None`` without docstrings.
    :param options: the class with the options.
    """
    documented = (options.documented, OperatorArguments.__doc__, ExportArguments.__doc__)
    of_store, of_operator, common = (
        "".join(found[0] for found in _PARAMETER.finditer(doc or "")) for doc in documented
    )
    texts = {"arguments": of_store + of_operator + common, "options": common}
    return documentation and _PARAMETER.sub(lambda found: texts.get(found[1], found[0]), documentation)
