"""The section ``tls_server_config``: from Go's words to a context of Python's ssl."""

import ssl
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from agentmem_observe.errors import did_you_mean
from agentmem_observe.fields import leaf, refusal

_VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_OUTDATED: Final = ("TLS10", "TLS11")

_CLIENTS: Final = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_UNVERIFIED: Final = ("RequestClientCert", "RequireClientCert", "RequireAnyClientCert")

_SUITES: Final = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
"""Go's names of the suites of TLS 1.2 that it thinks secure, and OpenSSL's."""

_SUITES_13: Final = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
)
"""Those of TLS 1.3, which are always on: Go lets nobody choose, and neither does Python."""


def _readable(value: str, info: ValidationInfo) -> str:
    assert info.context is not None
    path = Path(info.context["directory"], value)
    try:
        path.read_bytes()
    except OSError as error:
        raise refusal(
            f"{str(path)!r}: {error.strerror}; name a PEM file that can be read"
        ) from None
    return str(path)


_PemFile = Annotated[str, AfterValidator(_readable)]
Switch = Annotated[bool, leaf("true or false", lambda value: isinstance(value, bool))]
"""Of YAML 1.1, where `on` and `yes` are true too."""


class TlsSection(BaseModel):
    """How the server speaks TLS; the keys are those of the exporter-toolkit.

    Attributes:
        cert_file: The server's certificate and those between it and the root.
        key_file: The private key to it, not encrypted.
        client_auth_type: Whether clients must show a certificate.
        client_ca_file: Who has signed those.
        client_ca: The same, as text.
        client_allowed_sans: Alternative names of which a client's certificate must have one; empty
            for any.
        min_version: Oldest version of TLS.
        max_version: Newest version.
        cipher_suites: Of TLS 1.2, by Go's names; empty for OpenSSL's choice.
        prefer_server_cipher_suites: Whether the server's order of them counts.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    cert: Any = None
    key: Any = None
    curve_preferences: Any = None
    cert_file: _PemFile | None = None
    key_file: _PemFile | None = None
    client_auth_type: str = "NoClientCert"
    client_ca_file: _PemFile | None = None
    client_ca: str | None = None
    client_allowed_sans: list[str] = Field(default_factory=list)
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: list[str] = Field(default_factory=list)
    prefer_server_cipher_suites: Switch = True

    _context: ssl.SSLContext | None = PrivateAttr(None)

    @property
    def context(self) -> ssl.SSLContext | None:
        """What new connections are encrypted with; None if the section says nothing."""
        return self._context

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the context was made from."""
        named = (self.cert_file, self.key_file, self.client_ca_file)
        return tuple(Path(name) for name in named if name)

    @field_validator("cert", "key")
    @classmethod
    def _no_text(cls, value: Any, info: ValidationInfo) -> None:
        raise refusal(
            f"cannot be given as text, Python reads it from a file; use {info.field_name}_file"
        )

    @field_validator("curve_preferences")
    @classmethod
    def _no_curves(cls, value: Any) -> None:
        raise refusal("Python cannot choose among curves; leave it out, OpenSSL's order is good")

    @field_validator("min_version", "max_version")
    @classmethod
    def _known_version(cls, value: str) -> str:
        if value in _OUTDATED:
            raise refusal(f"{value!r} is no longer secure; use 'TLS12' or 'TLS13'")
        if value not in _VERSIONS:
            raise refusal(f"expected 'TLS12' or 'TLS13', got {value!r}")
        return value

    @field_validator("client_auth_type")
    @classmethod
    def _known_policy(cls, value: str) -> str:
        if value in _UNVERIFIED:
            raise refusal(
                f"{value!r} asks for certificates without verifying them, which Python cannot and "
                "nobody should; use 'RequireAndVerifyClientCert' or 'VerifyClientCertIfGiven'"
            )
        if value and value not in _CLIENTS:
            raise refusal(f"unknown policy {value!r}; {did_you_mean(value, _CLIENTS)}")
        return value or "NoClientCert"

    @field_validator("cipher_suites")
    @classmethod
    def _known_suites(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in _SUITES and name not in _SUITES_13:
                raise refusal(f"unknown suite {name!r}; {did_you_mean(name, _SUITES)}")
        if value and not set(value) & set(_SUITES):
            raise refusal("names no suite of TLS 1.2; add one, or set min_version to 'TLS13'")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "TlsSection":
        if not self.model_fields_set:
            return self
        for name in ("cert_file", "key_file"):
            if not getattr(self, name):
                raise refusal(f"{name} is missing; name a PEM file, or leave out the section")
        trusted = self.client_ca or self.client_ca_file
        wanted = self.client_auth_type != "NoClientCert"
        if wanted and not trusted:
            raise refusal("client_ca_file is missing: client_auth_type wants certificates of it")
        if trusted and not wanted:
            raise refusal(
                "client_ca_file has no effect without client_auth_type; set it to "
                "'RequireAndVerifyClientCert'"
            )
        if self.client_ca and self.client_ca_file:
            raise refusal("client_ca and client_ca_file exclude each other; keep one of them")
        if self.client_allowed_sans and self.client_auth_type != "RequireAndVerifyClientCert":
            raise refusal(
                "client_allowed_sans needs client_auth_type to be 'RequireAndVerifyClientCert'"
            )
        if _VERSIONS[self.min_version] > _VERSIONS[self.max_version]:
            raise refusal("min_version is newer than max_version; swap them")
        self._context = self._made()
        return self

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[self.min_version]
        context.maximum_version = _VERSIONS[self.max_version]
        context.options |= ssl.OP_NO_RENEGOTIATION  # which costs us more than the client
        if not self.prefer_server_cipher_suites:
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        if suites := [_SUITES[name] for name in self.cipher_suites if name in _SUITES]:
            context.set_ciphers(":".join(suites))
        context.set_alpn_protocols(["http/1.1"])
        assert self.cert_file is not None
        try:
            # Without a password of ours OpenSSL would ask for one on the terminal.
            context.load_cert_chain(self.cert_file, self.key_file, password="")
        except (OSError, ValueError) as error:
            raise refusal(
                f"cert_file {self.cert_file!r} and key_file {self.key_file!r} cannot be used: "
                f"{_said(error)}; both must be PEM, belong together, and not be encrypted"
            ) from None
        if self.client_ca or self.client_ca_file:
            try:
                context.load_verify_locations(self.client_ca_file, cadata=self.client_ca)
            except (OSError, ValueError) as error:
                raise refusal(
                    f"client_ca_file {self.client_ca_file or '(text)'!r} cannot be used: "
                    f"{_said(error)}; it must be PEM certificates"
                ) from None
        context.verify_mode = _CLIENTS[self.client_auth_type]
        return context


def _said(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
