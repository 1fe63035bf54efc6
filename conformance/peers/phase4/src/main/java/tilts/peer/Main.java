// SPDX-License-Identifier: EUPL-1.2
package tilts.peer;

/**
 * phase4 as the other side of an interoperability test. Three modes: {@code receive} takes messages until standard input ends,
 * {@code send} sends one message per JSON line on standard input, {@code load} many per line, and takes the time. Results are JSON lines on standard output; logs go to
 * standard error. Nothing else connects this program to whoever drives it.
 */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        // Managers in memory: phase4 would otherwise want a folder for its XML files.
        System.setProperty("phase4.manager.inmemory", "true");
        // Santuario warns on java.util.logging for every attachment, which says nothing about the message.
        java.util.logging.LogManager.getLogManager().reset();
        if (arguments.length == 0) {
            throw new IllegalArgumentException("say receive, send or load");
        }
        Options options = Options.parse(arguments);
        switch (arguments[0]) {
            case "receive" -> Receive.run(options);
            case "send" -> Send.run(options);
            case "load" -> Load.run(options);
            default -> throw new IllegalArgumentException("unknown mode " + arguments[0]);
        }
        // phase4's scheduler threads would keep the process alive.
        Runtime.getRuntime().halt(0);
    }
}
