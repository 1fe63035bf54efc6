// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

import com.helger.phase4.crypto.AS4CryptParams;
import com.helger.phase4.crypto.AS4SigningParams;
import com.helger.phase4.crypto.ECryptoKeyIdentifierType;

/** How a certificate is referred to. */
enum Token {
    BST("bst", ECryptoKeyIdentifierType.BST_DIRECT_REFERENCE, true),
    PKI_PATH("pkipath", ECryptoKeyIdentifierType.BST_DIRECT_REFERENCE, false),
    SKI("ski", ECryptoKeyIdentifierType.SKI_KEY_IDENTIFIER, true),
    ISSUER_SERIAL("issuer-serial", ECryptoKeyIdentifierType.ISSUER_SERIAL, true);

    private final String word;
    private final ECryptoKeyIdentifierType type;
    private final boolean single;

    Token(String word, ECryptoKeyIdentifierType type, boolean single) {
        this.word = word;
        this.type = type;
        this.single = single;
    }

    static Token of(String word) {
        for (Token token : values()) {
            if (token.word.equals(word)) {
                return token;
            }
        }
        throw new IllegalArgumentException("unknown token reference " + word);
    }

    AS4SigningParams applyTo(AS4SigningParams signing) {
        return signing.setKeyIdentifierType(type).setUseSingleCertificate(single);
    }

    /** For the recipient's certificate; a whole path is never sent for it. */
    AS4CryptParams applyTo(AS4CryptParams encryption) {
        return encryption.setKeyIdentifierType(type);
    }

    @Override
    public String toString() {
        return word;
    }
}
