// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

import com.helger.json.IJsonObject;

import java.io.PrintStream;
import java.security.MessageDigest;
import java.security.cert.X509Certificate;
import java.util.HexFormat;

/** Results: one JSON object per line on standard output. */
final class Report {
    private static final PrintStream OUT = System.out;

    private Report() {}

    /** Writes one line at once, whichever thread has it. */
    static synchronized void line(IJsonObject object) {
        OUT.println(object.getAsJsonString());
        OUT.flush();
    }

    /** SHA-256 of a certificate in lower-case hex, {@code null} without one. */
    static String fingerprint(X509Certificate certificate) throws Exception {
        if (certificate == null) {
            return null;
        }
        return hex(MessageDigest.getInstance("SHA-256").digest(certificate.getEncoded()));
    }

    static String hex(byte[] octets) {
        return HexFormat.of().formatHex(octets);
    }

    /** The causes of a failure in one line. */
    static String causes(Throwable failure) {
        StringBuilder text = new StringBuilder();
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            text.append(text.isEmpty() ? "" : " <- ").append(cause.getClass().getSimpleName());
            text.append(": ").append(cause.getMessage());
        }
        return text.toString();
    }
}
