// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

/** What an endpoint does with a message: how it signs its receipt, or how it fails. The path of the request chooses. */
enum Behaviour {
    /** The receipt names its certificate in one of the four ways. */
    BST("", Token.BST, null),
    PKI_PATH("/pkipath", Token.PKI_PATH, null),
    SKI("/ski", Token.SKI, null),
    ISSUER_SERIAL("/issuer-serial", Token.ISSUER_SERIAL, null),
    /** Its backend fails: EBMS:0004. */
    BROKEN("/broken", Token.BST, "EBMS:0004"),
    /** Its backend is not there now: EBMS:0202, which says "later". */
    BUSY("/busy", Token.BST, "EBMS:0202"),
    /** It takes the message and does not sign the receipt. */
    UNSIGNED_RECEIPT("/unsigned-receipt", Token.BST, null),
    /** It takes the message, and another party of the same authority signs the receipt. */
    FOREIGN_RECEIPT("/foreign-receipt", Token.BST, null),
    /** It is that other party in all it does. */
    OTHER_KEY("/other-key", Token.BST, null);

    private final String path;
    private final Token token;
    private final String failure;

    Behaviour(String path, Token token, String failure) {
        this.path = path;
        this.token = token;
        this.failure = failure;
    }

    /** By what follows {@code /as4} in the request's path. */
    static Behaviour of(String pathInfo) {
        String wanted = pathInfo == null ? "" : pathInfo;
        for (Behaviour behaviour : values()) {
            if (behaviour.path.equals(wanted)) {
                return behaviour;
            }
        }
        throw new IllegalArgumentException("no endpoint at /as4" + wanted);
    }

    /** How its receipts name the certificate. */
    Token token() {
        return token;
    }

    /** The code with which its backend fails, {@code null} when it takes everything. */
    String failure() {
        return failure;
    }

    boolean signsReceipts() {
        return this != UNSIGNED_RECEIPT;
    }

    boolean signsAsOther() {
        return this == FOREIGN_RECEIPT || this == OTHER_KEY;
    }

    boolean decryptsAsOther() {
        return this == OTHER_KEY;
    }
}
