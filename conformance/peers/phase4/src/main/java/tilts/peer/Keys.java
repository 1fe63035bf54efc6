// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

import com.helger.phase4.crypto.AS4CryptoFactoryInMemoryKeyStore;
import com.helger.phase4.crypto.IAS4CryptoFactory;

import java.io.FileInputStream;
import java.io.InputStream;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Key stores, trust stores and TLS contexts from files. */
final class Keys {
    private Keys() {}

    /** One private key with what it trusts. phase4 takes one factory for signatures and one for encryption. */
    static IAS4CryptoFactory factory(String keyStore, String password, List<String> trust) throws Exception {
        KeyStore keys = pkcs12(keyStore, password);
        return new AS4CryptoFactoryInMemoryKeyStore(keys, alias(keys), password.toCharArray(), trusted(trust));
    }

    /**
     * The same for measurements. phase4 asks the store for the key whenever it uses it, and PKCS#12 derives a key from the
     * password each time, which takes as long as a signature; the oldest kind of store hardly takes any time.
     */
    static IAS4CryptoFactory quick(String keyStore, String password, List<String> trust) throws Exception {
        KeyStore from = pkcs12(keyStore, password);
        String alias = alias(from);
        KeyStore keys = KeyStore.getInstance("JKS");
        keys.load(null, null);
        keys.setKeyEntry(alias, from.getKey(alias, password.toCharArray()), password.toCharArray(),
                from.getCertificateChain(alias));
        return new AS4CryptoFactoryInMemoryKeyStore(keys, alias, password.toCharArray(), trusted(trust));
    }

    private static String alias(KeyStore keys) throws Exception {
        return Collections.list(keys.aliases()).stream().filter(a -> isKey(keys, a)).findFirst().orElseThrow();
    }

    static KeyStore pkcs12(String file, String password) throws Exception {
        KeyStore keys = KeyStore.getInstance("PKCS12");
        try (InputStream in = new FileInputStream(file)) {
            keys.load(in, password.toCharArray());
        }
        return keys;
    }

    private static boolean isKey(KeyStore keys, String alias) {
        try {
            return keys.isKeyEntry(alias);
        } catch (java.security.KeyStoreException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    /** Trusted certificates from PEM files: Java sees no trusted entries in a PKCS#12 file that openssl made. */
    static KeyStore trusted(List<String> files) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        for (String file : files) {
            for (Certificate certificate : certificates(file)) {
                store.setCertificateEntry("trusted-" + store.size(), certificate);
            }
        }
        return store;
    }

    static X509Certificate certificate(String file) throws Exception {
        return (X509Certificate) certificates(file).iterator().next();
    }

    private static Collection<? extends Certificate> certificates(String file) throws Exception {
        try (InputStream in = new FileInputStream(file)) {
            return CertificateFactory.getInstance("X.509").generateCertificates(in);
        }
    }

    /** TLS as a client that believes these anchors. */
    static SSLContext tlsClient(List<String> anchors) throws Exception {
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(trusted(anchors));
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        return context;
    }
}
