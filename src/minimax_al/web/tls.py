"""Certificate with which the page is served by HTTPS."""

import ssl
from pathlib import Path
from typing import NamedTuple, Self

from minimax_al.errors import ConfigurationError

_NO_PASSWORD = ""


class Certificate(NamedTuple):
    """Certificate of the server.

    Attributes:
        chain: PEM file of the certificate and those that signed it.
        key: PEM file of its private key.
    """

    chain: Path
    key: Path

    @classmethod
    def checked(cls, certificate: Path | str | None, key: Path | str | None) -> Self | None:
        """Return the certificate if its files belong together; None if none is given.

        Args:
            certificate: PEM file of the certificate.
            key: PEM file of the private key; None if the certificate's file holds it.

        Raises:
            ConfigurationError: A file is missing or invalid, the key belongs to another certificate or needs a
                password, or a key is given alone.
        """
        if certificate is None:
            if key is not None:
                raise ConfigurationError(f"the key {str(key)!r} needs its certificate: give it with --certificate")
            return None
        found = cls(Path(certificate), Path(certificate if key is None else key))
        for file in found:
            if not file.is_file():
                raise ConfigurationError(
                    f"{str(file)!r} is not a file: give a PEM file of the server's certificate or key"
                )
        try:
            # An empty password makes an encrypted key an error; without one, OpenSSL would ask in the terminal.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(found.chain, found.key, _NO_PASSWORD)
        except (OSError, ValueError) as error:
            raise ConfigurationError(_why(found, key, error)) from error
        return found


def _why(files: Certificate, key: Path | str | None, error: Exception) -> str:
    reason = getattr(error, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return f"the key {str(files.key)!r} belongs to another certificate than {str(files.chain)!r}: give its own"
    if isinstance(error, PermissionError):
        return f"the certificate {str(files.chain)!r} or its key cannot be read: {error.strerror}"
    hint = "; give the private key with --key" if key is None else ""
    return (
        f"{str(files.chain)!r} and {str(files.key)!r} are not a certificate and its private key in PEM form without a "
        f"password{hint}"
    )
