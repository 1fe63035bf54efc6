// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

import com.helger.httpclient.HttpClientFactory;
import com.helger.httpclient.HttpClientSettings;
import com.helger.json.IJsonObject;
import com.helger.phase4.crypto.IAS4CryptoFactory;

import java.security.cert.X509Certificate;
import org.apache.hc.core5.util.Timeout;

/** What a job is sent with: keys, the recipient's certificate, HTTP. Made for each job, or once for many. */
final class Material {
    private final IAS4CryptoFactory sign;
    private final IAS4CryptoFactory crypt;
    private final X509Certificate receiver;
    private final HttpClientFactory http;

    private Material(Options options, IJsonObject job, boolean kept) throws Exception {
        sign = factory(options, job.getAsString("keystore", options.need("keystore")), kept);
        crypt = options.get("decrypt-keystore") == null ? sign : factory(options, options.need("decrypt-keystore"), kept);
        receiver = Keys.certificate(job.getAsString("receiver", options.get("receiver")));
        http = kept ? new KeptHttp(settings(options)) : new HttpClientFactory(settings(options));
    }

    /** For one job, with a connection of its own, which is phase4's way. */
    static Material once(Options options, IJsonObject job) throws Exception {
        return new Material(options, job, false);
    }

    /** For many jobs, which share connections. */
    static Material kept(Options options, IJsonObject job) throws Exception {
        return new Material(options, job, true);
    }

    private static IAS4CryptoFactory factory(Options options, String keyStore, boolean kept) throws Exception {
        String password = options.need("password");
        return kept ? Keys.quick(keyStore, password, options.all("trust"))
                : Keys.factory(keyStore, password, options.all("trust"));
    }

    private static HttpClientSettings settings(Options options) throws Exception {
        HttpClientSettings settings = new HttpClientSettings();
        if (!options.all("tls-trust").isEmpty()) {
            settings.setSSLContext(Keys.tlsClient(options.all("tls-trust")));
        }
        // Large messages on a busy machine.
        settings.setResponseTimeout(Timeout.ofMinutes(3));
        return settings;
    }

    IAS4CryptoFactory sign() {
        return sign;
    }

    IAS4CryptoFactory crypt() {
        return crypt;
    }

    X509Certificate receiver() {
        return receiver;
    }

    HttpClientFactory http() {
        return http;
    }
}
