# SPDX-License-Identifier: Apache-2.0
"""What Airflow's *Test* button says: texts about a connection, in the words of the form."""

from __future__ import annotations

import re
from typing import Final

from airflow_provider_ip1.get_provider_info import get_provider_info

_FORM: Final = get_provider_info()["connection-types"][0]
_LABELS: Final = {
    **{name: label.rstrip(" *") for name, label in _FORM["ui-field-behaviour"]["relabeling"].items()},
    **{name: field["label"] for name, field in _FORM["conn-fields"].items()},
}
_EXTRAS: Final = "|".join(_FORM["conn-fields"])
# Names with an underscore are not words of a sentence, so they need no quotation marks.
_UNQUOTED: Final = "|".join(name for name in _FORM["conn-fields"] if "_" in name)
_NAME: Final = re.compile(
    r"[a-z0-9]+://\S+"  # An address stays as it is.
    rf"|(?:\bthe )?(?:\bextras? )?(?:'(?P<quoted>{_EXTRAS})'|\b(?P<unquoted>{_UNQUOTED})\b)"
    r"|(?:\bthe |\bthe connection's )?(?<![\w'/.-])(?P<field>password|host)(?![\w'/=:-]|\.\w| name)"
)


def form_text(text: str, conn_id: str) -> str:
    """
    Say the same with the labels of the form, and without the id: Airflow tests a connection under a random one.

    :param text: an error of a client or hook, or a warning.
    :param conn_id: the connection's id.
    """
    connection = re.escape(repr(conn_id))
    text = _NAME.sub(_in_the_form, text)
    text = re.sub(rf"^Connection {connection}: (.)", lambda found: found[1].upper(), text)
    for word, replacement in (("Connection", "This connection"), ("connection", "this connection")):
        text = text.replace(f"{word} {conn_id!r}", replacement)
    return text


def _in_the_form(found: re.Match[str]) -> str:
    name = found["quoted"] or found["unquoted"] or found["field"]
    return found[0] if name is None else f'"{_LABELS[name]}"'
