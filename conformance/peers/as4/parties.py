# SPDX-License-Identifier: EUPL-1.2
"""Keys and parties from files, and the words that results are written in."""

import hashlib
import json
import sys
import threading

from as4 import AS4LocalPrivateKey
from as4.peppol import create_peppol_external_party, create_peppol_internal_party
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

OUTPUT = threading.Lock()


def say(line):
    """One JSON object per line on standard output, whichever thread has it."""
    with OUTPUT:
        print(json.dumps(line), flush=True)


def internal_party(file, password, party=None):
    """A party with its private key, out of a PKCS#12 file; its PartyId is the common name unless said otherwise."""
    with open(file, "rb") as opened:
        key, certificate, _ = pkcs12.load_key_and_certificates(opened.read(), password.encode())
    return create_peppol_internal_party(party or common_name(certificate), certificate, AS4LocalPrivateKey(key))


def external_party(party, file):
    """A party that is known by its certificate."""
    return create_peppol_external_party(party, certificate_of(file))


def certificate_of(file):
    """The first certificate of a PEM file."""
    with open(file, "rb") as opened:
        return x509.load_pem_x509_certificate(opened.read())


def common_name(certificate):
    """The common name of a certificate's subject."""
    return certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def fingerprint(certificate):
    """SHA-256 of a certificate in lower-case hex."""
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()
