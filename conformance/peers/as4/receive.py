# SPDX-License-Identifier: EUPL-1.2
"""The receiving half: HTTPS on a free loopback port. Each path below /as4 is one behaviour."""

import hashlib
import os
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

from as4 import ParticipantNotServicedError
from as4.peppol import parse_peppol_message, peppol_security_policy
from lxml import etree
from parties import certificate_of, fingerprint, internal_party, say

DSIG = "{http://www.w3.org/2000/09/xmldsig#}"


class Endpoint:
    """What answers: as4 with a key, anchors, and the participants that it serves."""

    def __init__(self, options):
        self.options = options
        self.own = internal_party(options.keystore, options.password)
        self.other = internal_party(options.other_keystore, options.password)
        self.policy = peppol_security_policy(*[certificate_of(file) for file in options.trust])

    def accept(self, participant):
        if participant not in self.options.serves:
            raise ParticipantNotServicedError(participant)

    def answer(self, path, headers, body):
        """Gives headers and octets of the signal; says what was taken or refused."""
        exchange = parse_peppol_message(dict(headers), body, self.own, self.accept, self.policy)
        message = exchange.message
        if exchange.successful:
            say(self.described(message))
        else:
            error = message.parse_error
            line = {"event": "refused", "message_id": message.message_id, "codes": [error.error_code]}
            say(line | {"details": [error.detail]})
        if path == "/as4/foreign-receipt":
            exchange.receipt = exchange.profile.receipt_class().for_message(message, self.other, exchange.identifiers)
        answer_headers, answer = exchange.build_signal()
        return answer_headers, unsigned(answer) if path == "/as4/unsigned-receipt" else answer

    def described(self, message):
        [content] = message.decrypted_data.values()
        file = os.path.join(self.options.inbox, str(uuid4()))
        with open(file, "wb") as kept:
            kept.write(content)
        return {
            "event": "received", "message_id": message.message_id, "sender": message.sender, "file": file,
            "recipient": message.recipient, "document_type": message.document_type_identifier_value,
            "process": message.process_identifier, "size": len(content), "sha256": hashlib.sha256(content).hexdigest(),
            "signer": fingerprint(message.signer_certificate),
        }


def unsigned(signal):
    """The signal without its signature."""
    envelope = etree.fromstring(signal)
    for signature in list(envelope.iter(DSIG + "Signature")):
        signature.getparent().remove(signature)
    return etree.tostring(envelope)


def start(options):
    """Starts to listen; gives the port."""
    endpoint = Endpoint(options)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers, answer = endpoint.answer(self.path, self.headers, body)
            self.send_response(200)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(options.tls_certificate, options.tls_key)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]
