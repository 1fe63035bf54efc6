// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

import com.helger.http.EHttpMethod;
import com.helger.json.JsonObject;
import com.helger.phase4.crypto.IAS4CryptoFactory;
import com.helger.phase4.incoming.AS4ServerInitializer;
import com.helger.phase4.servlet.AS4XServletHandler;
import com.helger.web.scope.mgr.WebScopeManager;
import com.helger.xservlet.AbstractXServlet;
import com.helger.xservlet.requesttrack.RequestTrackerSettings;

import jakarta.servlet.ServletContextEvent;
import jakarta.servlet.ServletContextListener;
import java.nio.file.Path;
import org.eclipse.jetty.ee11.servlet.ServletContextHandler;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.SecureRequestCustomizer;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.SslConnectionFactory;
import org.eclipse.jetty.util.ssl.SslContextFactory;

/**
 * An access point on a free loopback port. Each path below {@code /as4} is one {@link Behaviour}, so that a single process is
 * many peers. With {@code --quiet}, for measurements, it says only what it refuses.
 */
final class Receive {
    private Receive() {}

    static void run(Options options) throws Exception {
        // Complaints about load are no findings.
        RequestTrackerSettings.setLongRunningRequestsCheckEnabled(false);
        RequestTrackerSettings.setParallelRunningRequestsCheckEnabled(false);
        Profile profile = Profile.of(options.need("profile"));
        Server server = new Server();
        ServerConnector connector = connector(server, options);
        server.addConnector(connector);
        server.setHandler(context(options, profile));
        server.start();
        Report.line(new JsonObject().add("event", "ready").add("port", connector.getLocalPort()));
        // Whoever started us closes standard input, or dies: either way we end.
        while (System.in.read() >= 0) {
            continue;
        }
        server.stop();
    }

    private static ServerConnector connector(Server server, Options options) throws Exception {
        HttpConfiguration http = new HttpConfiguration();
        ServerConnector connector;
        if (options.get("tls-keystore") == null) {
            connector = new ServerConnector(server, new HttpConnectionFactory(http));
        } else {
            SslContextFactory.Server tls = new SslContextFactory.Server();
            tls.setKeyStore(Keys.pkcs12(options.need("tls-keystore"), options.need("password")));
            tls.setKeyStorePassword(options.need("password"));
            http.addCustomizer(new SecureRequestCustomizer(false));
            connector = new ServerConnector(server, new SslConnectionFactory(tls, "http/1.1"), new HttpConnectionFactory(http));
        }
        connector.setHost("127.0.0.1");
        connector.setPort(0);
        return connector;
    }

    private static Business business(Options options) {
        return options.get("inbox") == null ? null : new Business(options.all("serves"), Path.of(options.need("inbox")));
    }

    private static ServletContextHandler context(Options options, Profile profile) throws Exception {
        String password = options.need("password");
        boolean quiet = options.get("quiet") != null;
        IAS4CryptoFactory sign = quiet ? Keys.quick(options.need("keystore"), password, options.all("trust"))
                : Keys.factory(options.need("keystore"), password, options.all("trust"));
        IAS4CryptoFactory decrypt = options.get("decrypt-keystore") == null ? sign
                : Keys.factory(options.need("decrypt-keystore"), password, options.all("trust"));
        IAS4CryptoFactory other = options.get("other-keystore") == null ? sign
                : Keys.factory(options.need("other-keystore"), password, options.all("trust"));
        ServletContextHandler context = new ServletContextHandler("/");
        context.addEventListener(new ServletContextListener() {
            @Override
            public void contextInitialized(ServletContextEvent event) {
                // The constructor of phase4's servlet asks for the global scope, so it cannot be made before.
                WebScopeManager.onGlobalBegin(event.getServletContext());
                AS4ServerInitializer.initAS4Server();
                profile.register();
                Parties parties = new Parties(profile, options.all("expect"), options.all("party"));
                AS4XServletHandler handler = new AS4XServletHandler();
                handler.setRequestHandlerCustomizer(
                        new Endpoint(profile, parties, sign, decrypt, other, business(options), quiet));
                event.getServletContext().addServlet("as4", new As4Servlet(handler)).addMapping("/as4/*");
            }
        });
        return context;
    }

    private static final class As4Servlet extends AbstractXServlet {
        private static final long serialVersionUID = 1;

        As4Servlet(AS4XServletHandler handler) {
            // phase4 reads the multipart itself.
            settings().setMultipartEnabled(false);
            handlerRegistry().registerHandler(EHttpMethod.POST, handler);
        }
    }
}
