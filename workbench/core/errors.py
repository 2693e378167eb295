"""The errors a user may see. Each is one line: what is wrong, where, what to do."""

from __future__ import annotations


class WorkbenchError(Exception):
    """Base of every error that is shown to the user as one line.

    Attributes:
        message: what is wrong.
        where: file, key, row or process it was found in, or None.
        remedy: what the user can do, or None.
        exit_code: process exit code of a command that ends with this error.
    """

    exit_code = 1

    def __init__(
        self, message: str, *, where: str | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(message, where, remedy)
        self.message = message
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = self.message if self.where is None else f"{self.where}: {self.message}"
        text = text if self.remedy is None else f"{text}. {self.remedy}"
        return " ".join(text.split())

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.where, self.remedy)


def _rebuild(
    kind: type[WorkbenchError], message: str, where: str | None, remedy: str | None
) -> WorkbenchError:
    return kind(message, where=where, remedy=remedy)


class UsageError(WorkbenchError):
    """Wrong use or wrong input; exit code 2."""

    exit_code = 2


class RunFailed(WorkbenchError):
    """A run that could not finish; what was committed stays; exit code 1."""

    exit_code = 1


class DeviceMemoryError(WorkbenchError):
    """The device has no memory for this batch; the caller may retry with a smaller one."""
