// SPDX-License-Identifier: EUPL-1.2
package tilts.smp;

import com.helger.phoss.smp.rest.SMPRestFilter;
import com.helger.phoss.smp.servlet.SMPWebAppListener;

import jakarta.servlet.DispatcherType;
import java.nio.file.Path;
import java.util.EnumSet;
import org.eclipse.jetty.ee11.servlet.DefaultServlet;
import org.eclipse.jetty.ee11.servlet.ServletContextHandler;
import org.eclipse.jetty.ee11.servlet.ServletHolder;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.http.UriCompliance;

/**
 * phoss SMP as a registry to be asked: its REST interface on a loopback port, without its web pages. All settings are phoss'
 * own, as system properties; {@code peer.port} is where it listens, in plain HTTP. One JSON line says that it is ready. It ends
 * with standard input.
 */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        Server server = new Server();
        ServerConnector connector = new ServerConnector(server, new HttpConnectionFactory(http()));
        connector.setHost("127.0.0.1");
        connector.setPort(Integer.getInteger("peer.port"));
        server.addConnector(connector);
        server.setHandler(context());
        try {
            server.start();
        } catch (Exception | LinkageError failure) {
            failure.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
        System.out.println("{\"event\":\"ready\",\"port\":" + connector.getLocalPort() + "}");
        while (System.in.read() >= 0) {
            continue;
        }
        // Its schedulers and the connection pool would keep the process alive.
        Runtime.getRuntime().halt(0);
    }

    /** Identifiers stand percent-encoded in the path, as the specification wants them. */
    private static HttpConfiguration http() {
        HttpConfiguration http = new HttpConfiguration();
        http.setUriCompliance(UriCompliance.LEGACY);
        return http;
    }

    private static ServletContextHandler context() {
        ServletContextHandler context = new ServletContextHandler("/", ServletContextHandler.SESSIONS);
        // phoss wants a folder behind the context, though nothing of the REST interface lies in one.
        context.setBaseResourceAsPath(Path.of(System.getProperty("webapp.datapath")));
        context.getServletHandler().setDecodeAmbiguousURIs(true);
        context.addEventListener(new SMPWebAppListener());
        context.addFilter(SMPRestFilter.class, "/*", EnumSet.of(DispatcherType.REQUEST));
        context.addServlet(new ServletHolder("none", DefaultServlet.class), "/");
        return context;
    }
}
