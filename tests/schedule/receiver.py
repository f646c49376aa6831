"""A mail server (STARTTLS with login, and SMTPS) and a web server: each message that comes is a line of JSON on standard output.

Arguments: port for STARTTLS, port for SMTPS, port for the web, certificate, key."""

import http.server
import json
import ssl
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

starttls, smtps, web, certificate, key = sys.argv[1:]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)
lock = threading.Lock()


def say(**what):
    with lock:
        print(json.dumps(what), flush=True)


class Mail:
    def __init__(self, way):
        self.way = way

    async def handle_DATA(self, server, session, envelope):
        say(way=self.way, sender=envelope.mail_from, to=envelope.rcpt_tos, text=envelope.content.decode("utf-8", "replace"))
        return "250 OK"


def login(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"regia", b"correct horse")
    return AuthResult(success=right)


class StartTls(Controller):
    def factory(self):
        return SMTP(self.handler, tls_context=context, require_starttls=True, authenticator=login, auth_required=True)


class Web(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        say(way="web", path=self.path, headers={name.lower(): value for name, value in self.headers.items()}, body=body.decode())
        self.send_response(204)
        self.end_headers()

    do_PUT = do_POST

    def log_message(self, *args):
        pass


StartTls(Mail("starttls"), hostname="127.0.0.1", port=int(starttls)).start()
Controller(Mail("smtps"), hostname="127.0.0.1", port=int(smtps), ssl_context=context).start()
say(way="ready")
http.server.ThreadingHTTPServer(("127.0.0.1", int(web)), Web).serve_forever()
