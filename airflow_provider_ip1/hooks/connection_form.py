# SPDX-License-Identifier: Apache-2.0
"""The connection form on Airflow 2, made from the metadata that Airflow 3 reads."""

from __future__ import annotations

from typing import Any

from airflow_provider_ip1.get_provider_info import get_provider_info


def field_behaviour() -> dict[str, Any]:
    """Return the labels, placeholders and hidden fields of the form."""
    behaviour = _declared()["ui-field-behaviour"]
    return {key.replace("-", "_"): value for key, value in behaviour.items()}


def extra_widgets() -> dict[str, Any]:
    """Return a widget for each extra field."""
    from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
    from wtforms import BooleanField, IntegerField, PasswordField, StringField
    from wtforms.validators import Optional

    widgets: dict[str, Any] = {}
    for name, declared in _declared()["conn-fields"].items():
        schema = declared["schema"]
        first_type = schema["type"][0]
        label, described = declared["label"], {"description": declared["description"]}
        if schema.get("format") == "password":
            widgets[name] = PasswordField(label, widget=BS3PasswordFieldWidget(), **described)
        elif first_type == "boolean":
            widgets[name] = BooleanField(label, default=bool(schema.get("default")), **described)
        else:
            # Airflow 2 rejects the whole hook if a field has another class than these four, such as FloatField.
            kind = IntegerField if first_type == "integer" else StringField
            widgets[name] = kind(label, widget=BS3TextFieldWidget(), validators=[Optional()], **described)
    return widgets


def _declared() -> dict[str, Any]:
    declared: dict[str, Any] = get_provider_info()["connection-types"][0]
    return declared
