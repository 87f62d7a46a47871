"""Enums to which later versions of the contract may add cases. The contract passes them as strings."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class OpenEnum(StrEnum):
    """An enum of strings. A string that this version does not know becomes a case named `OTHER` with this value."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        other = str.__new__(cls, value)
        other._name_ = "OTHER"
        other._value_ = value
        return other
