// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

import com.helger.httpclient.HttpClientFactory;
import com.helger.httpclient.HttpClientSettings;

import java.io.IOException;
import org.apache.hc.client5.http.impl.classic.CloseableHttpClient;
import org.apache.hc.client5.http.impl.classic.CloseableHttpResponse;
import org.apache.hc.core5.http.ClassicHttpRequest;
import org.apache.hc.core5.http.HttpHost;
import org.apache.hc.core5.http.protocol.HttpContext;
import org.apache.hc.core5.io.CloseMode;

/** Connections that outlive a message: phase4 makes a client for each and closes it. */
final class KeptHttp extends HttpClientFactory {
    private final CloseableHttpClient shared;

    KeptHttp(HttpClientSettings settings) {
        super(settings);
        shared = super.createHttpClient();
    }

    @Override
    public CloseableHttpClient createHttpClient() {
        return new Unclosed();
    }

    private final class Unclosed extends CloseableHttpClient {
        @Override
        @SuppressWarnings("deprecation") // The only public way to the answer as it is.
        protected CloseableHttpResponse doExecute(HttpHost target, ClassicHttpRequest request, HttpContext context)
                throws IOException {
            return shared.execute(target, request, context);
        }

        @Override
        public void close() {
            // The next message needs the connection.
        }

        @Override
        public void close(CloseMode mode) {
            close();
        }
    }
}
