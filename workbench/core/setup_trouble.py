"""What went wrong in set-up, in one line. Standard library only: set-up loads this file by path."""

from __future__ import annotations

import re
import sys

_DISK = r"No space left on device|Errno 28|Errno 122|WinError 112|not enough space"
_NETWORK = (
    r"NewConnectionError|NameResolutionError|getaddrinfo|Name or service not known|name resolution"
    r"|Network is unreachable|Connection refused|ConnectTimeout|Read timed out|ProxyError"
)
_RIGHTS = r"Permission denied|WinError 5\b|Errno 13|Errno 30|Read-only file system"


def explain(text: str, folder: str) -> str:
    """The cause that pip's, venv's or the system's words point to, with the remedy, or "" for an unknown one.

    Args:
        text: all that was said. folder: where the program lives.
    """
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if re.search(_DISK, text):
        return "the disk is full; free some space and start again"
    if "Long Path support" in text:
        return "Windows refuses long paths: move this folder nearer to the root of the drive, or allow long paths"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "the network's certificate is not trusted; set PIP_CERT to its .pem file"
    if "ensurepip is not available" in text or re.search(r"No module named '?(venv|pip)\b", text):
        return (
            f"this Python ({version}) cannot make virtual environments; "
            f"on Debian or Ubuntu: apt install python{version}-venv"
        )
    if re.search(_NETWORK, text):
        return "no network: the packages cannot be fetched; connect (or set HTTPS_PROXY) and start again"
    if re.search(_RIGHTS, text):
        return f"{folder} cannot be written to; move the folder or change its rights"
    # older versions of pip call a pinned version that cannot be had a conflict with the constraint
    missing = re.search(r"(?:No matching distribution found for|The user requested \(constraint\)) ([^\s;,]+)", text)
    if missing is not None:
        text = f"there is no ready-made package {missing[1]} for Python {version} on this system"
        tested = (3, 10) <= sys.version_info < (3, 15)
        return text if tested else f"{text}; install Python 3.10 to 3.14, or name one with WORKBENCH_PYTHON"
    return ""
