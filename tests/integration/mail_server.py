"""A real mail server on loopback that keeps what it gets, and refuses whom a test wants it to."""

import asyncio
import email
import email.message
import email.policy
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Mailbox:
    """What came, and how the server behaves."""

    messages: list[email.message.EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    """What is answered to a recipient instead of taking it."""
    answers: list[str] = field(default_factory=list)
    """What is answered to the next messages instead of taking them."""
    logins: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0


class _Handler:
    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_RCPT(  # noqa: N802 - as aiosmtpd calls it
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self._mailbox.refusals:
            return self._mailbox.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        if self._mailbox.answers:
            return self._mailbox.answers.pop(0)
        content = envelope.content
        assert isinstance(content, bytes)
        self._mailbox.messages.append(email.message_from_bytes(content, policy=email.policy.default))
        self._mailbox.recipients += envelope.rcpt_tos
        return "250 OK"


class _Controller(Controller):
    """Takes a port from the system, and says which."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]


@contextmanager
def receiving(*, starttls: ssl.SSLContext | None = None, password: str | None = None) -> Iterator[Mailbox]:
    """Take mail for the length of the block; with a password, only from who knows it."""
    mailbox = Mailbox()

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        mailbox.logins.append((data.login.decode(), data.password.decode()))
        return AuthResult(success=data.password.decode() == password)

    options: dict[str, Any] = {"tls_context": starttls, "require_starttls": starttls is not None}
    if password is not None:
        options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": starttls is not None}
    controller = _Controller(_Handler(mailbox), hostname="127.0.0.1", port=0, ready_timeout=30.0, **options)
    controller.start()
    mailbox.port = controller.port
    try:
        yield mailbox
    finally:
        controller.stop()
