# SPDX-License-Identifier: EUPL-1.2
"""The sending half: one message per job, and what became of it."""

import ssl
import time
from uuid import uuid4

import urllib3
from as4 import AS4References, ReceiptVerificationError
from as4.peppol import BusdoxDocidQnsDocumentIdentifier, PeppolAS4MessageBuilderArgs, PeppolAS4Profile, PeppolSendingExchange
from as4.profiles.peppol.message import PeppolAS4Message
from lxml import etree
from parties import external_party, fingerprint, internal_party

EBMS = "{http://docs.oasis-open.org/ebxml-msg/ebms/v3.0/ns/core/200704/}"
DSIG = "{http://www.w3.org/2000/09/xmldsig#}"


class Headerless:
    """A StandardBusinessDocument without its header."""

    def dump_to_xml(self, name):
        return etree.Element(name)


def profile_whose_envelope_says(said):
    """as4's profile, whose SBDH says something else than the message: as4 itself never writes two different things."""

    class Message(PeppolAS4Message):
        @classmethod
        def get_standard_business_document(cls, builder_args, references):
            if said == "nothing":
                return Headerless()
            document = super().get_standard_business_document(arguments(said), references)
            if said.get("country") is None:
                scopes = document.standard_business_document_header.business_scope.scopes
                scopes[:] = [scope for scope in scopes if scope.scope_type.value != "COUNTRY_C1"]
            return document

    class Profile(PeppolAS4Profile):
        @classmethod
        def message_class(cls):
            return Message

        @classmethod
        def build_message(cls, payload, **others):
            return Message.build_message(payload=payload, **others)

    return Profile


def arguments(said):
    """What as4 asks to know of a message."""
    document_type = said["document_type"].split("::", 1)[1]
    return PeppolAS4MessageBuilderArgs(
        sender=said["sender"],
        recipient=said["receiver"],
        document_type_identifier=BusdoxDocidQnsDocumentIdentifier.from_identifier_value(document_type),
        document_identification_instance_identifier=str(uuid4()),
        process_identifier=said["process"].split("::", 1)[1],
        c1_country_id=said.get("country") or "LV",
    )


class Sender:
    """Sends what jobs ask for, over HTTPS with anchors of our choice."""

    def __init__(self, options):
        self.options = options
        context = ssl.create_default_context(cafile=options.tls_trust)
        self.http = urllib3.PoolManager(ssl_context=context, retries=False, timeout=60)

    def run(self, job):
        """Builds a message, sends it and describes the signal that came back."""
        begun = time.monotonic()
        result = {"event": "sent", "job": job["job"], "message_id": job["message_id"], "signal": "none", "codes": []}
        result |= {"result": "exception", "signed": False, "nri": "none"}
        try:
            exchange, headers, body = self.build(job)
            self.judge(exchange, self.post(job, headers, body), result)
        except Exception as failure:
            result["exception"] = f"{type(failure).__name__}: {failure}"
        return result | {"milliseconds": int((time.monotonic() - begun) * 1000)}

    def build(self, job):
        said = job["says"]
        envelope = job.get("envelope") or said
        exchange = PeppolSendingExchange(
            profile=profile_whose_envelope_says(envelope),
            local_party=internal_party(job.get("keystore") or self.options.keystore, self.options.password, job["from"]),
            remote_party=external_party(job["to"], job["receiver"]),
            identifiers=AS4References(message_id=job["message_id"], conversation_id=job["conversation"]),
        )
        with open(job["file"], "rb") as document:
            headers, body = exchange.build(document.read(), arguments(said))
        return exchange, headers, body

    def post(self, job, headers, body):
        """The same octets `times` times; a lost answer is a reason to try again, as often as the job allows."""
        for _ in range(job.get("times", 1)):
            for attempt in range(job.get("retries", 0) + 1):
                try:
                    answer = self.http.request("POST", job["url"], headers=headers, body=body)
                    break
                except urllib3.exceptions.HTTPError:
                    if attempt == job.get("retries", 0):
                        raise
        return answer.data

    def judge(self, exchange, answer, result):
        signal = etree.fromstring(answer)
        errors = list(signal.iter(EBMS + "Error"))
        result["codes"] = [error.get("errorCode") for error in errors]
        result["details"] = [" ".join(error.itertext()) for error in errors]
        result["signal"] = "error" if errors else "receipt"
        # as4 believes nothing that is not signed; whether an error was, the caller wants to know all the same.
        result["signed"] = next(signal.iter(DSIG + "Signature"), None) is not None
        if errors and not result["signed"]:
            result["result"] = "unsigned error"
            return
        try:
            exchange.receive_signal(answer)
        except ReceiptVerificationError as unproven:
            result["nri"] = f"invalid: {unproven}"
            raise
        result["result"] = "success" if exchange.successful else "refused"
        # It compared the certificate that signed with this one.
        result["signer"] = fingerprint(exchange.expected_signer)
        if exchange.successful:
            result["nri"] = "valid"
